//! The register of runs: what was asked for, how far it is, how it ended. Everything about runs
//! that stands in Redis outside the queues is written here.

mod budget;
mod control;
mod error;
mod life;
mod status;

use std::collections::HashMap;
use std::sync::LazyLock;

use redis::{AsyncCommands, Script, ScriptInvocation};
use sojourn::code::Coded;
use sojourn::connection::Redis;
use sojourn::run::RunId;

use crate::record::RunRecord;
pub use error::RegisterError;
pub(crate) use status::lost;
pub use status::paused_lanes;

static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget_run.lua")));

/// Reads and writes the register of runs.
#[derive(Clone, Debug)]
pub struct Register {
    redis: Redis,
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
        let key = self.redis.keys().active_runs();
        let ids: Vec<String> = self.redis.commands().smembers(key).await?;
        let (runs, gone) = self.readable(ids).await?;
        for id in gone {
            // Somebody deleted it; the runs beside it go on.
            self.forget(&id).await?;
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

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn runs(&self, most: usize) -> Result<Vec<RunRecord>, RegisterError> {
        let index = self.redis.keys().run_index();
        let last = isize::try_from(most).unwrap_or(isize::MAX).max(1) - 1;
        let ids: Vec<String> = self.redis.commands().zrevrange(&index, 0, last).await?;
        let (runs, gone) = self.readable(ids).await?;
        for id in gone {
            // Its time was up; the index has no expiry of its own.
            let () = self.redis.commands().zrem(&index, id.as_str()).await?;
        }
        Ok(runs)
    }

    /// The runs with these ids, as far as this version can read them; and the ids of those that are
    /// not there any more.
    async fn readable(
        &self,
        ids: Vec<String>,
    ) -> Result<(Vec<RunRecord>, Vec<RunId>), RegisterError> {
        let (mut runs, mut gone) = (Vec::with_capacity(ids.len()), Vec::new());
        for id in ids.iter().filter_map(|id| RunId::parse(id).ok()) {
            match self.run(&id).await {
                Ok(record) => runs.push(record),
                Err(RegisterError::UnknownRun(id)) => gone.push(id),
                Err(error @ RegisterError::Foreign { .. }) => {
                    tracing::warn!(code = %error.code(), %error, "leaving out a run");
                }
                Err(error) => return Err(error),
            }
        }
        Ok((runs, gone))
    }

    /// Calls a script that listens to the leader.
    async fn ask(&self, call: &ScriptInvocation<'_>) -> Result<u64, RegisterError> {
        let answer: i64 = call.invoke_async(&mut self.redis.commands()).await?;
        u64::try_from(answer).map_err(|_| RegisterError::LeadLost)
    }
}
