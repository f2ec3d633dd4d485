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
pub(super) const GROUP: &str = "workers";

/// How long the counts of a run are kept, so that nothing of it stays for ever.
pub const KEEP_RUNS: Duration = Duration::from_secs(30 * 24 * 3600);

/// What `enqueue.lua` says of a run that takes no jobs because it is cancelled, or paused.
const CANCELLED: i64 = -1;

/// What it says of a run that is over.
const OVER: i64 = -2;

/// What `settle.lua` says when it has applied an outcome.
const APPLIED: i8 = 1;

/// What it says of a job that cannot be called done.
const DOUBTFUL: i8 = -1;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("renew.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));
static ENQUEUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("enqueue.lua")));
static BURY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("bury.lua")));
static INCARNATION: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("incarnation.lua")));
static RETIRE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("retire.lua")));

/// Attempts that a job counts as made for each time that its run has begun again: more than any job
/// gets before, so that results of the jobs before never fence off those of the jobs after.
pub(super) const ATTEMPTS_PER_RESTART: u64 = 10_000;

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
    taken: &'static [Lane],
}

impl Queue {
    /// The queue of `kind`. All processes must agree on the number of partitions: see
    /// [`Queues`](super::Queues).
    pub fn new(redis: Redis, kind: Kind, partitions: u32) -> Queue {
        Queue {
            redis,
            kind,
            partitions: partitions.max(1),
            taken: &Lane::ALL,
        }
    }

    /// The same queue for a worker that takes jobs from these lanes only, the more urgent first.
    #[must_use]
    pub fn taking(self, lanes: &'static [Lane]) -> Queue {
        Queue {
            taken: lanes,
            ..self
        }
    }

    /// The lanes that jobs are taken from.
    pub fn taken(&self) -> &'static [Lane] {
        self.taken
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
    pub(super) fn lanes(&self) -> impl Iterator<Item = (u32, Lane)> {
        (0..self.partitions).flat_map(|partition| Lane::ALL.map(|lane| (partition, lane)))
    }

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

    /// Takes a job of one lane of a partition without waiting: one of a worker that fell silent for
    /// `lease`, else a new one. A lane that is paused gives none.
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
        call.key(keys.lane(lane))
            .key(keys.retry(lane))
            .key(keys.paused(lane))
            .key(keys.dead());
        call.arg(GROUP).arg(worker).arg(millis(lease));
        let (losses, taken): (u64, Option<(String, u32, Fields)>) =
            call.invoke_async(&mut self.redis.commands()).await?;
        if losses > 0 {
            tracing::error!(code = %Code::Vanished, kind = %self.kind, %lane, partition, losses, "leased jobs vanished from the stream; was it trimmed or deleted by hand? The scheduler queues them again");
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
    /// most one job of each lane comes back, the more urgent first. None comes from a lane that is
    /// paused, also if that was done during the wait.
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
        let block = block.min(MAX_BLOCK);
        let paused = self.paused_lanes_of(partition).await?;
        let open = self.taken.iter().copied();
        let open = open.filter(|lane| !paused.contains(lane));
        let open: Vec<Lane> = open.collect();
        if open.is_empty() {
            tokio::time::sleep(block).await;
            return Ok(Vec::new());
        }
        let mut connection = self.redis.blocking().await?;
        let read: Read = redis::cmd("XREADGROUP")
            .arg(&["GROUP", GROUP, worker, "COUNT", "1", "BLOCK"])
            .arg(millis(block))
            .arg("STREAMS")
            .arg(open.iter().map(|&lane| keys.lane(lane)).collect::<Vec<_>>())
            .arg(vec![">"; open.len()])
            .query_async(&mut connection)
            .await?;
        let mut leases: Vec<Lease> = Vec::new();
        for (stream, entries) in read.unwrap_or_default() {
            // The streams come back in the order in which they were named.
            let lane = open.iter().find(|&&lane| keys.lane(lane) == stream);
            let Some(&lane) = lane else { continue };
            for (entry, fields) in entries {
                let lease = self.read(worker, lane, partition, entry, 1, &fields);
                leases.extend(lease.await?);
            }
        }
        if !leases.is_empty() {
            // That nobody can say whether a lane is paused must not cost what is taken already.
            let paused = self.paused_lanes_of(partition).await.unwrap_or_default();
            let (back, taken) = leases
                .into_iter()
                .partition(|lease| paused.contains(&lease.lane));
            leases = taken;
            for lease in back {
                let settled = self.settle(worker, &lease, &Outcome::Release).await;
                if let Err(error) = settled {
                    tracing::warn!(job = lease.job, %error, "cannot hand back a job; it is free after the lease time");
                }
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
        call.key(keys.run(&lease.run))
            .key(keys.pending(&lease.run))
            .key(keys.parked(&lease.run));
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
        Ok(Standing::sum(self.standings(run).await?))
    }

    /// How a run stands in each partition.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn standings(&self, run: &RunId) -> Result<Vec<Standing>, QueueError> {
        let mut standings = Vec::new();
        for partition in 0..self.partitions {
            let keys = self.keys(partition);
            let [high, low] = Lane::ALL.map(|lane| keys.paused(lane));
            let (pending, fields, high, low): (u64, HashMap<String, String>, bool, bool) =
                // First what is pending: a job that ends in between has then counted what it has.
                redis::pipe()
                    .scard(keys.pending(run))
                    .hgetall(keys.run(run))
                    .exists(high)
                    .exists(low)
                    .query_async(&mut self.redis.commands())
                    .await?;
            let lanes = Lane::ALL.into_iter().zip([high, low]);
            standings.push(Standing {
                pending,
                paused_lanes: lanes
                    .filter(|(_, paused)| *paused)
                    .map(|(lane, _)| lane)
                    .collect(),
                ..Standing::read(fields)
            });
        }
        Ok(standings)
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
