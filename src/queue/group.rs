//! The consumer group of every lane, and the workers in it.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use super::partitions::millis;
use super::{Queue, QueueError};

/// The consumer group of every lane.
pub(super) const GROUP: &str = "workers";

static RETIRE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("retire.lua")));

impl Queue {
    /// Forgets a worker that stops. A job that it still holds keeps it known until somebody has
    /// taken that over.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn retire(&self, worker: &str) -> Result<u64, QueueError> {
        self.retire_script(worker, Duration::ZERO).await
    }

    /// Forgets workers that have held nothing and asked for nothing for `idle`: they were killed.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn forget_idle_workers(&self, idle: Duration) -> Result<u64, QueueError> {
        self.retire_script("", idle).await
    }

    async fn retire_script(&self, worker: &str, idle: Duration) -> Result<u64, QueueError> {
        let mut removed = 0;
        for (partition, lane) in self.lanes() {
            let mut call = RETIRE.prepare_invoke();
            call.key(self.keys(partition).lane(lane));
            call.arg(GROUP).arg(millis(idle)).arg(worker);
            let of_lane: u64 = call.invoke_async(&mut self.redis.commands()).await?;
            removed += of_lane;
        }
        Ok(removed)
    }
}
