//! Pausing, resuming, cancelling and repairing a run: the register and the queues together.

use std::sync::LazyLock;

use redis::Script;
use sojourn::queue::Queues;
use sojourn::run::RunId;

use super::{Register, RegisterError};
use crate::record::RunState;
use crate::trigger::Scope;

static PAUSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("pause_run.lua")));
static RESUME: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("resume_run.lua")));

impl Register {
    /// Stops a run from going on until it is resumed: what workers hold is finished, and nothing
    /// else begun. Returns `false` when it was over already.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown; doing it again is safe.
    pub async fn pause(&self, id: &RunId, queues: &Queues) -> Result<bool, RegisterError> {
        let record = self.run(id).await?;
        // First the register: the scheduler queues no more.
        let call = PAUSE.key(self.redis.keys().run(id));
        let paused: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        let Some(request) = record.request.filter(|_| paused == 1) else {
            return Ok(false);
        };
        queues.extract.pause(id, request.lane).await?;
        queues.name.pause(id, request.lane).await?;
        Ok(true)
    }

    /// Lets a paused run go on. Returns `false` when it was over already.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown; doing it again is safe.
    pub async fn resume(&self, id: &RunId, queues: &Queues) -> Result<bool, RegisterError> {
        let record = self.run(id).await?;
        let is_over = record.state.is_over();
        let Some(request) = record.request.filter(|_| !is_over) else {
            return Ok(false);
        };
        // It may be that a day has more money now, or that workers know what tokens cost.
        self.ledgers().try_again(id).await?;
        if record.state == RunState::Budget {
            return Ok(true);
        }
        // Last the register: what it says is true of all partitions, whenever this is cut short.
        queues.extract.resume(id, request.lane).await?;
        queues.name.resume(id, request.lane).await?;
        let call = RESUME.key(self.redis.keys().run(id));
        let resumed: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(resumed == 1)
    }

    /// Ends a run before it is done: its jobs leave the queues, and workers drop what they hold.
    /// Returns `false` when it was over already.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown; doing it again is safe.
    pub async fn cancel(&self, id: &RunId, queues: &Queues) -> Result<bool, RegisterError> {
        self.run(id).await?;
        // First the state, so that the scheduler plans no more; the queues refuse it anyway.
        let ended = self.end(id, RunState::Cancelled, None).await?;
        // Cancelled before, by a command that may have been cut short here; or just now, by a call that
        // a cluster's client has repeated.
        if ended || self.run(id).await?.state == RunState::Cancelled {
            queues.extract.cancel(id).await?;
            queues.name.cancel(id).await?;
        }
        Ok(ended)
    }

    /// Restarts a run because somebody asked for it: results that are missing are written,
    /// and names that are there are kept.
    ///
    /// # Errors
    /// [`RegisterError::BeyondRepair`] unless it is running or done; also of one that is done and
    /// was about a cohort, as who was in that is not known any more.
    pub async fn repair(&self, id: &RunId) -> Result<(), RegisterError> {
        let record = self.run(id).await?;
        let reason = match record.state {
            RunState::Paused => format!("it is paused; `sojourn resume {id}` first"),
            RunState::Budget => {
                format!("it has no money left; `sojourn budget {id} AMOUNT` gives it more")
            }
            RunState::Planning => "it is not planned yet, and has nothing to lose".into(),
            state @ (RunState::Failed | RunState::Cancelled) => {
                format!("it is {}; ask for it again", state.as_str())
            }
            RunState::Running | RunState::Done => {
                if self.restart_script(&record, None).await? {
                    return Ok(());
                }
                let scope = record.request.map(|request| request.scope);
                if matches!(scope, Some(Scope::Cohort(_))) {
                    "who was in its cohort is not known any more; recompute the cohort again".into()
                } else {
                    "it has just changed; look at it with `sojourn run`".into()
                }
            }
        };
        let run = id.clone();
        Err(RegisterError::BeyondRepair { run, reason })
    }
}
