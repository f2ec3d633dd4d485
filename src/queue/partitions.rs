//! One kind of queue in Redis: its partitions, each with its lanes.

use std::time::Duration;

use redis::AsyncCommands;

use super::{Kind, Lane};
use crate::connection::Redis;
use crate::keys::PartitionKeys;

/// How long the counts of a run are kept, so that nothing of it stays for ever.
pub const KEEP_RUNS: Duration = Duration::from_secs(30 * 24 * 3600);

/// Attempts that a job counts as made for each time that its run has restarted: more than any job
/// gets before, so that results of the jobs before never fence off those of the jobs after.
pub(super) const ATTEMPTS_PER_RESTART: u64 = 10_000;

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

    /// How many jobs of a lane of a partition are queued, leased ones included. A finished job is
    /// deleted from its stream, so this is our own count, unlike the stream's `lag`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn depth(&self, lane: Lane, partition: u32) -> Result<u64, QueueError> {
        let key = self.keys(partition).lane(lane);
        Ok(self.redis.commands().xlen(key).await?)
    }
}

/// As scripts and commands take it.
pub(super) fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
