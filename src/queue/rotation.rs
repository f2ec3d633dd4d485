//! The partitions of a queue as a worker asks them for jobs: in turn, without those that are silent.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::RngExt;
use tokio::task::JoinSet;

use super::{Queue, QueueError};
use crate::backoff::Backoff;
use crate::health::{Contact, Health};

/// The partitions that a worker asks in turn. One that fails is left out until it gives a sign of
/// life, for which it is asked aside: a shard of a cluster that is away costs the jobs of the others
/// one timeout for each of its partitions, and not one in every round.
#[derive(Debug)]
pub(super) struct Rotation {
    queue: Queue,
    health: Arc<Health>,
    answering: VecDeque<Partition>,
    silent: JoinSet<Partition>,
}

/// A partition, while it has its turn.
#[derive(Debug)]
pub(super) struct Partition {
    pub number: u32,
    contact: Contact,
    backoff: Backoff,
}

impl Rotation {
    /// All partitions, beginning with any.
    pub(super) fn new(queue: &Queue, health: &Arc<Health>) -> Rotation {
        let partition = |number| Partition {
            number,
            contact: health.contact(),
            backoff: Backoff::default(),
        };
        let mut answering: VecDeque<Partition> = (0..queue.partitions()).map(partition).collect();
        answering.rotate_left(rand::rng().random_range(0..answering.len()));
        Rotation {
            queue: queue.clone(),
            health: health.clone(),
            answering,
            silent: JoinSet::new(),
        }
    }

    /// Begins a round: takes in the partitions that have given a sign of life, and waits for one if no
    /// other is left. May be dropped at any time.
    pub(super) async fn begin(&mut self) {
        while let Some(back) = self.silent.try_join_next() {
            self.answering.extend(back);
        }
        while self.answering.is_empty()
            && let Some(back) = self.silent.join_next().await
        {
            self.answering.extend(back);
        }
    }

    /// How many partitions there are in this round.
    pub(super) fn len(&self) -> usize {
        self.answering.len()
    }

    /// The partition whose turn it is. It comes back by [`Rotation::heard`].
    pub(super) fn turn(&mut self) -> Option<Partition> {
        self.answering.pop_front()
    }

    /// Takes a partition back with what it answered when it was asked for jobs, and returns that.
    ///
    /// Any answer counts as a fetch: a worker that some partitions answer does its work, and must not
    /// be restarted, which would cost it the jobs that it holds, and fail for as long as a primary of
    /// the cluster is away. That one is silent shows in what is waited for.
    pub(super) fn heard<T>(
        &mut self,
        mut partition: Partition,
        answer: Result<T, QueueError>,
    ) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.health.fetched();
                partition.contact.succeeded();
                partition.backoff = Backoff::default();
                self.answering.push_back(partition);
                Some(answer)
            }
            Err(error) => {
                partition.contact.failed(&error);
                self.silent
                    .spawn(sign_of_life(self.queue.clone(), partition));
                None
            }
        }
    }
}

/// Waits until a partition answers. Whether it also gives jobs again, for which its server must take
/// writes, is seen when it is asked for one; until then it counts as failing.
async fn sign_of_life(queue: Queue, mut partition: Partition) -> Partition {
    loop {
        tokio::time::sleep(partition.backoff.pause()).await;
        match queue.paused_lanes_of(partition.number).await {
            Ok(_) => return partition,
            Err(error) => partition.contact.failed(&error),
        }
    }
}
