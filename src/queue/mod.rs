//! The queue: Redis Streams with consumer groups, leases that are renewed, and one script that
//! ends a job.
//!
//! A job is ready (in a lane), leased (pending in the group), waiting for another attempt (a
//! sorted set), or dead (a stream of its own). Two kinds of jobs, each with a high and a low lane,
//! are spread over partitions; everything of a partition shares a hash tag. The life of a job is
//! [`Queue::enqueue`], [`Queue::take`], [`Queue::renew`], [`Queue::settle`]; [`Consumer`] lives it
//! for a worker.

mod codec;
mod consumer;
mod outcome;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

pub use codec::{CodecError, decode, encode};
pub use consumer::{Consumer, ConsumerOptions, Summary, Unusable, Work};
pub use outcome::{Counts, Failure, Outcome, RetryPolicy};

use crate::connection::Redis;
use crate::keys::PartitionKeys;
use crate::run::RunId;

/// The consumer group of every lane.
const GROUP: &str = "workers";

/// How long the counts of a run are kept, so that nothing of it stays for ever.
pub const KEEP_RUNS: Duration = Duration::from_secs(30 * 24 * 3600);

/// Partitions of each kind of queue, where nothing was said: enough to spread over a small
/// cluster, few enough that an idle worker looks at all of them several times a second.
pub const DEFAULT_PARTITIONS: u32 = 4;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("renew.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));
static ENQUEUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("enqueue.lua")));
static CANCEL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("cancel.lua")));

/// What the jobs of a queue ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Find the journeys of a shard's users.
    Extract,
    /// Name the journeys of some users.
    Name,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Extract => "extract",
            Kind::Name => "name",
        })
    }
}

/// Which jobs go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Cohorts: somebody waits for them.
    High,
    /// Backfills.
    Low,
}

impl Lane {
    /// Number of the lane's key in the scripts.
    fn index(self) -> u8 {
        match self {
            Lane::High => 1,
            Lane::Low => 2,
        }
    }
}

/// A job to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Unique in its run, and the same whenever the run is planned again.
    pub id: String,
    /// See [`encode`].
    pub payload: Vec<u8>,
    /// What the job adds to a count of its run when it is queued, so that its size is known before
    /// it is done.
    pub size: Option<(&'static str, u64)>,
}

/// A worker's claim on a job, until it is settled or was silent for the lease time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: String,
    /// The run that the job is part of.
    pub run: RunId,
    /// See [`decode`].
    pub payload: Vec<u8>,
    /// Lane that the job came from.
    pub lane: Lane,
    /// Failed attempts before this one.
    pub failures: u32,
    /// Deaths of workers that held the job before this attempt.
    pub crashes: u32,
    partition: u32,
    entry: String,
    deliveries: u32,
    attempts: u32,
}

impl Lease {
    /// Number of this attempt at the job, from 1. Rises with every hand-over, so that of two
    /// workers that both think they hold the job the rightful one has the larger number.
    pub fn attempt(&self) -> u32 {
        self.attempts + self.deliveries
    }

    /// The fields of the job's next attempt.
    fn next_attempt(&self, failed: bool) -> Vec<(&'static str, Vec<u8>)> {
        let number = |n: u32| n.to_string().into_bytes();
        vec![
            ("job", self.job.clone().into_bytes()),
            ("run", self.run.as_str().into()),
            ("payload", self.payload.clone()),
            ("attempts", number(self.attempt())),
            ("failures", number(self.failures + u32::from(failed))),
            ("crashes", number(self.crashes)),
        ]
    }
}

/// What a renewal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease goes on.
    Held,
    /// Another worker has the job, or it is gone.
    Lost,
    /// The run is cancelled.
    Cancelled,
}

/// How a run stands in one kind of queue, summed over its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Jobs that are not finished.
    pub pending: u64,
    /// Counts by name: `jobs`, `done`, `dead`, `retried`, `planned`, and what the jobs counted.
    pub counts: HashMap<String, u64>,
}

impl Standing {
    /// One count; 0 when nothing was counted under that name.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }
}

