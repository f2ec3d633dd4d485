//! The scheduler's loop: enters requests into the register, plans runs, keeps the queues filled and
//! no fuller, and notices when a run is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use sojourn::code::{Code, Coded};
use sojourn::connection::Redis;
use sojourn::dataset::{DatasetError, Manifest};
use sojourn::health::{Contact, Health};
use sojourn::queue::{KEEP_RUNS, Lane, NewJob, Queue, QueueError, Queues, Standing};
use sojourn::run::RunId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::active::Active;
use crate::cohort::{self, CohortError};
use crate::inbox::{Inbox, Received};
use crate::leader::{Candidate, Lead};
use crate::plan::Plan;
use crate::reconciler::{MOST_RESTARTS, Reconciler, restart};
use crate::record::{RunRecord, RunState};
use crate::register::{Register, RegisterError, lost};
use crate::trigger::Scope;

/// Jobs in one call to the queue, at most.
const JOBS_PER_CALL: u64 = 32;

/// How long the storage may take to hand out a manifest. Other runs wait meanwhile; the lead is
/// renewed.
const STORAGE_PATIENCE: Duration = Duration::from_secs(30);

/// How often a run is planned before it is given up: for five minutes or so, in which a storage
/// that was restarted is back, and somebody who mistyped a bucket still watches.
const PLANNING_ATTEMPTS: u32 = 10;

/// Wait after the first attempt that failed; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Between two looks for workers that were killed.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Silence after which a worker without a job is forgotten. An idle one asks for jobs every second.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// A scheduler whose last turn is so many leads ago is unhealthy: by then another leads.
const HEALTHY_LEADS: u32 = 3;

/// How the scheduler works.
#[derive(Clone, Debug)]
pub struct SchedulerOptions {
    /// Extraction jobs queued in each lane of each partition, at most, leased ones included. Enough
    /// for every worker to find one at once, few enough that a cohort does not wait behind memory.
    pub queue_depth: u64,
    /// Naming jobs that may wait in a lane, over all partitions, before no more extraction jobs are
    /// queued: extraction is the faster of the two, and without a bound Redis would fill with names
    /// to be made. Jobs that are queued already still add theirs.
    pub naming_backlog: u64,
    /// How long to wait for requests between two looks at the queues.
    pub poll: Duration,
    /// How long the lead lasts without renewal.
    pub lead: Duration,
    /// Between two comparisons of what runs wait for with what the queues have. A job that Redis has
    /// lost is queued again after two of them.
    pub reconcile: Duration,
}

impl SchedulerOptions {
    /// How long the lead lasts without renewal where nothing is said: longer than a busy machine
    /// holds a process up.
    pub const LEAD: Duration = Duration::from_secs(10);
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        SchedulerOptions {
            queue_depth: 64,
            naming_backlog: 10_000,
            poll: Duration::from_millis(200),
            lead: SchedulerOptions::LEAD,
            reconcile: Duration::from_secs(15),
        }
    }
}

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

/// A run that is to be planned again.
#[derive(Clone, Copy, Debug)]
struct PutOff {
    attempts: u32,
    until: Instant,
}

/// What became of an attempt to plan a run.
enum Planned {
    /// It can be queued.
    Ready(Active),
    /// It can never be planned.
    Failed(String),
    /// Not now.
    Later(String),
    /// It was over already.
    Over,
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

