//! A worker's loop: take a job, keep its lease alive while it is worked on, settle it.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rand::RngExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::rotation::Rotation;
use super::{Counts, Failure, Lease, Outcome, Queue, Renewal, RetryPolicy};
use crate::backoff::{Backoff, jittered};
use crate::code::Code;
use crate::health::{Contact, Health};

/// How long an idle worker waits at one partition before it looks at the next.
const IDLE_BLOCK: Duration = Duration::from_millis(250);

/// A lease is renewed this many times before it would run out, so that two lost renewals in a row
/// do no harm.
const RENEWALS_PER_LEASE: u32 = 3;

/// How long a worker that has to stop waits for Redis: for a job that it is just asking for, and to
/// hand back what it holds. What it cannot hand back is taken over after the lease time.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// A worker that Redis has not answered for so many lease times is unhealthy. After one, others have
/// taken its jobs over; a restart or a failover of Redis takes less than three.
const HEALTHY_LEASES: u32 = 3;

/// What a worker does with a job.
pub trait Work: Send + Sync + 'static {
    /// Works on one job until it is done or `stop` is set; then it returns within a moment, and
    /// [`Failure::Interrupted`] hands the job back. `contact` is to be told how calls to Redis end
    /// that are repeated until they succeed.
    fn perform(
        &self,
        lease: &Lease,
        stop: &CancellationToken,
        contact: Contact,
    ) -> impl Future<Output = Result<Counts, Failure>> + Send;
}

/// How a worker takes jobs.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// Jobs worked on at once.
    pub concurrency: usize,
    /// Silence after which another worker may take a job over.
    pub lease: Duration,
    /// How long a worker that was asked to stop may finish what it has begun.
    pub drain: Duration,
    /// How often a job is tried.
    pub retry: RetryPolicy,
}

/// What a worker did until it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Jobs finished.
    pub done: u64,
    /// Attempts that failed or found something busy, and will be repeated.
    pub retried: u64,
    /// Jobs given up.
    pub dead: u64,
    /// Jobs handed back because the worker had to stop.
    pub released: u64,
    /// Jobs whose lease was lost to another worker or to a cancel.
    pub lost: u64,
}

impl Summary {
    fn count(&mut self, outcome: Option<&Outcome>) {
        let counter = match outcome.map(|outcome| outcome.split().1) {
            Some(Outcome::Done(_)) => &mut self.done,
            Some(Outcome::Retry { .. } | Outcome::Postpone { .. }) => &mut self.retried,
            Some(Outcome::Dead { .. } | Outcome::Quarantined { .. }) => &mut self.dead,
            Some(Outcome::Release | Outcome::Partly(..)) => &mut self.released,
            None => &mut self.lost,
        };
        *counter += 1;
    }
}

/// Why a worker stopped that nobody had asked to: see [`Failure::Unusable`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// Takes jobs of one queue and works on them.
#[derive(Debug)]
pub struct Consumer {
    queue: Queue,
    worker: String,
    options: ConsumerOptions,
    health: Arc<Health>,
}

impl Consumer {
    /// A consumer with an id that no other process has or had: a lease names its holder by it.
    pub fn new(queue: Queue, options: ConsumerOptions) -> Consumer {
        let worker = format!(
            "{}-{:016x}",
            std::process::id(),
            rand::rng().random::<u64>()
        );
        let health = Health::new(
            queue.kind().to_string(),
            worker.clone(),
            options.concurrency.max(1),
            options.lease * HEALTHY_LEASES,
        );
        Consumer {
            queue,
            worker,
            options,
            health,
        }
    }

    /// How the worker stands; lives on when the worker runs.
    pub fn health(&self) -> Arc<Health> {
        self.health.clone()
    }

    /// The id under which leases are held.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// Works until `stop` is set, then drains: begun jobs may finish within the drain time, the
    /// rest is handed back, which takes a few seconds at most. Redis being away never ends the
    /// loop, and never holds up the end.
    ///
    /// # Errors
    /// When a job found that no job can be done ([`Failure::Unusable`]); drained likewise.
    pub async fn run<W: Work>(
        self,
        work: Arc<W>,
        stop: CancellationToken,
    ) -> Result<Summary, Unusable> {
        let this = Arc::new(self);
        // Ends this loop, and not what else the caller stops by its token.
        let stop = stop.child_token();
        let refusal = Arc::new(OnceLock::new());
        let slots = Arc::new(Semaphore::new(this.options.concurrency.max(1)));
        let jobs = TaskTracker::new();
        let halt = CancellationToken::new();
        let summary = Arc::new(Mutex::new(Summary::default()));

        let mut rotation = Rotation::new(&this.queue, &this.health);
        while !stop.is_cancelled() {
            let slot = tokio::select! {
                slot = slots.clone().acquire_owned() => slot,
                () = stop.cancelled() => break,
            };
            // The semaphore is never closed.
            let Ok(slot) = slot else { break };
            tokio::select! {
                () = rotation.begin() => {}
                () = stop.cancelled() => break,
            }
            let next = tokio::select! {
                next = this.next(&mut rotation) => next,
                () = patience_after(&stop) => break,
            };
            let Some(lease) = next else { continue };
            let working = this.health.working();
            let (this, work, halt, summary) =
                (this.clone(), work.clone(), halt.clone(), summary.clone());
            let (stop, refusal) = (stop.clone(), refusal.clone());
            jobs.spawn(async move {
                // Before the job is handed back, lest it be taken by this very worker.
                let give_up = |reason: &str| {
                    refusal.get_or_init(|| reason.to_owned());
                    stop.cancel();
                };
                let outcome = this.live(&*work, &lease, &halt, give_up).await;
                summary
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .count(outcome.as_ref());
                drop((working, slot));
            });
        }

        drop(rotation);
        this.health.draining();
        jobs.close();
        if tokio::time::timeout(this.options.drain, jobs.wait())
            .await
            .is_err()
        {
            tracing::info!(drain = ?this.options.drain, "handing back what is not finished");
            halt.cancel();
            jobs.wait().await;
        }
        let retired = tokio::time::timeout(STOP_PATIENCE, this.queue.retire(&this.worker)).await;
        if !matches!(retired, Ok(Ok(_))) {
            tracing::debug!("cannot leave the group; the scheduler tidies up");
        }
        let summary = *summary.lock().unwrap_or_else(PoisonError::into_inner);
        match refusal.get() {
            Some(reason) => {
                tracing::info!(kind = %this.queue.kind(), ?summary, "gave up");
                Err(Unusable(reason.clone()))
            }
            None => Ok(summary),
        }
    }

