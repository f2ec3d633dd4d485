//! What cannot be done with the register.

use sojourn::queue::QueueError;
use sojourn::run::RunId;

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