    /// Plans a run, or plans again what a predecessor had begun. Returns whether it can be queued;
    /// if not, the register says why. What is wrong with one run never holds up the others.
    async fn plan(&mut self, record: &RunRecord) -> Result<bool, SchedulerError> {
        let id = &record.id;
        let before = self.put_off.get(id).copied();
        if before.is_some_and(|put_off| put_off.until > Instant::now()) {
            return Ok(false);
        }
        let attempts = before.map_or(0, |put_off| put_off.attempts) + 1;
        let failure = match self.try_plan(record).await? {
            Planned::Ready(active) => {
                let (jobs, users) = (active.plan.jobs(), active.plan.users);
                tracing::info!(run = %id, jobs, users, unknown = active.plan.users_unknown, "planned");
                self.put_off.remove(id);
                self.active.insert(id.clone(), active);
                return Ok(true);
            }
            Planned::Over => return Ok(false),
            Planned::Later(error) if attempts < PLANNING_ATTEMPTS => {
                let wait = FIRST_WAIT
                    .saturating_mul(1 << attempts.min(16))
                    .min(LONGEST_WAIT);
                let code = Code::leading(&error).map(tracing::field::display);
                tracing::warn!(code, run = %id, error, ?wait, "cannot plan a run yet");
                self.register.note_waiting(id, &error).await?;
                let until = Instant::now() + wait;
                self.put_off.insert(id.clone(), PutOff { attempts, until });
                return Ok(false);
            }
            Planned::Later(error) => format!("{error} (after {attempts} attempts)"),
            Planned::Failed(error) => error,
        };
        let code = Code::leading(&failure).map(tracing::field::display);
        tracing::error!(code, run = %id, error = failure, "cannot plan a run");
        self.register
            .end(id, RunState::Failed, Some(&failure))
            .await?;
        Ok(false)
    }

    async fn try_plan(&self, record: &RunRecord) -> Result<Planned, SchedulerError> {
        let Some(request) = &record.request else {
            return Ok(Planned::Failed(
                Code::Request.before("the request is missing"),
            ));
        };
        let dataset = &request.dataset;
        let manifest = match load_manifest(dataset).await {
            Ok(manifest) => manifest,
            Err(error) if error.is_transient() => return Ok(Planned::Later(error.with_code())),
            Err(error) => return Ok(Planned::Failed(error.with_code())),
        };
        let planned_for = record.dataset_id.as_ref();
        if planned_for.is_some_and(|id| *id != manifest.id) {
            let error = format!("{dataset}: another dataset is there now");
            return Ok(Planned::Failed(Code::Replaced.before(error)));
        }
        let users = match &request.scope {
            Scope::Cohort(name) => {
                let (redis, register) = (&self.redis, &self.register);
                match cohort::snapshot(redis, register, &record.id, name).await {
                    Ok(users) => users,
                    Err(CohortError::Redis(error)) => return Err(error.into()),
                    Err(CohortError::Register(error)) => return Err(error.into()),
                    Err(error) => return Ok(Planned::Failed(error.with_code())),
                }
            }
            Scope::All | Scope::ActiveSince(_) => Vec::new(),
        };
        let partitions = self.queues.extract.partitions();
        let plan = match Plan::new(&manifest, request, &users, record.epoch, partitions) {
            Ok(plan) => plan,
            Err(error) => return Ok(Planned::Failed(error.with_code())),
        };
        if record.restarts > 0 {
            restart(&self.queues, &record.id, request.lane, record.restarts).await?;
        }
        let (jobs, unknown) = (plan.jobs(), plan.users_unknown);
        let started = self
            .register
            .start(&record.id, &manifest.id, jobs, plan.users, unknown)
            .await?;
        if !started {
            return Ok(Planned::Over);
        }
        Ok(Planned::Ready(Active::new(
            request.lane,
            record.restarts,
            plan,
        )))
    }

    /// Queues further jobs of a run where there is room.
    async fn top_up(&mut self, run: &RunId) -> Result<(), SchedulerError> {
        let Some(active) = self.active.get_mut(run) else {
            return Ok(());
        };
        if active.is_queued()
            || waiting(&self.queues.name, active.lane).await? >= self.options.naming_backlog
        {
            return Ok(());
        }
        for (partition, jobs) in active.plan.partitions.iter().enumerate() {
            let cursor = &mut active.cursors[partition];
            let partition = partition as u32;
            if *cursor >= jobs.len() as u64 {
                continue;
            }
            let depth = self.queues.extract.depth(active.lane, partition).await?;
            let mut room = self.options.queue_depth.saturating_sub(depth);
            while room > 0 {
                let next: &[NewJob] = jobs.get(*cursor as usize..).unwrap_or_default();
                let count = room.min(JOBS_PER_CALL).min(next.len() as u64);
                if count == 0 {
                    break;
                }
                let queued = self.queues.extract.enqueue_planned(
                    run,
                    active.lane,
                    partition,
                    *cursor,
                    &next[..count as usize],
                );
                // None: cancelled or paused meanwhile; the next turn finds it so.
                let Some(planned) = queued.await? else {
                    return Ok(());
                };
                *cursor = planned;
                room -= count;
            }
        }
        Ok(())
    }

