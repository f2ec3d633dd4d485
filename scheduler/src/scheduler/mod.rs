//! The scheduler's loop: enters requests into the register, plans runs, keeps the queues filled and
//! no fuller, and notices when a run is over.

mod ending;
mod feeding;
mod options;
mod planning;
mod tidying;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use sojourn::code::{Code, Coded};
use sojourn::connection::Redis;
use sojourn::health::{Contact, Health};
use sojourn::queue::{Lane, QueueError, Queues};
use sojourn::run::RunId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::active::Active;
use crate::inbox::{Inbox, Received};
use crate::leader::{Candidate, Lead};
use crate::reconciler::Reconciler;
use crate::record::{RunRecord, RunState};
use crate::register::{Register, RegisterError};
pub use options::SchedulerOptions;
use planning::{PutOff, STORAGE_PATIENCE};

/// A scheduler whose last turn is so many leads ago is unhealthy: by then another leads.
const HEALTHY_LEADS: u32 = 3;

/// Something that the scheduler could not do; it tries again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// Redis did not do it.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// The register did not do it.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The queue did not do it.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Plans runs and feeds the queues.
#[derive(Debug)]
pub struct Scheduler {
    candidate: Candidate,
    inbox: Inbox,
    redis: Redis,
    register: Register,
    queues: Queues,
    options: SchedulerOptions,
    health: Arc<Health>,
    /// Runs that are planned.
    active: HashMap<RunId, Active>,
    /// Runs whose dataset cannot be read for the moment.
    put_off: HashMap<RunId, PutOff>,
    reconciler: Reconciler,
    tidied: Option<Instant>,
}

impl Scheduler {
    /// A scheduler over the queues in `redis`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn new(redis: &Redis, options: SchedulerOptions) -> Result<Scheduler, QueueError> {
        let candidate = Candidate::new(redis, options.lead);
        // Beyond the leads: while a manifest is read, Redis is asked for nothing.
        let bound = options.lead * HEALTHY_LEADS + STORAGE_PATIENCE;
        let name = candidate.identity().to_owned();
        Ok(Scheduler {
            health: Health::new("scheduler".into(), name, 0, bound),
            inbox: Inbox::new(redis),
            redis: redis.clone(),
            register: Register::led_by(redis, candidate.identity()),
            candidate,
            reconciler: Reconciler::new(options.reconcile),
            queues: Queues::open(redis).await?,
            options,
            active: HashMap::new(),
            put_off: HashMap::new(),
            tidied: None,
        })
    }

    /// How the scheduler stands; lives on when it runs.
    pub fn health(&self) -> Arc<Health> {
        self.health.clone()
    }

    /// Schedules until `stop` is set, whenever nobody else does. Redis being away never ends the
    /// loop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut stands_by = false;
        let mut contact = self.health.contact();
        while !stop.is_cancelled() {
            // The lead ends at the latest one lead time after its last renewal; so the next leader
            // is there well within two.
            let pause = match self.candidate.take_lead().await {
                Ok(Some(lead)) => {
                    stands_by = false;
                    tracing::info!("leading");
                    self.lead(&lead, &mut contact, &stop).await;
                    continue;
                }
                Ok(None) => {
                    contact.succeeded();
                    self.health.fetched();
                    if !std::mem::replace(&mut stands_by, true) {
                        tracing::info!("another scheduler leads; standing by");
                    }
                    self.options.lead / 4
                }
                Err(error) => {
                    contact.failed(&SchedulerError::from(error));
                    retry_pause()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Schedules until `stop` is set, or another scheduler leads. Then a turn is dropped wherever it
    /// is: whatever it writes is one script that may be called again, and the next leader does. What
    /// comes too late does no harm: the register refuses it, and the queues take no job twice, as
    /// each partition compares the cursor.
    async fn lead(&mut self, lead: &Lead, contact: &mut Contact, stop: &CancellationToken) {
        self.active.clear();
        self.reconciler.forget();
        self.inbox.look_again();
        let lost = loop {
            let turn = tokio::select! {
                turn = self.turn() => turn,
                () = lead.lost() => break true,
                () = stop.cancelled() => break false,
            };
            let pause = match turn {
                Ok(()) => {
                    contact.succeeded();
                    self.health.fetched();
                    // It has waited for requests.
                    continue;
                }
                Err(SchedulerError::Register(RegisterError::LeadLost)) => break true,
                Err(error) => {
                    contact.failed(&error);
                    retry_pause()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = lead.lost() => break true,
                () = stop.cancelled() => break false,
            }
        };
        if lost {
            tracing::warn!("lost the lead");
        } else if let Err(error) = self.candidate.resign().await {
            tracing::warn!(code = %Coded::code(&error), %error, "cannot give up the lead; it ends by itself");
        }
    }

    async fn turn(&mut self) -> Result<(), SchedulerError> {
        for Received { run, request } in self.inbox.receive(self.options.poll).await? {
            match &request {
                Ok(request) => tracing::info!(%run, ?request, "asked for a run"),
                Err(error) => {
                    let code = Code::leading(error).map(tracing::field::display);
                    tracing::error!(code, %run, error, "cannot understand a request");
                }
            }
            // First the register, and entering twice is harmless: no request is lost or done twice.
            self.register.create(&run, &request).await?;
            self.inbox.finish(&run).await?;
        }
        self.advance_runs().await?;
        self.tidy().await
    }

    /// Plans new runs, tops up the queues, ends runs that are done: cohorts before backfills, older
    /// runs before newer.
    async fn advance_runs(&mut self) -> Result<(), SchedulerError> {
        let mut records = self.register.active_runs().await?;
        records.retain(|record| !record.state.is_over());
        let known = |id: &RunId| records.iter().any(|record| record.id == *id);
        self.active.retain(|id, _| known(id));
        self.put_off.retain(|id, _| known(id));
        let lane = |record: &RunRecord| record.request.as_ref().map(|request| request.lane);
        records.sort_by_key(|record| (lane(record) != Some(Lane::High), record.epoch));
        records.retain(|record| record.state != RunState::Paused);
        for record in &records {
            // What was done once and was reopened is not planned again; all else is, also when a Redis
            // that lost writes knows nothing of the plan any more.
            let is_planned = record.queued
                || self.active.get(&record.id).is_some_and(|active| {
                    record.state == RunState::Running && record.restarts == active.restarts
                });
            if !is_planned && !self.plan(record).await? {
                continue;
            }
            self.top_up(&record.id).await?;
            self.end_if_done(record).await?;
            // Each run may have waited for its storage.
            self.health.fetched();
        }
        let running: Vec<RunRecord> = records
            .into_iter()
            .filter(|record| record.queued || self.active.contains_key(&record.id))
            .collect();
        self.reconciler
            .look(&self.queues, &self.register, &mut self.active, &running)
            .await?;
        Ok(())
    }
}

/// Between two attempts while Redis is away.
fn retry_pause() -> Duration {
    Duration::from_millis(rand::rng().random_range(250..1000))
}
