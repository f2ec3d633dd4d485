//! The queue in Redis: every command and script of it is here.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use redis::{AsyncCommands, Script};

use super::lease::{Fields, Foreign};
use super::{Kind, Lane, Lease, Outcome, Renewal, Standing};
use crate::code::Code;
use crate::connection::{MAX_BLOCK, Redis};
use crate::keys::PartitionKeys;
use crate::run::RunId;

/// The consumer group of every lane.
const GROUP: &str = "workers";

/// How long the counts of a run are kept, so that nothing of it stays for ever.
pub const KEEP_RUNS: Duration = Duration::from_secs(30 * 24 * 3600);

/// Entries that one call looks at while a run is cancelled: a few milliseconds, in which the server
/// does nothing else.
const CANCELLED_AT_ONCE: usize = 500;

/// What `settle.lua` says when it has applied an outcome.
const APPLIED: i8 = 1;

/// What it says of a job that cannot be called done.
const DOUBTFUL: i8 = -1;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("renew.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));
static ENQUEUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("enqueue.lua")));
static CANCEL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("cancel.lua")));
static BURY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("bury.lua")));
static CLOSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("close.lua")));
static INCARNATION: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("incarnation.lua")));
static RETIRE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("retire.lua")));

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

/// A queue operation that failed; worth another try.
#[derive(Debug, thiserror::Error)]
#[error("redis: {0}")]
pub struct QueueError(#[from] pub(crate) redis::RedisError);

/// One kind of queue.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) redis: Redis,
    pub(super) kind: Kind,
    pub(super) partitions: u32,
}

impl Queue {
    /// The queue of `kind`. All processes must agree on the number of partitions: see
    /// [`Queues`](super::Queues).
    pub fn new(redis: Redis, kind: Kind, partitions: u32) -> Queue {
        Queue {
            redis,
            kind,
            partitions: partitions.max(1),
        }
    }