    /// Ends a run when all its jobs were queued and none is pending, extraction first: a naming job
    /// is pending before the extraction job that it follows from is not. A worker that lost its
    /// lease on an extraction may still ask for naming, at any time: the naming queue is closed. When
    /// Redis has lost naming jobs, the run restarts instead.
    async fn end_if_done(&mut self, record: &RunRecord) -> Result<(), SchedulerError> {
        let run = &record.id;
        let extract = self.queues.extract.standings(run).await?;
        if !record.queued {
            if extract.iter().any(|of| of.restarts < record.restarts) {
                // They do not know that the run has restarted, as Redis has lost that.
                self.active.remove(run);
                return Ok(());
            }
            let Some(active) = self.active.get_mut(run) else {
                return Ok(());
            };
            // What this process has queued counts for nothing if the partitions know nothing of it.
            active.go_back_to(&extract);
            if !active.is_queued() {
                return Ok(());
            }
        }
        if extract.iter().any(|standing| standing.pending > 0) {
            if record.reopened > 0 {
                // What follows from jobs that were replayed must find its queue open.
                self.queues.name.reopen(run).await?;
            }
            return Ok(());
        }
        let name = self.queues.name.standing(run).await?;
        if name.pending > 0 {
            return Ok(());
        }
        if name.restarts < record.restarts && !record.queued {
            self.active.remove(run);
            return Ok(());
        }
        let lost = lost(&Standing::sum(extract), &name);
        // A run that was reopened has no plan any more.
        if lost > 0 && !record.queued && self.register.restart(record, MOST_RESTARTS).await? {
            tracing::warn!(code = %Code::Lost, %run, lost, "Redis has lost jobs; the run restarts");
            return Ok(());
        }
        // If not, it was paused, cancelled or reopened meanwhile.
        if self.register.finish(record).await? {
            self.active.remove(run);
            self.queues.name.close(run).await?;
            tracing::info!(%run, lost, "done");
        }
        Ok(())
    }

    /// Now and then: what workers that were killed have left behind, and what nobody has replayed.
    async fn tidy(&mut self) -> Result<(), SchedulerError> {
        if self.tidied.is_some_and(|at| at.elapsed() < TIDY_EVERY) {
            return Ok(());
        }
        for queue in [&self.queues.extract, &self.queues.name] {
            let forgotten = queue.forget_idle_workers(FORGET_AFTER).await?;
            if forgotten > 0 {
                tracing::debug!(kind = %queue.kind(), forgotten, "forgot workers that are gone");
            }
            let letters = queue.forget_letters(KEEP_RUNS).await?;
            if letters > 0 {
                tracing::info!(kind = %queue.kind(), letters, days = KEEP_RUNS.as_secs() / 86_400, "dropped dead letters that were kept for so long");
            }
        }
        self.tidied = Some(Instant::now());
        Ok(())
    }
}

/// Between two attempts while Redis is away.
fn retry_pause() -> Duration {
    Duration::from_millis(rand::rng().random_range(250..1000))
}

/// How many jobs of a lane are queued, over all partitions.
async fn waiting(queue: &Queue, lane: Lane) -> Result<u64, QueueError> {
    let mut waiting = 0;
    for partition in 0..queue.partitions() {
        waiting += queue.depth(lane, partition).await?;
    }
    Ok(waiting)
}

async fn load_manifest(dataset: &str) -> Result<Manifest, DatasetError> {
    let loaded = tokio::time::timeout(STORAGE_PATIENCE, Manifest::load(dataset)).await;
    loaded.unwrap_or_else(|_| {
        Err(DatasetError::Storage {
            location: dataset.into(),
            file: sojourn::dataset::MANIFEST_FILE.into(),
            reason: format!("no answer within {} s", STORAGE_PATIENCE.as_secs()),
        })
    })
}
