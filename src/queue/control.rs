//! Pausing, resuming, cancelling and ending: a run in all partitions, or a lane for all runs.

use std::sync::LazyLock;

use redis::{AsyncCommands, Script};

use super::group::GROUP;
use super::{KEEP_RUNS, Lane, Queue, QueueError};
use crate::run::RunId;

/// Entries that one call looks at while the jobs of a run are taken out or put back: a few
/// milliseconds, in which the server does nothing else.
pub(super) const SWEPT_AT_ONCE: usize = 500;

static MARK_RUN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("mark_run.lua")));
static SWEEP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("sweep.lua")));
static CLOSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("close.lua")));
static PAUSE_LANE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("pause_lane.lua")));
static REOPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("reopen.lua")));
static UNPARK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("unpark.lua")));

/// What a run is told in every partition.
#[derive(Clone, Copy)]
enum Mark {
    Cancelled,
    Paused,
    GoesOn,
}

impl Mark {
    fn as_str(self) -> &'static str {
        match self {
            Mark::Cancelled => "cancelled",
            Mark::Paused => "paused",
            Mark::GoesOn => "",
        }
    }
}

impl Queue {
    /// Takes every job of a run out of the queue, for ever. Returns how many were not finished.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn cancel(&self, run: &RunId) -> Result<u64, QueueError> {
        self.mark(run, Mark::Cancelled).await?;
        for (partition, lane) in self.lanes() {
            self.sweep(run, partition, lane, "cancelled").await?;
        }
        let mut unfinished = 0;
        for partition in 0..self.partitions() {
            let keys = self.keys(partition);
            let mut connection = self.redis.commands();
            // Not in a transaction, which a server without memory refuses. Nothing is added any
            // more.
            let left: u64 = connection.scard(keys.pending(run)).await?;
            let () = connection
                .unlink(&[keys.pending(run), keys.parked(run), keys.queued(run)])
                .await?;
            unfinished += left;
        }
        Ok(unfinished)
    }

    /// Keeps what is known of a run for another [`KEEP_RUNS`]: it may go on for longer than that after
    /// its last job was queued.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn keep(&self, run: &RunId) -> Result<(), QueueError> {
        let seconds = KEEP_RUNS.as_secs() as i64;
        for partition in 0..self.partitions() {
            let keys = self.keys(partition);
            let mut calls = redis::pipe();
            for key in [
                keys.run(run),
                keys.pending(run),
                keys.parked(run),
                keys.queued(run),
            ] {
                calls.expire(key, seconds).ignore();
            }
            calls.exec_async(&mut self.redis.commands()).await?;
        }
        Ok(())
    }

    /// Ends a run in the queue: nothing of it can be added any more, and its counts are final.
    /// Returns `false` while a job of it is pending, or the run is paused or cancelled.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn close(&self, run: &RunId) -> Result<bool, QueueError> {
        for partition in 0..self.partitions() {
            let keys = self.keys(partition);
            let mut call = CLOSE.prepare_invoke();
            call.key(keys.run(run))
                .key(keys.pending(run))
                .key(keys.queued(run));
            call.arg(KEEP_RUNS.as_secs());
            let closed: u8 = call.invoke_async(&mut self.redis.commands()).await?;
            if closed == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes jobs of a run again that was closed.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn reopen(&self, run: &RunId) -> Result<(), QueueError> {
        for partition in 0..self.partitions() {
            let call = REOPEN.key(self.keys(partition).run(run));
            let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        }
        Ok(())
    }

    /// Parks the jobs of a run, whose lane is `lane`. Those that workers hold are finished, and
    /// what fails or follows from them is parked as well.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn pause(&self, run: &RunId, lane: Lane) -> Result<(), QueueError> {
        self.mark(run, Mark::Paused).await?;
        for partition in 0..self.partitions() {
            self.sweep(run, partition, lane, "paused").await?;
        }
        Ok(())
    }

    /// Lets a run go on that was paused.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn resume(&self, run: &RunId, lane: Lane) -> Result<(), QueueError> {
        self.mark(run, Mark::GoesOn).await?;
        for partition in 0..self.partitions() {
            let keys = self.keys(partition);
            loop {
                let mut call = UNPARK.prepare_invoke();
                call.key(keys.parked(run))
                    .key(keys.lane(lane))
                    .key(keys.run(run));
                call.arg(SWEPT_AT_ONCE);
                let left: u64 = call.invoke_async(&mut self.redis.commands()).await?;
                if left == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn mark(&self, run: &RunId, mark: Mark) -> Result<(), QueueError> {
        for partition in 0..self.partitions() {
            let mut call = MARK_RUN.key(self.keys(partition).run(run));
            call.arg(mark.as_str()).arg(KEEP_RUNS.as_secs());
            let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        }
        Ok(())
    }

    /// Takes the jobs of a run out of one lane; `why` is that of the script.
    pub(super) async fn sweep(
        &self,
        run: &RunId,
        partition: u32,
        lane: Lane,
        why: &str,
    ) -> Result<(), QueueError> {
        let keys = self.keys(partition);
        let mut from = "retry 0".to_owned();
        while !from.is_empty() {
            let mut call = SWEEP.prepare_invoke();
            call.key(keys.lane(lane))
                .key(keys.retry(lane))
                .key(keys.run(run))
                .key(keys.parked(run));
            call.arg(GROUP).arg(run.as_str()).arg(why);
            call.arg(&from).arg(SWEPT_AT_ONCE).arg(KEEP_RUNS.as_secs());
            from = call.invoke_async(&mut self.redis.commands()).await?;
        }
        Ok(())
    }

    /// Stops giving out jobs of a lane, of whichever run. Those that workers hold are finished.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn pause_lane(&self, lane: Lane) -> Result<(), QueueError> {
        for partition in 0..self.partitions() {
            let call = PAUSE_LANE.key(self.keys(partition).paused(lane));
            let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        }
        Ok(())
    }

    /// Gives out jobs of a lane again.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn resume_lane(&self, lane: Lane) -> Result<(), QueueError> {
        for partition in 0..self.partitions() {
            let key = self.keys(partition).paused(lane);
            let () = self.redis.commands().del(key).await?;
        }
        Ok(())
    }

    /// Which lanes are paused, if only in some of the partitions.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn paused_lanes(&self) -> Result<Vec<Lane>, QueueError> {
        let mut paused = Vec::new();
        for partition in 0..self.partitions() {
            paused.extend(self.paused_lanes_of(partition).await?);
        }
        Ok(Lane::ALL
            .into_iter()
            .filter(|lane| paused.contains(lane))
            .collect())
    }

    pub(super) async fn paused_lanes_of(&self, partition: u32) -> Result<Vec<Lane>, QueueError> {
        let keys = self.keys(partition);
        let [high, low] = Lane::ALL.map(|lane| keys.paused(lane));
        let paused: (bool, bool) = redis::pipe()
            .exists(high)
            .exists(low)
            .query_async(&mut self.redis.commands())
            .await?;
        let lanes = Lane::ALL.into_iter().zip([paused.0, paused.1]);
        Ok(lanes
            .filter(|(_, paused)| *paused)
            .map(|(lane, _)| lane)
            .collect())
    }
}
