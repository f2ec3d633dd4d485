//! One sequence of operations on both, the queue and its model.

use std::time::Duration;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::queue::{Kind, Lane, Lease, Outcome, Queue, Renewal};
use sojourn::run::RunId;

use crate::Difference;
use crate::entry::{Entry, Letter};
use crate::model::{LANES, Model};
use crate::operation::{End, Operation};
use crate::planning::job;

/// Longer than any test.
const LEASE: Duration = Duration::from_secs(3600);

/// A lease that is over at once.
const NO_LEASE: Duration = Duration::ZERO;

/// Longer than any test.
const LATER: Duration = Duration::from_secs(3600);

/// A lease that somebody has or had.
pub struct Held {
    worker: String,
    lease: Lease,
    /// As it was when it was handed out: once it is another, the lease is over.
    entry: Entry,
}

pub struct Trial<'a> {
    pub queue: &'a Queue,
    pub redis: &'a Redis,
    pub model: Model,
    pub runs: [RunId; LANES.len()],
    workers: [String; 3],
    started: u32,
    pub leases: Vec<Held>,
}

impl<'a> Trial<'a> {
    pub async fn begin(queue: &'a Queue, redis: &'a Redis) -> Result<Trial<'a>, Difference> {
        let () = redis::cmd("FLUSHALL")
            .query_async(&mut redis.commands())
            .await?;
        // Makes the groups, without which nobody can wait.
        for lane in Lane::ALL {
            queue.take("first", lane, 0, LEASE).await?;
        }
        let run =
            |number: usize| RunId::parse(&format!("1763947200000-{number}")).expect("a run id");
        Ok(Trial {
            queue,
            redis,
            model: Model::default(),
            runs: std::array::from_fn(run),
            workers: [0, 1, 2].map(|number| format!("w{number}")),
            started: 3,
            leases: Vec::new(),
        })
    }

    pub async fn apply(&mut self, operation: Operation) -> Result<(), Difference> {
        match operation {
            Operation::Plan { run, jobs, behind } => self.plan(run, jobs, behind).await,
            Operation::Follow { run, job } => self.follow(run, job).await,
            Operation::Take { worker, lane } => self.take(worker, lane, false).await.map(drop),
            Operation::TakeOver { worker, lane } => self.take(worker, lane, true).await.map(drop),
            Operation::Wait { worker } => self.wait(worker).await,
            Operation::Renew { lease } => match newest(self.leases.len(), lease) {
                Some(lease) => self.renew(lease).await,
                None => Ok(()),
            },
            Operation::Settle { lease, end } => match newest(self.leases.len(), lease) {
                Some(lease) => self.settle(lease, end).await,
                None => Ok(()),
            },
            Operation::Crash { worker } => {
                self.workers[worker] = format!("w{}", self.started);
                self.started += 1;
                Ok(())
            }
            Operation::TimePasses => self.time_passes().await,
            Operation::Tidy => {
                self.queue.forget_idle_workers(Duration::ZERO).await?;
                Ok(())
            }
            Operation::Cancel { run } => self.cancel(run).await,
            Operation::Pause { run } => self.pause(run).await,
            Operation::Resume { run } => self.resume(run).await,
            Operation::PauseLane { lane } => self.pause_lane(lane, true).await,
            Operation::ResumeLane { lane } => self.pause_lane(lane, false).await,
            Operation::Close { run } => self.close(run).await,
            Operation::Reopen { run } => self.reopen(run).await,
            Operation::Restart { run, by, keeps } => self.restart(run, by, keeps).await,
            Operation::Vanish { lane, entry } => self.vanish(lane, entry).await,
            Operation::Reconcile => self.reconcile().await,
            Operation::Mistake { run, job, is_late } => self.mistake(run, job, is_late).await,
            Operation::Replay { letter } => self.replay(letter).await,
            Operation::Drop { letter } => self.drop_letter(letter).await,
        }
    }

    /// Returns whether there was a job.
    pub async fn take(
        &mut self,
        worker: usize,
        lane: Lane,
        taking_over: bool,
    ) -> Result<bool, Difference> {
        let worker = self.workers[worker].clone();
        let silence = if taking_over { NO_LEASE } else { LEASE };
        let taken = self.queue.take(&worker, lane, 0, silence).await?;
        let candidates = self.model.candidates(lane, true, taking_over);
        let found = taken.is_some();
        self.taken(&worker, lane, taken, &candidates)?;
        Ok(found)
    }

    async fn wait(&mut self, worker: usize) -> Result<(), Difference> {
        let is_free = |lane: Lane| {
            let entries = self.model.lane(lane);
            !self.model.is_paused(lane) && entries.iter().any(|entry| entry.held.is_none())
        };
        if !Lane::ALL.into_iter().any(is_free) {
            // It would only wait.
            return Ok(());
        }
        let worker = self.workers[worker].clone();
        let mut waited = self
            .queue
            .wait(&worker, 0, Duration::from_secs(1))
            .await?
            .into_iter()
            .peekable();
        for lane in Lane::ALL {
            let taken = waited.next_if(|lease| lease.lane == lane);
            let candidates = self.model.candidates(lane, false, false);
            self.taken(&worker, lane, taken, &candidates)?;
        }
        same!(waited.count(), 0, "further jobs");
        Ok(())
    }

    /// Compares what a worker got with what it could get.
    fn taken(
        &mut self,
        worker: &str,
        lane: Lane,
        taken: Option<Lease>,
        candidates: &[Entry],
    ) -> Result<(), Difference> {
        let Some(lease) = taken else {
            same!(0, candidates.len(), "jobs to be taken");
            return Ok(());
        };
        let record = |entry: &Entry| {
            let handed_out = entry.held.as_ref().map_or(0, |(_, deliveries)| *deliveries);
            let attempt = entry.attempts + u64::from(handed_out) + 1;
            let crashes = entry.crashes + handed_out;
            (attempt, entry.failures, crashes)
        };
        let found = (u64::from(lease.attempt()), lease.failures, lease.crashes);
        let is_it = |entry: &&Entry| {
            let is_job = entry.job == lease.job && self.runs[entry.run] == lease.run;
            is_job && record(entry) == found
        };
        let Some(entry) = candidates.iter().find(is_it) else {
            return Err(Difference(format!(
                "it gave out {lease:?}, which is none of {candidates:?}"
            )));
        };
        same!(lease.lane, lane, "the lane of {}", lease.job);
        same!(lease.payload, job(&lease.job).payload, "the payload");
        let entry = self.model.hand_out(entry, worker);
        let worker = worker.into();
        self.leases.push(Held {
            worker,
            lease,
            entry,
        });
        Ok(())
    }

    /// Whether a lease that somebody had is one that somebody has.
    pub fn is_held(&self, held: &Held) -> bool {
        self.model.lane(held.lease.lane).contains(&held.entry)
    }

    pub async fn renew(&self, lease: usize) -> Result<(), Difference> {
        let held = &self.leases[lease];
        let renewed = self.queue.renew(&held.worker, &held.lease).await?;
        same!(
            renewed == Renewal::Held,
            self.is_held(held),
            "whether {} holds {}",
            held.worker,
            held.lease.job
        );
        Ok(())
    }

    pub async fn settle(&mut self, lease: usize, end: End) -> Result<(), Difference> {
        let held = &self.leases[lease];
        let error = format!("{end:?} of {} by {}", held.lease.job, held.worker);
        let outcome = match end {
            End::Done => Outcome::Done(vec![("users", 3)]),
            End::RetryAtOnce | End::RetryLater => Outcome::Retry {
                after: if matches!(end, End::RetryLater) {
                    LATER
                } else {
                    Duration::ZERO
                },
                error: error.clone(),
            },
            End::Postpone => Outcome::Postpone {
                after: LATER,
                error: error.clone(),
            },
            End::Dead => Outcome::Dead {
                error: error.clone(),
            },
            End::Quarantine => Outcome::Quarantined {
                error: error.clone(),
            },
            End::Release => Outcome::Release,
        };
        let settled = self
            .queue
            .settle(&held.worker, &held.lease, &outcome)
            .await?;
        same!(settled, self.is_held(held), "whether {error} counts");
        if !settled {
            return Ok(());
        }
        let lane = held.lease.lane;
        let mut entry = self.model.end(&held.entry);
        if matches!(end, End::RetryAtOnce | End::RetryLater | End::Dead) {
            entry.failures += 1;
        }
        let run = &mut self.model.runs[entry.run];
        match end {
            End::Done => {
                if run.end(&entry.job, "done") {
                    run.count("users", 3);
                }
            }
            // It has ended already, by another entry or as lost.
            End::RetryAtOnce | End::RetryLater | End::Postpone | End::Release
                if !run.pending.contains(&entry.job) => {}
            End::RetryAtOnce => self.model.put_off(entry, true),
            End::RetryLater | End::Postpone => self.model.put_off(entry, false),
            End::Release => self.model.append(entry),
            End::Dead | End::Quarantine => {
                if run.end(&entry.job, "dead") {
                    let restarts = run.restarts;
                    let newest = self.queue.letters(0, None).await?.into_iter().next();
                    let Some(newest) = newest else {
                        return Err(Difference("a dead job left no letter".into()));
                    };
                    self.model.letters.push(Letter {
                        id: newest.id,
                        lane,
                        error,
                        entry,
                        restarts,
                        is_kept: true,
                    });
                }
            }
        }
        Ok(())
    }

    /// Nobody can wait for an hour, so the hour is taken off what is waited for.
    pub async fn time_passes(&mut self) -> Result<(), Difference> {
        for lane in Lane::ALL {
            let key = self.redis.keys().partition(Kind::Extract, 0).retry(lane);
            let mut connection = self.redis.commands();
            let waiting: Vec<Vec<u8>> = connection.zrange(&key, 0, -1).await?;
            for member in waiting {
                let () = connection.zadd(&key, member, 0).await?;
            }
        }
        self.model.time_passes();
        Ok(())
    }
}

/// The `number`th newest of so many things, round and round.
pub fn newest(things: usize, number: usize) -> Option<usize> {
    things.checked_sub(1).map(|last| last - number.min(last))
}
