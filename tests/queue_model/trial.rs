//! One sequence of operations on both, the queue and its model.

use std::time::Duration;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::queue::{Enqueued, Kind, Lane, Lease, NewJob, Outcome, Queue, Renewal, Replayed};
use sojourn::run::RunId;

use crate::model::{Entry, Letter, Model};
use crate::{Difference, End, Operation};

/// Longer than any test.
const LEASE: Duration = Duration::from_secs(3600);

/// A lease that is over at once.
const NO_LEASE: Duration = Duration::ZERO;

/// Longer than any test.
const LATER: Duration = Duration::from_secs(3600);

/// Jobs of the plan of each run.
const PLANNED: usize = 12;

/// A lease that somebody has or had.
pub struct Held {
    lane: Lane,
    run: usize,
    worker: String,
    lease: Lease,
    /// Of the entry: a job may come back as another one.
    place: u64,
    deliveries: u32,
}

pub struct Trial<'a> {
    pub queue: &'a Queue,
    pub redis: &'a Redis,
    pub model: Model,
    pub runs: [RunId; 2],
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
        let run = |number| RunId::parse(&format!("1763947200000-{number}")).expect("a run id");
        Ok(Trial {
            queue,
            redis,
            model: Model::default(),
            runs: [run(0), run(1)],
            workers: [0, 1, 2].map(|number| format!("w{number}")),
            started: 3,
            leases: Vec::new(),
        })
    }

    pub async fn apply(&mut self, operation: Operation) -> Result<(), Difference> {
        match operation {
            Operation::Plan {
                run,
                lane,
                jobs,
                behind,
            } => self.plan(run, lane, jobs, behind).await,
            Operation::Follow { run, lane, job } => self.follow(run, lane, job).await,
            Operation::Take { worker, lane } => self.take(worker, lane, false).await.map(drop),
            Operation::TakeOver { worker, lane } => self.take(worker, lane, true).await.map(drop),
            Operation::Wait { worker } => self.wait(worker).await,
            Operation::Renew { lease } => match self.newest_lease(lease) {
                Some(lease) => self.renew(lease).await,
                None => Ok(()),
            },
            Operation::Settle { lease, end } => match self.newest_lease(lease) {
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
            Operation::Cancel { run } => {
                let unfinished = self.queue.cancel(&self.runs[run]).await?;
                same!(unfinished, self.model.cancel(run), "unfinished jobs");
                Ok(())
            }
            Operation::Replay { letter } => match newest(self.model.letters.len(), letter) {
                Some(letter) => self.replay(letter).await,
                None => Ok(()),
            },
            Operation::Drop { letter } => match newest(self.model.letters.len(), letter) {
                Some(letter) => {
                    let letter = &mut self.model.letters[letter];
                    let dropped = self.queue.drop_letters(&[letter.id]).await?;
                    let was_kept = std::mem::replace(&mut letter.is_kept, false);
                    same!(dropped, u64::from(was_kept), "dropped letters");
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }

    fn newest_lease(&self, lease: usize) -> Option<usize> {
        newest(self.leases.len(), lease)
    }

    async fn plan(
        &mut self,
        run: usize,
        lane: Lane,
        jobs: usize,
        behind: u64,
    ) -> Result<(), Difference> {
        let planned = self.model.runs[run].planned();
        let cursor = planned.saturating_sub(behind);
        let ids: Vec<String> = (cursor as usize..PLANNED)
            .take(jobs)
            .map(|n| format!("p{n}"))
            .collect();
        let new: Vec<NewJob> = ids.iter().map(|id| job(id)).collect();
        let queued = self
            .queue
            .enqueue_planned(&self.runs[run], lane, 0, cursor, &new)
            .await?;
        let expected = if self.model.runs[run].is_cancelled {
            None
        } else if cursor == planned {
            for id in &ids {
                self.model.enqueue(run, lane, id, id.len() as u64);
            }
            self.model.runs[run].count("planned", ids.len() as u64);
            Some(planned + ids.len() as u64)
        } else {
            Some(planned)
        };
        same!(queued, expected, "the cursor");
        Ok(())
    }

    async fn follow(&mut self, run: usize, lane: Lane, number: usize) -> Result<(), Difference> {
        let id = format!("f{number}");
        let queued = self
            .queue
            .enqueue(&self.runs[run], lane, 0, &[job(&id)])
            .await?;
        same!(
            queued == Enqueued::Queued,
            !self.model.runs[run].is_cancelled,
            "whether a job may be queued"
        );
        if queued == Enqueued::Queued {
            self.model.follow(run, lane, &id, id.len() as u64);
        }
        Ok(())
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
        let is_free = |lane| {
            self.model
                .lane(lane)
                .iter()
                .any(|entry| entry.held.is_none())
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
        let is_it = |entry: &&Entry| entry.job == lease.job && self.runs[entry.run] == lease.run;
        let Some(entry) = candidates.iter().find(is_it) else {
            return Err(Difference(format!(
                "it gave out {lease:?}, which is none of {candidates:?}"
            )));
        };
        let deliveries = self.model.hand_out(lane, entry.run, &entry.job, worker);
        let found = (lease.attempt(), lease.failures, lease.crashes, lease.lane);
        let crashes = entry.crashes + deliveries - 1;
        let expected = (entry.attempts + deliveries, entry.failures, crashes, lane);
        same!(
            found,
            expected,
            "attempt, failures, crashes and lane of {}",
            lease.job
        );
        same!(lease.payload, job(&lease.job).payload, "the payload");
        self.leases.push(Held {
            lane,
            run: entry.run,
            worker: worker.into(),
            lease,
            place: entry.place,
            deliveries,
        });
        Ok(())
    }

    /// Whether a lease that somebody had is one that somebody has.
    pub fn is_held(&self, held: &Held) -> bool {
        let holder = Some((held.worker.clone(), held.deliveries));
        self.model.lane(held.lane).iter().any(|entry| {
            entry.run == held.run
                && entry.job == held.lease.job
                && entry.place == held.place
                && entry.held == holder
        })
    }

    pub async fn renew(&self, lease: usize) -> Result<(), Difference> {
        let held = &self.leases[lease];
        let renewed = self.queue.renew(&held.worker, &held.lease).await?;
        let expected = if self.is_held(held) {
            Renewal::Held
        } else {
            Renewal::Lost
        };
        same!(
            renewed,
            expected,
            "{}'s lease of {}",
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
        let (lane, run) = (held.lane, held.run);
        let mut entry = self.model.end(lane, run, &held.lease.job);
        if matches!(end, End::RetryAtOnce | End::RetryLater | End::Dead) {
            entry.failures += 1;
        }
        match end {
            End::Done => self.model.finish(&entry, 3),
            End::RetryAtOnce => self.model.put_off(lane, entry, true),
            End::RetryLater | End::Postpone => self.model.put_off(lane, entry, false),
            End::Release => self.model.hand_back(lane, entry),
            End::Dead | End::Quarantine => {
                let newest = self.queue.letters(0, None).await?.into_iter().next();
                let Some(newest) = newest else {
                    return Err(Difference("a dead job left no letter".into()));
                };
                let is_kept = true;
                let id = newest.id;
                self.model.bury(Letter {
                    id,
                    lane,
                    error,
                    entry,
                    is_kept,
                });
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

    async fn replay(&mut self, letter: usize) -> Result<(), Difference> {
        let Letter {
            id, entry, is_kept, ..
        } = &self.model.letters[letter];
        let run = &self.model.runs[entry.run];
        let Some(found) = self.queue.letter(*id).await? else {
            same!(false, *is_kept, "whether letter {id} is kept");
            return Ok(());
        };
        let expected = if run.is_cancelled {
            Replayed::Cancelled
        } else if run.pending.contains(&entry.job) {
            Replayed::Queued
        } else {
            Replayed::Replayed
        };
        let replayed = self.queue.replay(&found).await?;
        same!(replayed, expected, "what becomes of letter {id}");
        if replayed == Replayed::Replayed {
            self.model.replay(letter);
            let again = self.queue.replay(&found).await?;
            same!(again, Replayed::Gone, "what becomes of it the second time");
        }
        Ok(())
    }
}

/// The `number`th newest of so many things, round and round.
fn newest(things: usize, number: usize) -> Option<usize> {
    things.checked_sub(1).map(|last| last - number.min(last))
}

fn job(id: &str) -> NewJob {
    NewJob {
        id: id.into(),
        payload: format!("payload of {id}").into_bytes(),
        size: Some(("size", id.len() as u64)),
    }
}
