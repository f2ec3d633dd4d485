//! The life of a run: it is entered, planned, ended, and may restart or be reopened.

use std::sync::LazyLock;

use jiff::Timestamp;
use redis::Script;
use sojourn::queue::KEEP_RUNS;
use sojourn::run::RunId;

use super::{Register, RegisterError};
use crate::record::{RunRecord, RunState};
use crate::trigger::{Request, Scope};

static CREATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("create_run.lua")));
static UPDATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("update_run.lua")));
static KEEP_USERS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("keep_users.lua")));
static RESTART: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("restart_run.lua")));
static END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("end_run.lua")));
static REOPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("reopen_run.lua")));

impl Register {
    /// Enters a run, unless it is there. A request that could not be read is entered as failed, so
    /// that whoever asked can see why.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn create(
        &self,
        id: &RunId,
        request: &Result<Request, String>,
    ) -> Result<(), RegisterError> {
        let keys = self.redis.keys();
        let state = if request.is_ok() {
            RunState::Planning
        } else {
            RunState::Failed
        };
        let mut call = CREATE.prepare_invoke();
        call.key(keys.run(id))
            .key(keys.run_index())
            .key(keys.epoch())
            .key(keys.active_runs())
            .key(keys.leader());
        call.arg(id.as_str())
            .arg(id.created_ms())
            .arg(state.as_str())
            .arg(KEEP_RUNS.as_secs())
            .arg(&self.identity);
        match request {
            Ok(request) => call.arg("request").arg(json(request)),
            Err(error) => call.arg("error").arg(error).arg("finished").arg(now_ms()),
        };
        self.ask(&call).await?;
        Ok(())
    }

    /// Notes that a run is planned. Returns `false` when it is paused, or was over already.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn start(
        &self,
        id: &RunId,
        dataset_id: &str,
        jobs: u64,
        users: u64,
        users_unknown: u64,
    ) -> Result<bool, RegisterError> {
        let mut call = UPDATE.prepare_invoke();
        call.key(self.redis.keys().run(id))
            .key(self.redis.keys().leader());
        call.arg(&self.identity);
        call.arg("state").arg(RunState::Running.as_str());
        call.arg("waiting").arg("");
        call.arg("dataset_id").arg(dataset_id).arg("jobs").arg(jobs);
        call.arg("users")
            .arg(users)
            .arg("users_unknown")
            .arg(users_unknown);
        Ok(self.ask(&call).await? == 1)
    }

    /// Notes what a run is waiting for before it can be planned.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn note_waiting(&self, id: &RunId, what: &str) -> Result<(), RegisterError> {
        let mut call = UPDATE.prepare_invoke();
        call.key(self.redis.keys().run(id))
            .key(self.redis.keys().leader());
        call.arg(&self.identity).arg("waiting").arg(what);
        self.ask(&call).await?;
        Ok(())
    }

    /// Ends a run. Returns `false` when it was over already.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn end(
        &self,
        id: &RunId,
        state: RunState,
        error: Option<&str>,
    ) -> Result<bool, RegisterError> {
        self.end_script(id, state, None, error).await
    }

    /// Ends a run as done that had nothing left to do after `record` was read. Returns `false` when
    /// it was over already, or reopened since.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn finish(&self, record: &RunRecord) -> Result<bool, RegisterError> {
        self.end_script(&record.id, RunState::Done, Some(record.reopened), None)
            .await
    }

    async fn end_script(
        &self,
        id: &RunId,
        state: RunState,
        reopened: Option<u64>,
        error: Option<&str>,
    ) -> Result<bool, RegisterError> {
        let keys = self.redis.keys();
        let mut call = END.prepare_invoke();
        call.key(keys.run(id))
            .key(keys.run_users(id))
            .key(keys.active_runs())
            .key(keys.leader());
        call.arg(state.as_str())
            .arg(KEEP_RUNS.as_secs())
            .arg(id.as_str())
            .arg(&self.identity)
            .arg(reopened.map(|times| times.to_string()).unwrap_or_default())
            .arg("finished")
            .arg(now_ms());
        if let Some(error) = error {
            call.arg("error").arg(error);
        }
        Ok(self.ask(&call).await? == 1)
    }

    /// Restarts a run because Redis has lost jobs of it, if it has restarted by itself fewer than
    /// `most` times since anybody repaired it. Returns `false`, and changed nothing, otherwise.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn restart(&self, record: &RunRecord, most: u64) -> Result<bool, RegisterError> {
        self.restart_script(record, Some(most)).await
    }

    /// Restarts a run; without `most`, because somebody asked for it.
    pub(super) async fn restart_script(
        &self,
        record: &RunRecord,
        most: Option<u64>,
    ) -> Result<bool, RegisterError> {
        let id = &record.id;
        let scope = record.request.as_ref().map(|request| &request.scope);
        let needs_users = matches!(scope, Some(Scope::Cohort(_)));
        let keys = self.redis.keys();
        let mut call = RESTART.prepare_invoke();
        call.key(keys.run(id))
            .key(keys.active_runs())
            .key(keys.leader())
            .key(keys.run_users(id));
        call.arg(&self.identity).arg(id.as_str());
        call.arg(u8::from(needs_users));
        if let Some(most) = most {
            call.arg(record.restarts).arg(most);
        }
        Ok(self.ask(&call).await? > 0)
    }

    /// Lets a run go on in which jobs were queued that count as dead before: after that, not before,
    /// or a scheduler would end it in between. A run that is not over goes on as it is; one that is
    /// cancelled, failed or unknown stays so. Returns whether the run was done.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn reopen(&self, id: &RunId) -> Result<bool, RegisterError> {
        let keys = self.redis.keys();
        let mut call = REOPEN.prepare_invoke();
        call.key(keys.run(id)).key(keys.active_runs());
        call.arg(id.as_str());
        let found: String = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(found == "reopened")
    }

    /// Makes the set at `copy`, which is in the slot of the register, the users of a run, unless it
    /// has some. The set is not at `copy` any more.
    ///
    /// # Errors
    /// When Redis fails.
    pub(crate) async fn keep_users(&self, id: &RunId, copy: &str) -> Result<(), RegisterError> {
        let keys = self.redis.keys();
        let mut call = KEEP_USERS.prepare_invoke();
        call.key(copy).key(keys.run_users(id)).key(keys.leader());
        call.arg(&self.identity).arg(KEEP_RUNS.as_secs());
        self.ask(&call).await?;
        Ok(())
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Requests are plain data; serialising them cannot fail.
fn json(request: &Request) -> String {
    serde_json::to_string(request).unwrap_or_default()
}
