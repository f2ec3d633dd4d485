//! A run that restarts: its jobs leave the queue, and what the queue knows of it is as it was
//! before the first of them.

use std::sync::LazyLock;

use redis::Script;

use super::{KEEP_RUNS, Lane, Queue, QueueError};
use crate::run::RunId;

static RESTART: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("restart.lua")));

/// Counts that a run keeps when it restarts. All others begin at 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeptCounts {
    /// A count that becomes the sum of `summands`: what was asked for is what came of it, as
    /// everything else is asked for again.
    pub sum: &'static str,
    /// Counts that are kept and summed up.
    pub summands: &'static [&'static str],
    /// Counts that are kept.
    pub others: &'static [&'static str],
}

impl Queue {
    /// Restarts a run, whose lane is `lane`, for the `restarts`th time. Where it already
    /// has, nothing changes. Workers find that they hold its jobs no more.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn restart(
        &self,
        run: &RunId,
        lane: Lane,
        restarts: u64,
        kept: KeptCounts,
    ) -> Result<(), QueueError> {
        for partition in 0..self.partitions() {
            // First the jobs, in slices; the script that restarts the rest is short.
            self.sweep(run, partition, lane, &restarts.to_string())
                .await?;
            let keys = self.keys(partition);
            let mut call = RESTART.prepare_invoke();
            call.key(keys.run(run))
                .key(keys.pending(run))
                .key(keys.parked(run))
                .key(keys.queued(run));
            call.arg(restarts).arg(KEEP_RUNS.as_secs());
            call.arg(kept.sum).arg(kept.summands.len());
            call.arg(kept.summands).arg(kept.others);
            let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        }
        Ok(())
    }
}
