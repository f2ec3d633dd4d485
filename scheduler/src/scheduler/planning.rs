//! Planning: a run that was asked for becomes jobs, when its dataset can be read.

use std::time::Duration;

use sojourn::code::{Code, Coded};
use sojourn::dataset::{DatasetError, MANIFEST_FILE, Manifest};
use tokio::time::Instant;

use super::{Scheduler, SchedulerError};
use crate::active::Active;
use crate::cohort::{self, CohortError};
use crate::plan::Plan;
use crate::reconciler::restart;
use crate::record::{RunRecord, RunState};
use crate::trigger::Scope;

/// How long the storage may take to hand out a manifest. Other runs wait meanwhile; the lead is
/// renewed.
pub(super) const STORAGE_PATIENCE: Duration = Duration::from_secs(30);

/// How often a run is planned before it is given up: for five minutes or so, in which a storage
/// that was restarted is back, and somebody who mistyped a bucket still watches.
const PLANNING_ATTEMPTS: u32 = 10;

/// Wait after the first attempt that failed; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A run that is to be planned again.
#[derive(Clone, Copy, Debug)]
pub(super) struct PutOff {
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
    /// Plans a run, or plans again what a predecessor had begun. Returns whether it can be queued;
    /// if not, the register says why. What is wrong with one run never holds up the others.
    pub(super) async fn plan(&mut self, record: &RunRecord) -> Result<bool, SchedulerError> {
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
}

async fn load_manifest(dataset: &str) -> Result<Manifest, DatasetError> {
    let loaded = tokio::time::timeout(STORAGE_PATIENCE, Manifest::load(dataset)).await;
    loaded.unwrap_or_else(|_| {
        Err(DatasetError::Storage {
            location: dataset.into(),
            file: MANIFEST_FILE.into(),
            reason: format!("no answer within {} s", STORAGE_PATIENCE.as_secs()),
        })
    })
}
