//! The partitions of a queue as a worker asks them for jobs: in turn, without those that are silent.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::RngExt;
use tokio::task::{JoinError, JoinSet};

use super::{Lease, Queue, QueueError};
use crate::backoff::Backoff;
use crate::code::{Code, Coded};
use crate::health::{Contact, Health};

/// The partitions that a worker asks in turn. One that fails is left out until it gives a sign of
/// life, for which it is asked aside: a shard of a cluster that refuses connections costs the jobs of
/// the others next to nothing. One whose packets vanish costs them seconds again and again: the
/// client holds up all calls of a process while it looks for the cluster's nodes.
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
    /// Its last failure was that it did not answer, and not what it answered.
    is_away: bool,
}

impl Rotation {
    /// All partitions, beginning with any.
    pub(super) fn new(queue: &Queue, health: &Arc<Health>) -> Rotation {
        let partition = |number| Partition {
            number,
            contact: health.contact(),
            backoff: Backoff::default(),
            is_away: false,
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
            self.answering.push_back(returned(back));
        }
        while self.answering.is_empty()
            && let Some(back) = self.silent.join_next().await
        {
            self.answering.push_back(returned(back));
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

    /// Takes a partition back with what it answered when it was asked for jobs, and returns those.
    /// `of_all_lanes`: it has been asked for jobs of each by now. Until then one without a job may
    /// still fail for the next lane, every time anew.
    ///
    /// Any answer counts as a fetch: a worker that some partitions answer does its work, and must not
    /// be restarted, which would cost it the jobs that it holds, and fail for as long as a primary of
    /// the cluster is away. That one is silent shows in what is waited for.
    pub(super) fn heard(
        &mut self,
        mut partition: Partition,
        answer: Result<Vec<Lease>, QueueError>,
        of_all_lanes: bool,
    ) -> Vec<Lease> {
        match answer {
            Ok(leases) => {
                self.health.fetched();
                if of_all_lanes || !leases.is_empty() {
                    partition.contact.succeeded();
                    partition.backoff = Backoff::default();
                }
                self.answering.push_back(partition);
                leases
            }
            Err(error) => {
                partition.failed(&error);
                self.silent
                    .spawn(sign_of_life(self.queue.clone(), partition));
                Vec::new()
            }
        }
    }
}

impl Partition {
    fn failed(&mut self, error: &QueueError) {
        self.is_away = matches!(error.code(), Code::Unreachable | Code::NotReady);
        self.contact.failed(error);
    }
}

/// A task that asks for a sign of life is never aborted, and a bug in it is one of this process.
fn returned(back: Result<Partition, JoinError>) -> Partition {
    back.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Waits until a partition answers. Where that was all that was amiss, nothing is waited for any more.
/// Else its server must also take writes: that is seen when it is asked for a job.
async fn sign_of_life(queue: Queue, mut partition: Partition) -> Partition {
    loop {
        tokio::time::sleep(partition.backoff.pause()).await;
        match queue.paused_lanes_of(partition.number).await {
            Ok(_) => {
                if partition.is_away {
                    partition.contact.succeeded();
                }
                return partition;
            }
            Err(error) => partition.failed(&error),
        }
    }
}