/// A queue operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// Redis did not do it; worth another try.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// A script's reply or an entry was not of the form that this build writes.
    #[error("{stream}: entry {entry} is not a job of this build: {reason}")]
    Foreign {
        /// Key of the stream.
        stream: String,
        /// Id of the entry.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// One kind of queue.
#[derive(Clone, Debug)]
pub struct Queue {
    redis: Redis,
    kind: Kind,
    partitions: u32,
}

impl Queue {
    /// The queue of `kind`. All processes must agree on the number of partitions: see
    /// [`partitions`].
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

    fn keys(&self, partition: u32) -> PartitionKeys {
        self.redis.keys().partition(self.kind, partition)
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

    /// Queues jobs that follow from another job of `run`. Returns `false` when the run is
    /// cancelled. A job that is already pending is not queued again.
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
        Ok(self
            .enqueue_script(run, lane, partition, None, jobs)
            .await?
            .is_some())
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
        call.key(lane_key(&keys, lane))
            .key(keys.run(run))
            .key(keys.pending(run));
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

    /// Takes up to `count` jobs of a partition without waiting: jobs of workers that fell silent
    /// for `lease`, then new ones, the high lane first.
    ///
    /// # Errors
    /// When Redis fails. What it had handed out already comes back after the lease time.
    pub async fn take(
        &self,
        worker: &str,
        partition: u32,
        count: usize,
        lease: Duration,
    ) -> Result<Vec<Lease>, QueueError> {
        type Taken = (u8, String, u32, Fields);
        let keys = self.keys(partition);
        let mut call = TAKE.prepare_invoke();
        call.key(keys.high()).key(keys.low()).key(keys.retry());
        call.arg(GROUP).arg(worker).arg(count).arg(millis(lease));
        let (taken, losses): (Vec<Taken>, u64) =
            call.invoke_async(&mut self.redis.commands()).await?;
        if losses > 0 {
            tracing::error!(kind = %self.kind, partition, losses, "leased jobs vanished from the stream; was it trimmed or deleted by hand? Their runs will not end: cancel them and run again");
        }
        let mut leases = Vec::with_capacity(taken.len());
        for (lane, entry, deliveries, fields) in taken {
            let lane = if lane == Lane::High.index() {
                Lane::High
            } else {
                Lane::Low
            };
            match lease_from(partition, lane, entry, deliveries, fields) {
                Ok(lease) => leases.push(lease),
                Err((entry, reason)) => self.bury_foreign(&keys, lane, &entry, &reason).await?,
            }
        }
        Ok(leases)
    }

    /// Waits for up to `block` for a new job of a partition and takes it. At most one job of each
    /// lane comes back.
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
            .arg("GROUP")
            .arg(GROUP)
            .arg(worker)
            .arg("COUNT")
            .arg(1)
            .arg("BLOCK")
            .arg(millis(block))
            .arg("STREAMS")
            .arg(keys.high())
            .arg(keys.low())
            .arg(">")
            .arg(">")
            .query_async(&mut connection)
            .await?;
        let mut leases = Vec::new();
        for (stream, entries) in read.unwrap_or_default() {
            let lane = if stream == keys.high() {
                Lane::High
            } else {
                Lane::Low
            };
            for (entry, fields) in entries {
                match lease_from(partition, lane, entry, 1, fields) {
                    Ok(lease) => leases.push(lease),
                    Err((entry, reason)) => self.bury_foreign(&keys, lane, &entry, &reason).await?,
                }
            }
        }
        Ok(leases)
    }

    /// Renews a lease, so that it is not taken over while the work runs.
    ///
    /// # Errors
    /// When Redis fails; the lease then runs on until it was silent for too long.
    pub async fn renew(&self, worker: &str, lease: &Lease) -> Result<Renewal, QueueError> {
        let keys = self.keys(lease.partition);
        let mut call = RENEW.prepare_invoke();
        call.key(lane_key(&keys, lease.lane))
            .key(keys.run(&lease.run));
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

    /// Ends a lease. Returns `false`, and changed nothing, when it was no longer held.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn settle(
        &self,
        worker: &str,
        lease: &Lease,
        outcome: &Outcome,
    ) -> Result<bool, QueueError> {
        let keys = self.keys(lease.partition);
        let mut call = SETTLE.prepare_invoke();
        call.key(lane_key(&keys, lease.lane))
            .key(keys.retry())
            .key(keys.dead());
        call.key(keys.run(&lease.run)).key(keys.pending(&lease.run));
        call.arg(GROUP)
            .arg(worker)
            .arg(&lease.entry)
            .arg(lease.deliveries)
            .arg(&lease.job);
        let next_attempt = match outcome {
            Outcome::Done(counts) => {
                call.arg("done");
                for (name, amount) in counts {
                    call.arg(*name).arg(*amount);
                }
                Vec::new()
            }
            Outcome::Retry { after, .. } | Outcome::Postpone { after, .. } => {
                call.arg("retry")
                    .arg(millis(*after))
                    .arg(lease.lane.index());
                lease.next_attempt(matches!(outcome, Outcome::Retry { .. }))
            }
            Outcome::Dead { error } => {
                call.arg("dead")
                    .arg("error")
                    .arg(error)
                    .arg("worker")
                    .arg(worker);
                call.arg("lane").arg(lease.lane.index());
                lease.next_attempt(true)
            }
            Outcome::Release => {
                call.arg("release");
                lease.next_attempt(false)
            }
        };
        for (name, value) in next_attempt {
            call.arg(name).arg(value);
        }
        let applied: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(applied == 1)
    }

    /// Moves an entry that is not a job to the dead stream, where it can be looked at.
    async fn bury_foreign(
        &self,
        keys: &PartitionKeys,
        lane: Lane,
        entry: &str,
        reason: &str,
    ) -> Result<(), QueueError> {
        let stream = lane_key(keys, lane);
        tracing::error!(
            stream,
            entry,
            reason,
            "an entry is not a job; moved to the dead letters"
        );
        let () = redis::pipe()
            .atomic()
            .cmd("XADD")
            .arg(keys.dead())
            .arg("*")
            .arg("error")
            .arg(format!("not a job of this build: {reason}"))
            .arg("entry")
            .arg(entry)
            .cmd("XACK")
            .arg(&stream)
            .arg(GROUP)
            .arg(entry)
            .cmd("XDEL")
            .arg(&stream)
            .arg(entry)
            .exec_async(&mut self.redis.commands())
            .await?;
        Ok(())
    }

    /// How many jobs of a lane of a partition are queued, leased ones included. A finished job is
    /// deleted from its stream, so this is our own count, unlike the stream's `lag`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn depth(&self, lane: Lane, partition: u32) -> Result<u64, QueueError> {
        let key = lane_key(&self.keys(partition), lane);
        Ok(redis::cmd("XLEN")
            .arg(key)
            .query_async(&mut self.redis.commands())
            .await?)
    }

    /// Takes every job of a run out of the queue. Returns how many were not finished.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn cancel(&self, run: &RunId) -> Result<u64, QueueError> {
        let mut unfinished = 0;
        for partition in 0..self.partitions {
            let keys = self.keys(partition);
            let mut call = CANCEL.prepare_invoke();
            call.key(keys.high()).key(keys.low()).key(keys.retry());
            call.key(keys.run(run)).key(keys.pending(run));
            call.arg(GROUP).arg(run.as_str()).arg(KEEP_RUNS.as_secs());
            let left: u64 = call.invoke_async(&mut self.redis.commands()).await?;
            unfinished += left;
        }
        Ok(unfinished)
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

/// How many partitions the queues have: what Redis remembers, else `wanted`, which it then does.
///
/// # Errors
/// When Redis fails.
pub async fn partitions(redis: &Redis, wanted: u32) -> Result<u32, QueueError> {
    let key = redis.keys().settings();
    let (remembered,) = redis::pipe()
        .atomic()
        .hset_nx(&key, "partitions", wanted.max(1))
        .ignore()
        .hget(&key, "partitions")
        .query_async(&mut redis.commands())
        .await?;
    Ok(remembered)
}

type Fields = HashMap<String, Vec<u8>>;

/// The lease for an entry, or the entry's id and what is wrong with it.
fn lease_from(
    partition: u32,
    lane: Lane,
    entry: String,
    deliveries: u32,
    mut fields: Fields,
) -> Result<Lease, (String, String)> {
    let mut text = |name: &str| {
        let value = fields
            .remove(name)
            .ok_or_else(|| format!("it has no field {name:?}"))?;
        String::from_utf8(value).map_err(|_| format!("its field {name:?} is not UTF-8"))
    };
    let parsed = (|| {
        let job = text("job")?;
        let run = RunId::parse(&text("run")?).map_err(|error| error.to_string())?;
        let mut number = |name: &str| {
            let value = text(name)?;
            value
                .parse::<u32>()
                .map_err(|_| format!("its field {name:?} is not a count: {value:?}"))
        };
        Ok((
            job,
            run,
            number("attempts")?,
            number("failures")?,
            number("crashes")?,
        ))
    })();
    let (job, run, attempts, failures, crashes) = match parsed {
        Ok(parsed) => parsed,
        Err(reason) => return Err((entry, reason)),
    };
    let Some(payload) = fields.remove("payload") else {
        return Err((entry, "it has no field \"payload\"".into()));
    };
    Ok(Lease {
        job,
        run,
        payload,
        lane,
        failures,
        // Every delivery of one entry but the first is a take-over from a worker that fell silent.
        crashes: crashes + deliveries.saturating_sub(1),
        partition,
        entry,
        deliveries,
        attempts,
    })
}

fn lane_key(keys: &PartitionKeys, lane: Lane) -> String {
    match lane {
        Lane::High => keys.high(),
        Lane::Low => keys.low(),
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
