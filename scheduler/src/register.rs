//! The register of runs: what was asked for, how far it is, how it ended. Everything about runs
//! that stands in Redis outside the queues is written here and in `control`.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use jiff::Timestamp;
use redis::{AsyncCommands, Script, ScriptInvocation};
use sojourn::code::Coded;
use sojourn::connection::Redis;
use sojourn::queue::{KEEP_RUNS, Kind, QueueError, Queues, Standing};
use sojourn::run::RunId;

use crate::record::{PausedLane, RunRecord, RunState, RunStatus};
use crate::trigger::{Request, Scope};

static CREATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("create_run.lua")));
static UPDATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("update_run.lua")));
static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget_run.lua")));
static KEEP_USERS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("keep_users.lua")));
static RESTART: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("restart_run.lua")));
static END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("end_run.lua")));
static REOPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("reopen_run.lua")));

/// Counts that both kinds of queues keep; those of naming are shown with `naming_` before them.
const COUNTS_OF_BOTH: [&str; 8] = [
    "jobs", "done", "dead", "retried", "replayed", "planned", "requeued", "lost",
];

/// What cannot be done with the register.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Redis did not do it.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// The queue did not do it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// There is no such run.
    #[error("there is no run {0}; `sojourn runs` lists them (runs are kept for 30 days)")]
    UnknownRun(RunId),
    /// Another scheduler leads, and the register listens to that one.
    #[error("another scheduler leads; this one changes nothing in the register")]
    LeadLost,
    /// A run that cannot be repaired.
    #[error("run {run} cannot be repaired: {reason}")]
    BeyondRepair {
        /// The run.
        run: RunId,
        /// Why, and what to do instead.
        reason: String,
    },
    /// What stands there is not what Sojourn writes.
    #[error("{key}: not what this version of Sojourn writes ({reason})")]
    Foreign {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

impl RegisterError {
    /// Whether it is Redis that failed, and not what stands there.
    pub fn is_redis(&self) -> bool {
        matches!(self, RegisterError::Redis(_) | RegisterError::Queue(_))
    }
}

/// Reads and writes the register of runs.
#[derive(Clone, Debug)]
pub struct Register {
    pub(crate) redis: Redis,
    /// Identity of the scheduler that writes, empty for others.
    identity: String,
}

impl Register {
    /// The register in `redis`.
    pub fn new(redis: &Redis) -> Register {
        Register {
            redis: redis.clone(),
            identity: String::new(),
        }
    }

    /// The register as the scheduler with this identity sees it: what it writes is refused with
    /// [`RegisterError::LeadLost`] while it does not lead, however late it comes.
    pub fn led_by(redis: &Redis, identity: &str) -> Register {
        Register {
            redis: redis.clone(),
            identity: identity.to_owned(),
        }
    }

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

    /// Calls a script that listens to the leader.
    async fn ask(&self, call: &ScriptInvocation<'_>) -> Result<u64, RegisterError> {
        let answer: i64 = call.invoke_async(&mut self.redis.commands()).await?;
        u64::try_from(answer).map_err(|_| RegisterError::LeadLost)
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
    pub(crate) async fn restart_script(
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

    /// A run as the register knows it.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown.
    pub async fn run(&self, id: &RunId) -> Result<RunRecord, RegisterError> {
        let key = self.redis.keys().run(id);
        let fields: HashMap<String, String> = self.redis.commands().hgetall(&key).await?;
        if fields.is_empty() {
            return Err(RegisterError::UnknownRun(id.clone()));
        }
        RunRecord::read(id.clone(), &fields)
            .map_err(|reason| RegisterError::Foreign { key, reason })
    }

    /// The runs that are not over, in no particular order.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn active_runs(&self) -> Result<Vec<RunRecord>, RegisterError> {
        let ids: Vec<String> = self
            .redis
            .commands()
            .smembers(self.redis.keys().active_runs())
            .await?;
        let mut runs = Vec::with_capacity(ids.len());
        for id in ids.iter().filter_map(|id| RunId::parse(id).ok()) {
            match self.run(&id).await {
                Ok(record) => runs.push(record),
                // Somebody deleted it; the runs beside it go on.
                Err(RegisterError::UnknownRun(id)) => self.forget(&id).await?,
                Err(error @ RegisterError::Foreign { .. }) => {
                    tracing::warn!(code = %error.code(), %error, "leaving out a run");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(runs)
    }

    async fn forget(&self, id: &RunId) -> Result<(), RegisterError> {
        let keys = self.redis.keys();
        let mut call = FORGET.prepare_invoke();
        call.key(keys.run(id))
            .key(keys.active_runs())
            .key(keys.leader());
        call.arg(&self.identity).arg(id.as_str());
        self.ask(&call).await?;
        Ok(())
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

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn runs(&self, most: usize) -> Result<Vec<RunRecord>, RegisterError> {
        let index = self.redis.keys().run_index();
        let last = isize::try_from(most).unwrap_or(isize::MAX).max(1) - 1;
        let ids: Vec<String> = self.redis.commands().zrevrange(&index, 0, last).await?;
        let mut runs = Vec::with_capacity(ids.len());
        for id in ids {
            let Ok(run) = RunId::parse(&id) else { continue };
            match self.run(&run).await {
                Ok(record) => runs.push(record),
                // Its time was up; the index has no expiry of its own.
                Err(RegisterError::UnknownRun(_)) => {
                    let () = self.redis.commands().zrem(&index, &id).await?;
                }
                Err(error @ RegisterError::Foreign { .. }) => {
                    tracing::warn!(code = %error.code(), %error, "leaving out a run");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(runs)
    }

    /// How far a run is.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown.
    pub async fn status(&self, id: &RunId, queues: &Queues) -> Result<RunStatus, RegisterError> {
        let record = self.run(id).await?;
        let extract = queues.extract.standing(id).await?;
        let name = queues.name.standing(id).await?;
        let lane = record.lane_to_go();
        let lanes = |kind, standing: &Standing| {
            let lanes = standing.paused_lanes.iter().copied();
            let ours = lanes.filter(|&paused| Some(paused) == lane);
            ours.map(move |lane| PausedLane { kind, lane })
                .collect::<Vec<_>>()
        };
        let mut paused_lanes = lanes(Kind::Extract, &extract);
        paused_lanes.extend(lanes(Kind::Name, &name));
        let lost = lost(&extract, &name);
        let mut counts: BTreeMap<String, u64> = extract.counts.into_iter().collect();
        counts.extend(name.counts.into_iter().map(|(count, amount)| {
            let ours = COUNTS_OF_BOTH.contains(&count.as_str());
            (
                if ours {
                    format!("naming_{count}")
                } else {
                    count
                },
                amount,
            )
        }));
        Ok(RunStatus {
            record,
            pending: extract.pending,
            naming_pending: name.pending,
            counts,
            lost,
            paused_lanes,
        })
    }
}

/// Lanes that are paused, for all runs.
///
/// # Errors
/// When Redis fails.
pub async fn paused_lanes(queues: &Queues) -> Result<Vec<PausedLane>, QueueError> {
    let mut paused = Vec::new();
    for queue in [&queues.extract, &queues.name] {
        let kind = queue.kind();
        let lanes = queue.paused_lanes().await?.into_iter();
        paused.extend(lanes.map(|lane| PausedLane { kind, lane }));
    }
    Ok(paused)
}

/// Jobs that Redis has lost and that nobody can queue again: those that were missed, and naming jobs
/// that are not even known any more where extraction jobs have queued them. `extract` must have been
/// read first.
pub(crate) fn lost(extract: &Standing, name: &Standing) -> u64 {
    let forgotten = extract
        .count("naming_queued")
        .saturating_sub(name.count("jobs"));
    extract.count("lost") + name.count("lost") + forgotten
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Requests are plain data; serialising them cannot fail.
fn json(request: &Request) -> String {
    serde_json::to_string(request).unwrap_or_default()
}
