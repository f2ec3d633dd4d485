//! Jobs that are queued: by the plan of a run, and as a consequence of other jobs.

use std::sync::LazyLock;

use redis::Script;

use super::partitions::ATTEMPTS_PER_RESTART;
use super::{KEEP_RUNS, Lane, Queue, QueueError};
use crate::run::RunId;

/// What `enqueue.lua` says of a run that takes no jobs because it is cancelled, or paused.
const CANCELLED: i64 = -1;

/// What it says of a run that is over.
const OVER: i64 = -2;

static ENQUEUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("enqueue.lua")));

/// A job to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Unique in its run, and the same whenever the run is planned again.
    pub id: String,
    /// See [`encode`](super::encode).
    pub payload: Vec<u8>,
    /// What the job adds to a count of its run when it is queued, so that its size is known before
    /// it is done.
    pub size: Option<(&'static str, u64)>,
}

/// What became of jobs that follow from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// They are queued, or were before.
    Queued,
    /// They are not, as the run is cancelled.
    Cancelled,
    /// They are not, as the run is over. Whoever still holds the job that they follow from comes just
    /// before the run is reopened; for all others it is too late.
    Over,
}

impl Queue {
    /// Queues jobs that `run`'s planning gives to `partition`, of which `cursor` were given before.
    /// Returns the new cursor, or `None` when the run is cancelled or paused. When `cursor` was not what the
    /// partition remembers, nothing is queued and its memory is returned.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn enqueue_planned(
        &self,
        run: &RunId,
        lane: Lane,
        partition: u32,
        cursor: u64,
        jobs: &[NewJob],
    ) -> Result<Option<u64>, QueueError> {
        let found = self
            .enqueue_script(run, lane, partition, Some(cursor), jobs)
            .await?;
        Ok(u64::try_from(found).ok())
    }

    /// Queues jobs that follow from another job of `run`. A job that was queued before is not queued
    /// again; one of a run that is paused waits until that goes on.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn enqueue(
        &self,
        run: &RunId,
        lane: Lane,
        partition: u32,
        jobs: &[NewJob],
    ) -> Result<Enqueued, QueueError> {
        let found = self
            .enqueue_script(run, lane, partition, None, jobs)
            .await?;
        Ok(match found {
            CANCELLED => Enqueued::Cancelled,
            OVER => Enqueued::Over,
            _ => Enqueued::Queued,
        })
    }

    async fn enqueue_script(
        &self,
        run: &RunId,
        lane: Lane,
        partition: u32,
        cursor: Option<u64>,
        jobs: &[NewJob],
    ) -> Result<i64, QueueError> {
        let keys = self.keys(partition);
        let mut call = ENQUEUE.prepare_invoke();
        call.key(keys.lane(lane))
            .key(keys.run(run))
            .key(keys.pending(run))
            .key(keys.parked(run));
        if cursor.is_none() {
            call.key(keys.queued(run));
        }
        call.arg(cursor.map(|c| c.to_string()).unwrap_or_default())
            .arg(KEEP_RUNS.as_secs())
            .arg(ATTEMPTS_PER_RESTART);
        for job in jobs {
            let (count, amount) = job.size.unwrap_or(("", 0));
            call.arg(&job.id).arg(run.as_str()).arg(&job.payload);
            call.arg(count).arg(amount);
        }
        Ok(call.invoke_async(&mut self.redis.commands()).await?)
    }
}
