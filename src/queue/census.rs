//! The pending sets against the queue: which jobs a Redis has lost that lost acknowledged writes, or
//! whose entries somebody deleted.

use std::collections::HashSet;
use std::sync::LazyLock;

use redis::Script;

use super::partitions::ATTEMPTS_PER_RESTART;
use super::{Lane, NewJob, Queue, QueueError};
use crate::run::RunId;

static CENSUS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("census.lua")));
static REQUEUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("requeue.lua")));
static LOSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lose.lua")));

/// Entries that one call looks at: a few milliseconds, in which the server does nothing else.
const READ_AT_ONCE: usize = 500;

/// Jobs that one call queues again: as many as planning queues.
const REQUEUED_AT_ONCE: usize = 32;

/// Attempts that a job counts as made that is queued again. Whoever held the vanished entry made
/// fewer, so that what it still writes never fences off the new attempt. That two such entries of one
/// job count the same is harmless: they write the same, and a name in between is not overwritten, as
/// every write says which revision it has read.
const ATTEMPTS_BEFORE_REQUEUE: u64 = ATTEMPTS_PER_RESTART / 2;

/// A job that is pending, and that the queue does not have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Missing {
    /// The run.
    pub run: RunId,
    /// The partition in whose pending set it is.
    pub partition: u32,
    /// The job.
    pub job: String,
}

impl Queue {
    /// Jobs of some runs that are pending and were found nowhere: not in a lane, leased or not, not
    /// waiting for another attempt, not parked.
    ///
    /// Jobs move while this reads, in slices, so one look proves nothing; two in a row that miss the
    /// same job do so well enough. A wrong guess costs work and nothing else: the second entry of a
    /// job that was there changes no count when it ends.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn missing(&self, runs: &[RunId]) -> Result<HashSet<Missing>, QueueError> {
        let mut missing = HashSet::new();
        for partition in 0..self.partitions() {
            // First what is pending: what joins later is not looked for.
            let mut pending = HashSet::new();
            for run in runs {
                let jobs = self.members(&self.keys(partition).pending(run)).await?;
                pending.extend(jobs.into_iter().map(|job| (run.as_str().to_owned(), job)));
            }
            if pending.is_empty() {
                continue;
            }
            let keys = self.keys(partition);
            for lane in Lane::ALL {
                // A job goes from its lane to the retry set, and from there to the end of its lane.
                self.strike(&mut pending, &keys.retry(lane), "0").await?;
                self.strike(&mut pending, &keys.lane(lane), "-").await?;
                self.strike(&mut pending, &keys.retry(lane), "0").await?;
            }
            for run in runs {
                self.strike(&mut pending, &keys.parked(run), "-").await?;
            }
            missing.extend(pending.into_iter().filter_map(|(run, job)| {
                let run = RunId::parse(&run).ok()?;
                Some(Missing {
                    run,
                    partition,
                    job,
                })
            }));
        }
        Ok(missing)
    }

    /// Removes what is found at `key` from `pending`.
    async fn strike(
        &self,
        pending: &mut HashSet<(String, String)>,
        key: &str,
        begin: &str,
    ) -> Result<(), QueueError> {
        let mut from = begin.to_owned();
        while !from.is_empty() {
            let mut call = CENSUS.key(key);
            call.arg(&from).arg(READ_AT_ONCE);
            let found: Vec<String> = call.invoke_async(&mut self.redis.commands()).await?;
            let mut found = found.into_iter();
            from = found.next().unwrap_or_default();
            while let (Some(run), Some(job)) = (found.next(), found.next()) {
                pending.remove(&(run, job));
            }
        }
        Ok(())
    }

    async fn members(&self, key: &str) -> Result<Vec<String>, QueueError> {
        let mut members = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let (next, slice): (String, Vec<String>) = redis::cmd("SSCAN")
                .arg(&[key, &cursor, "COUNT"])
                .arg(READ_AT_ONCE)
                .query_async(&mut self.redis.commands())
                .await?;
            members.extend(slice);
            if next == "0" {
                return Ok(members);
            }
            cursor = next;
        }
    }

    /// Queues jobs of a run again that are missing. `restarts` is how often the run had restarted
    /// when they were missed. Returns how many were queued: those that are still pending.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn requeue(
        &self,
        run: &RunId,
        lane: Lane,
        partition: u32,
        restarts: u64,
        jobs: &[NewJob],
    ) -> Result<u64, QueueError> {
        let keys = self.keys(partition);
        let mut requeued = 0;
        for jobs in jobs.chunks(REQUEUED_AT_ONCE) {
            let mut call = REQUEUE.prepare_invoke();
            call.key(keys.lane(lane))
                .key(keys.run(run))
                .key(keys.pending(run));
            call.arg(restarts)
                .arg(restarts * ATTEMPTS_PER_RESTART + ATTEMPTS_BEFORE_REQUEUE);
            for job in jobs {
                call.arg(&job.id).arg(run.as_str()).arg(&job.payload);
            }
            let of_call: u64 = call.invoke_async(&mut self.redis.commands()).await?;
            requeued += of_call;
        }
        Ok(requeued)
    }

    /// Gives up jobs of a run that are missing and that nobody can make again: the run counts them
    /// as `lost`, and waits for them no more. Returns how many there were.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn lose(
        &self,
        run: &RunId,
        partition: u32,
        restarts: u64,
        jobs: &[String],
    ) -> Result<u64, QueueError> {
        let keys = self.keys(partition);
        let mut lost = 0;
        for jobs in jobs.chunks(READ_AT_ONCE) {
            let mut call = LOSE.prepare_invoke();
            call.key(keys.run(run)).key(keys.pending(run));
            call.arg(restarts).arg(jobs);
            let of_call: u64 = call.invoke_async(&mut self.redis.commands()).await?;
            lost += of_call;
        }
        Ok(lost)
    }
}