    /// The next job: at once if there is one, an urgent one of any partition before the others;
    /// else by waiting at one partition for a moment.
    async fn next(&self, rotation: &mut Rotation) -> Option<Lease> {
        for &lane in self.queue.taken() {
            for _ in 0..rotation.len() {
                let (partition, lease) = (rotation.turn()?, self.options.lease);
                let take = self.queue.take(&self.worker, lane, partition.number, lease);
                let taken = take.await.map(Vec::from_iter);
                let is_last = self.queue.taken().last() == Some(&lane);
                if let Some(lease) = rotation.heard(partition, taken, is_last).pop() {
                    return Some(lease);
                }
            }
        }
        // It has been asked for jobs of each lane in this round, which makes the groups to wait in.
        let partition = rotation.turn()?;
        let wait = self.queue.wait(&self.worker, partition.number, IDLE_BLOCK);
        let waited = wait.await;
        let mut leases = rotation.heard(partition, waited, true).into_iter();
        let lease = leases.next();
        // A job may have arrived in both lanes at once, and there is room for one.
        for surplus in leases {
            self.queue.hand_back(&self.worker, &surplus).await;
        }
        lease
    }

    /// From a taken job to its end. `None` when the lease was lost on the way.
    async fn live<W: Work>(
        &self,
        work: &W,
        lease: &Lease,
        halt: &CancellationToken,
        give_up: impl Fn(&str),
    ) -> Option<Outcome> {
        let mut contact = self.health.contact();
        let outcome = if let Some(quarantined) = self.options.retry.quarantine(lease.crashes) {
            quarantined
        } else {
            let stop = halt.child_token();
            let result = tokio::select! {
                result = work.perform(lease, &stop, self.health.contact()) => result,
                reason = self.keep_alive(lease, &mut contact) => {
                    tracing::warn!(job = lease.job, run = %lease.run, ?reason, "stopped working on a job");
                    return None;
                }
            };
            if let Some(Failure::Unusable(reason)) = result.as_ref().err().map(Failure::cause) {
                give_up(reason);
            }
            self.options
                .retry
                .outcome(result, lease.failures, rand::rng().random())
        };
        match outcome.split().1 {
            Outcome::Dead { error } | Outcome::Quarantined { error } => {
                let code = Code::leading(error).map(tracing::field::display);
                tracing::error!(code, job = lease.job, run = %lease.run, error, "job is dead")
            }
            Outcome::Retry { after, error } | Outcome::Postpone { after, error } => {
                let code = Code::leading(error).map(tracing::field::display);
                tracing::warn!(code, job = lease.job, run = %lease.run, error, ?after, "job will be tried again")
            }
            Outcome::Done(_) | Outcome::Release | Outcome::Partly(..) => {}
        }
        self.settle(lease, &outcome, halt, &mut contact)
            .await
            .then_some(outcome)
    }

    /// Renews the lease for as long as it is held; returns when it is not.
    async fn keep_alive(&self, lease: &Lease, contact: &mut Contact) -> Renewal {
        let interval = self.options.lease / RENEWALS_PER_LEASE;
        loop {
            tokio::time::sleep(jittered(interval)).await;
            match self.queue.renew(&self.worker, lease).await {
                Ok(renewal) => {
                    contact.succeeded();
                    self.health.renewed();
                    if renewal != Renewal::Held {
                        return renewal;
                    }
                }
                // The result scripts are fenced, so working on without a sure lease is harmless.
                Err(error) => contact.failed(&error),
            }
        }
    }

    /// Applies an outcome, trying again for as long as the lease lasts, or until a worker that has
    /// to stop is out of patience.
    async fn settle(
        &self,
        lease: &Lease,
        outcome: &Outcome,
        halt: &CancellationToken,
        contact: &mut Contact,
    ) -> bool {
        let settled = async {
            let mut backoff = Backoff::default();
            loop {
                match self.queue.settle(&self.worker, lease, outcome).await {
                    Ok(applied) => {
                        contact.succeeded();
                        self.health.renewed();
                        return applied;
                    }
                    Err(error) => {
                        contact.failed(&error);
                        tokio::time::sleep(backoff.pause()).await;
                    }
                }
            }
        };
        let given_up = async {
            tokio::select! {
                () = tokio::time::sleep(self.options.lease) => {}
                () = patience_after(halt) => {}
            }
        };
        // Settling twice is harmless, so a call may be dropped when it is half done.
        tokio::select! {
            applied = settled => applied,
            () = given_up => {
                tracing::error!(job = lease.job, "cannot settle a job; it will be done again");
                false
            }
        }
    }
}

/// Returns a moment after `stop` was set.
async fn patience_after(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_PATIENCE).await;
}