    /// What the jobs ask for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    pub(super) fn keys(&self, partition: u32) -> PartitionKeys {
        self.redis.keys().partition(self.kind, partition)
    }

    /// Every lane of every partition.
    fn lanes(&self) -> impl Iterator<Item = (u32, Lane)> {
        (0..self.partitions).flat_map(|partition| Lane::ALL.map(|lane| (partition, lane)))
    }

    /// Queues jobs that `run`'s planning gives to `partition`, of which `cursor` were given before.
    /// Returns the new cursor, or `None` when the run is cancelled. When `cursor` was not what the
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
        self.enqueue_script(run, lane, partition, Some(cursor), jobs)
            .await
    }

    /// Queues jobs that follow from another job of `run`. Returns `false` when the run is cancelled
    /// or over. A job that was queued before is not queued again.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn enqueue(
        &self,
        run: &RunId,
        lane: Lane,
        partition: u32,
        jobs: &[NewJob],
    ) -> Result<bool, QueueError> {
        let planned = self
            .enqueue_script(run, lane, partition, None, jobs)
            .await?;
        Ok(planned.is_some())
    }

    async fn enqueue_script(
        &self,
        run: &RunId,
        lane: Lane,
        partition: u32,
        cursor: Option<u64>,
        jobs: &[NewJob],
    ) -> Result<Option<u64>, QueueError> {
        let keys = self.keys(partition);
        let mut call = ENQUEUE.prepare_invoke();
        call.key(keys.lane(lane))
            .key(keys.run(run))
            .key(keys.pending(run));
        if cursor.is_none() {
            call.key(keys.queued(run));
        }
        call.arg(cursor.map(|c| c.to_string()).unwrap_or_default())
            .arg(KEEP_RUNS.as_secs());
        for job in jobs {
            let (count, amount) = job.size.unwrap_or(("", 0));
            call.arg(&job.id).arg(run.as_str()).arg(&job.payload);
            call.arg(count).arg(amount);
        }
        let planned: i64 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(u64::try_from(planned).ok())
    }

    /// Takes a job of one lane of a partition without waiting: one of a worker that fell silent for
    /// `lease`, else a new one.
    ///
    /// # Errors
    /// When Redis fails. What it had handed out already comes back after the lease time.
    pub async fn take(
        &self,
        worker: &str,
        lane: Lane,
        partition: u32,
        lease: Duration,
    ) -> Result<Option<Lease>, QueueError> {
        let keys = self.keys(partition);
        let mut call = TAKE.prepare_invoke();
        call.key(keys.lane(lane)).key(keys.retry(lane));
        call.arg(GROUP).arg(worker).arg(millis(lease));
        let (losses, taken): (u64, Option<(String, u32, Fields)>) =
            call.invoke_async(&mut self.redis.commands()).await?;
        if losses > 0 {
            tracing::error!(code = %Code::Vanished, kind = %self.kind, %lane, partition, losses, "leased jobs vanished from the stream; was it trimmed or deleted by hand? Their runs will not end: cancel them and run again");
        }
        match taken {
            Some((entry, deliveries, fields)) => {
                self.read(worker, lane, partition, entry, deliveries, &fields)
                    .await
            }
            None => Ok(None),
        }
    }

    /// Waits for up to `block`, at most [`MAX_BLOCK`], for a new job of a partition and takes it. At
    /// most one job of each lane comes back, the more urgent first.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn wait(
        &self,
        worker: &str,
        partition: u32,
        block: Duration,
    ) -> Result<Vec<Lease>, QueueError> {
        type Read = Option<Vec<(String, Vec<(String, Fields)>)>>;
        let keys = self.keys(partition);
        let mut connection = self.redis.blocking().await?;
        let read: Read = redis::cmd("XREADGROUP")
            .arg(&["GROUP", GROUP, worker, "COUNT", "1", "BLOCK"])
            .arg(millis(block.min(MAX_BLOCK)))
            .arg("STREAMS")
            .arg(&Lane::ALL.map(|lane| keys.lane(lane)))
            .arg(&Lane::ALL.map(|_| ">"))
            .query_async(&mut connection)
            .await?;
        let mut leases = Vec::new();
        for (stream, entries) in read.unwrap_or_default() {
            // The streams come back in the order in which they were named.
            let lane = Lane::ALL
                .into_iter()
                .find(|&lane| keys.lane(lane) == stream);
            let Some(lane) = lane else { continue };
            for (entry, fields) in entries {
                let lease = self.read(worker, lane, partition, entry, 1, &fields);
                leases.extend(lease.await?);
            }
        }
        Ok(leases)
    }

    /// The lease of an entry that was handed out; an entry that is no job is buried.
    async fn read(
        &self,
        worker: &str,
        lane: Lane,
        partition: u32,
        entry: String,
        deliveries: u32,
        fields: &Fields,
    ) -> Result<Option<Lease>, QueueError> {
        let id = entry.clone();
        match Lease::read(lane, partition, entry, deliveries, fields) {
            Ok(mut lease) => {
                lease.server = self.incarnation(lane, partition).await;
                Ok(Some(lease))
            }
            Err(foreign) => {
                self.bury(worker, lane, partition, &id, deliveries, &foreign)
                    .await?;
                Ok(None)
            }
        }
    }

    /// Which process of the server has a lane. Empty when it does not say: the job is then done again,
    /// which is better than to leave it until its lease is over.
    async fn incarnation(&self, lane: Lane, partition: u32) -> String {
        let lane = self.keys(partition).lane(lane);
        let call = INCARNATION.key(lane);
        let answer = call.invoke_async(&mut self.redis.commands()).await;
        answer.unwrap_or_else(|error: redis::RedisError| {
            tracing::warn!(%error, "cannot ask which server this is");
            String::new()
        })
    }

    /// Renews a lease, so that it is not taken over while the work runs.
    ///
    /// # Errors
    /// When Redis fails; the lease then runs on until it was silent for too long.
    pub async fn renew(&self, worker: &str, lease: &Lease) -> Result<Renewal, QueueError> {
        let keys = self.keys(lease.partition);
        let mut call = RENEW.prepare_invoke();
        call.key(keys.lane(lease.lane)).key(keys.run(&lease.run));
        call.arg(GROUP)
            .arg(worker)
            .arg(&lease.entry)
            .arg(lease.deliveries);
        let found: String = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(match found.as_str() {
            "held" => Renewal::Held,
            "cancelled" => Renewal::Cancelled,
            _ => Renewal::Lost,
        })
    }

    /// Ends a lease. Returns `false`, and changed nothing, when it was no longer held. Also `false`
    /// when the job is done and the server is not the one any more that handed it out: that may have
    /// lost results that it had acknowledged, so the job is handed back and done again.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn settle(
        &self,
        worker: &str,
        lease: &Lease,
        outcome: &Outcome,
    ) -> Result<bool, QueueError> {
        let settled = self.settle_script(worker, lease, outcome).await?;
        if settled == DOUBTFUL {
            tracing::warn!(job = lease.job, run = %lease.run, "Redis was restarted, or another one took over, while a job was done; it is done again");
            self.settle_script(worker, lease, &Outcome::Release).await?;
        }
        Ok(settled == APPLIED)
    }

    async fn settle_script(
        &self,
        worker: &str,
        lease: &Lease,
        outcome: &Outcome,
    ) -> Result<i8, QueueError> {
        let keys = self.keys(lease.partition);
        let mut call = SETTLE.prepare_invoke();
        call.key(keys.lane(lease.lane))
            .key(keys.retry(lease.lane))
            .key(keys.dead());
        call.key(keys.run(&lease.run)).key(keys.pending(&lease.run));
        call.arg(GROUP)
            .arg(worker)
            .arg(&lease.entry)
            .arg(lease.deliveries)
            .arg(&lease.job);
        let next_attempt = match outcome {
            Outcome::Done(counts) => {
                call.arg("done").arg(&lease.server);
                for (name, amount) in counts {
                    call.arg(*name).arg(*amount);
                }
                Vec::new()
            }
            Outcome::Retry { after, .. } | Outcome::Postpone { after, .. } => {
                call.arg("retry").arg(millis(*after));
                lease.next_attempt(matches!(outcome, Outcome::Retry { .. }))
            }
            Outcome::Dead { error } | Outcome::Quarantined { error } => {
                call.arg("dead")
                    .arg("error")
                    .arg(error)
                    .arg("worker")
                    .arg(worker);
                call.arg("lane").arg(lease.lane.to_string());
                lease.next_attempt(matches!(outcome, Outcome::Dead { .. }))
            }
            Outcome::Release => {
                call.arg("release");
                lease.next_attempt(false)
            }
        };
        for (name, value) in next_attempt {
            call.arg(name).arg(value);
        }
        Ok(call.invoke_async(&mut self.redis.commands()).await?)
    }

    /// Moves an entry that is not a job to the dead stream, where it can be looked at.
    async fn bury(
        &self,
        worker: &str,
        lane: Lane,
        partition: u32,
        entry: &str,
        deliveries: u32,
        foreign: &Foreign,
    ) -> Result<(), QueueError> {
        let keys = self.keys(partition);
        let Foreign { reason, job } = foreign;
        tracing::error!(code = %Code::ForeignEntry, kind = %self.kind, %lane, partition, entry, reason, "an entry is not a job; moved to the dead letters");
        let mut call = BURY.prepare_invoke();
        call.key(keys.lane(lane)).key(keys.dead());
        if let Some((run, _)) = job {
            call.key(keys.run(run)).key(keys.pending(run));
        }
        call.arg(GROUP).arg(worker).arg(entry).arg(deliveries);
        call.arg(lane.to_string());
        let error = format!("not a job of this build: {reason}");
        call.arg(Code::ForeignEntry.before(error));
        call.arg(job.as_ref().map_or("", |(_, job)| job));
        let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(())
    }

    /// How many jobs of a lane of a partition are queued, leased ones included. A finished job is
    /// deleted from its stream, so this is our own count, unlike the stream's `lag`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn depth(&self, lane: Lane, partition: u32) -> Result<u64, QueueError> {
        let key = self.keys(partition).lane(lane);
        Ok(self.redis.commands().xlen(key).await?)
    }

    /// Takes every job of a run out of the queue. Returns how many were not finished.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn cancel(&self, run: &RunId) -> Result<u64, QueueError> {
        for (partition, lane) in self.lanes() {
            let keys = self.keys(partition);
            let mut from = "-".to_owned();
            while !from.is_empty() {
                let mut call = CANCEL.prepare_invoke();
                call.key(keys.lane(lane))
                    .key(keys.retry(lane))
                    .key(keys.run(run));
                call.arg(GROUP).arg(run.as_str()).arg(KEEP_RUNS.as_secs());
                call.arg(&from).arg(CANCELLED_AT_ONCE);
                from = call.invoke_async(&mut self.redis.commands()).await?;
            }
        }
        let mut unfinished = 0;
        for partition in 0..self.partitions {
            let keys = self.keys(partition);
            let (pending, queued) = (keys.pending(run), keys.queued(run));
            let mut connection = self.redis.commands();
            // Not in a transaction, which a server without memory refuses. Nothing is added any
            // more.
            let left: u64 = connection.scard(&pending).await?;
            let () = connection.unlink(&[pending, queued]).await?;
            unfinished += left;
        }
        Ok(unfinished)
    }

    /// Ends a run in the queue: nothing of it can be added any more, and its counts are final.
    /// Returns `false` while a job of it is pending.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn close(&self, run: &RunId) -> Result<bool, QueueError> {
        for partition in 0..self.partitions {
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

    /// How a run stands.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn standing(&self, run: &RunId) -> Result<Standing, QueueError> {
        let mut standing = Standing::default();
        for partition in 0..self.partitions {
            let keys = self.keys(partition);
            let (counts, pending): (HashMap<String, String>, u64) = redis::pipe()
                .hgetall(keys.run(run))
                .scard(keys.pending(run))
                .query_async(&mut self.redis.commands())
                .await?;
            standing.pending += pending;
            for (name, amount) in counts {
                // `state` is no count.
                if let Ok(amount) = amount.parse::<u64>() {
                    *standing.counts.entry(name).or_default() += amount;
                }
            }
        }
        Ok(standing)
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
