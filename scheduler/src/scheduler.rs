//! The scheduler's loop: reads requests, plans runs, keeps the queues filled and no fuller, and
//! notices when a run is over.

use std::collections::HashMap;
use std::time::Duration;

use rand::RngExt;
use redis::Script;
use sojourn::connection::Redis;
use sojourn::dataset::{DatasetError, Manifest};
use sojourn::queue::{Lane, NewJob, QueueError};
use sojourn::run::RunId;
use tokio_util::sync::CancellationToken;

use crate::plan::Plan;
use crate::register::{Queues, Register, RegisterError, RunRecord, RunState};
use crate::trigger::{Request, Scope};

/// Group and consumer under which requests are read. The consumer is always the same one, so that
/// a scheduler finds what its predecessor had read and not finished.
const GROUP: &str = "scheduler";
const CONSUMER: &str = "leader";

/// Requests read at once.
const REQUESTS: usize = 16;

/// Jobs in one call to the queue, at most.
const JOBS_PER_CALL: u64 = 32;

/// How the scheduler works.
#[derive(Clone, Debug)]
pub struct SchedulerOptions {
    /// Jobs queued in each lane of each partition, at most, leased ones included. Enough for every
    /// worker to find one at once, few enough that a cohort does not wait behind memory.
    pub queue_depth: u64,
    /// How long to wait for requests between two looks at the queues.
    pub poll: Duration,
    /// How long the lead lasts without renewal.
    pub lead: Duration,
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        SchedulerOptions {
            queue_depth: 64,
            poll: Duration::from_millis(200),
            lead: Duration::from_secs(10),
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
    /// The dataset cannot be read for the moment.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}

/// Plans runs and feeds the queues.
#[derive(Debug)]
pub struct Scheduler {
    redis: Redis,
    register: Register,
    queues: Queues,
    options: SchedulerOptions,
    /// Identifies this process to others that want to lead.
    identity: String,
    active: HashMap<RunId, Active>,
}

/// A run that is being queued.
#[derive(Debug)]
struct Active {
    lane: Lane,
    plan: Plan,
    /// How many jobs of each partition are queued or were.
    cursors: Vec<u64>,
}

impl Scheduler {
    /// A scheduler over the queues in `redis`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn new(redis: &Redis, options: SchedulerOptions) -> Result<Scheduler, QueueError> {
        Ok(Scheduler {
            redis: redis.clone(),
            register: Register::new(redis),
            queues: Queues::open(redis).await?,
            options,
            identity: format!("{:016x}", rand::rng().random::<u64>()),
            active: HashMap::new(),
        })
    }

    /// Schedules until `stop` is set. Redis being away never ends the loop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut leads = false;
        while !stop.is_cancelled() {
            let turn = self.turn(&mut leads).await;
            let pause = match turn {
                // A leader waits in the blocking read for requests.
                Ok(()) if leads => Duration::ZERO,
                Ok(()) => self.options.lead / 4,
                Err(error) => {
                    tracing::warn!(%error, "cannot schedule; trying again");
                    Duration::from_millis(rand::rng().random_range(250..1000))
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        if leads && let Err(error) = self.resign().await {
            tracing::warn!(%error, "cannot give up the lead; it ends by itself");
        }
    }

    async fn turn(&mut self, leads: &mut bool) -> Result<(), SchedulerError> {
        let led = std::mem::replace(leads, self.lead().await?);
        if !*leads {
            self.active.clear();
            return Ok(());
        }
        if !led {
            tracing::info!("leading");
            // What a predecessor had read and not finished comes first.
            self.read_requests("0").await?;
        }
        self.read_requests(">").await?;
        self.advance_runs().await
    }

    /// Takes or renews the lead; returns whether this process has it.
    async fn lead(&self) -> Result<bool, SchedulerError> {
        let script = Script::new(
            "local holder = redis.call('GET', KEYS[1]) \
             if holder and holder ~= ARGV[1] then return 0 end \
             redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1",
        );
        let mut call = script.key(self.redis.keys().leader());
        call.arg(&self.identity)
            .arg(self.options.lead.as_millis() as u64);
        let leads: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(leads == 1)
    }

    async fn resign(&self) -> Result<(), SchedulerError> {
        let script = Script::new(
            "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end",
        );
        let mut call = script.key(self.redis.keys().leader());
        let () = call
            .arg(&self.identity)
            .invoke_async(&mut self.redis.commands())
            .await?;
        Ok(())
    }

    /// Reads requests from `position` and enters their runs. An entry is deleted after its run is
    /// in the register, and entering twice is harmless, so no request is lost or done twice.
    async fn read_requests(&self, position: &str) -> Result<(), SchedulerError> {
        type Read = Option<Vec<(String, Vec<(String, HashMap<String, String>)>)>>;
        let key = self.redis.keys().triggers();
        let mut connection = self.redis.blocking().await?;
        let mut command = redis::cmd("XREADGROUP");
        command
            .arg("GROUP")
            .arg(GROUP)
            .arg(CONSUMER)
            .arg("COUNT")
            .arg(REQUESTS);
        command
            .arg("BLOCK")
            .arg(self.options.poll.as_millis() as u64);
        command.arg("STREAMS").arg(&key).arg(position);
        let read: Result<Read, redis::RedisError> = command.query_async(&mut connection).await;
        let read = match read {
            Err(error) if error.code() == Some("NOGROUP") => {
                let () = redis::cmd("XGROUP")
                    .arg(&["CREATE", &key, GROUP, "0", "MKSTREAM"])
                    .query_async(&mut self.redis.commands())
                    .await?;
                return Ok(());
            }
            read => read?,
        };
        for (entry, fields) in read.into_iter().flatten().flat_map(|(_, entries)| entries) {
            // Only the server makes entry ids of another form than two numbers, and it does not.
            if let Ok(run) = RunId::parse(&entry) {
                let request = Request::from_fields(&fields).map_err(|error| error.to_string());
                match &request {
                    Ok(request) => tracing::info!(%run, ?request, "asked for a run"),
                    Err(error) => tracing::error!(%run, error, "cannot understand a request"),
                }
                self.register.create(&run, &request).await?;
            }
            let () = redis::pipe()
                .atomic()
                .cmd("XACK")
                .arg(&[&key, GROUP, &entry])
                .cmd("XDEL")
                .arg(&[&key, &entry])
                .exec_async(&mut self.redis.commands())
                .await?;
        }
        Ok(())
    }

    /// Plans new runs, tops up the queues, ends runs that are done: cohorts before backfills, older
    /// runs before newer.
    async fn advance_runs(&mut self) -> Result<(), SchedulerError> {
        let mut records = self.register.active_runs().await?;
        records.retain(|record| !record.state.is_over());
        self.active
            .retain(|id, _| records.iter().any(|record| record.id == *id));
        let lane = |record: &RunRecord| record.request.as_ref().map(|request| request.lane);
        records.sort_by_key(|record| (lane(record) != Some(Lane::High), record.epoch));
        for record in records {
            if !self.active.contains_key(&record.id) {
                match self.plan(&record).await? {
                    Some(active) => self.active.insert(record.id.clone(), active),
                    None => continue,
                };
            }
            self.top_up(&record.id).await?;
            self.end_if_done(&record.id).await?;
        }
        Ok(())
    }

    /// Plans a run, or plans again what a predecessor had begun. `None` when it cannot be planned;
    /// the register says why.
    async fn plan(&self, record: &RunRecord) -> Result<Option<Active>, SchedulerError> {
        let fail = async |error: String| {
            tracing::error!(run = %record.id, error, "cannot plan a run");
            self.register
                .end(&record.id, RunState::Failed, Some(&error))
                .await
        };
        let Some(request) = &record.request else {
            fail("the request is missing".into()).await?;
            return Ok(None);
        };
        let manifest = match Manifest::load(&request.dataset).await {
            Ok(manifest) => manifest,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                fail(error.to_string()).await?;
                return Ok(None);
            }
        };
        if record
            .dataset_id
            .as_ref()
            .is_some_and(|id| *id != manifest.id)
        {
            fail(format!("{}: another dataset is there now", request.dataset)).await?;
            return Ok(None);
        }
        let users = match &request.scope {
            Scope::Cohort(name) => {
                let users = self.register.snapshot_cohort(&record.id, name).await?;
                if users.is_empty() {
                    let key = self.redis.keys().cohort(name);
                    fail(format!(
                        "cohort {name:?} is empty; fill it with SADD {key} USER..."
                    ))
                    .await?;
                    return Ok(None);
                }
                users
            }
            Scope::All | Scope::ActiveSince(_) => Vec::new(),
        };
        let partitions = self.queues.extract.partitions();
        let plan = match Plan::new(&manifest, request, &users, record.epoch, partitions) {
            Ok(plan) => plan,
            Err(error) => {
                fail(error.to_string()).await?;
                return Ok(None);
            }
        };
        let (jobs, unknown) = (plan.jobs(), plan.users_unknown);
        let started = self
            .register
            .start(&record.id, &manifest.id, jobs, plan.users, unknown)
            .await?;
        if !started {
            return Ok(None);
        }
        tracing::info!(run = %record.id, jobs, users = plan.users, unknown, "planned");
        let cursors = vec![0; plan.partitions.len()];
        Ok(Some(Active {
            lane: request.lane,
            plan,
            cursors,
        }))
    }

    /// Queues further jobs of a run where there is room.
    async fn top_up(&mut self, run: &RunId) -> Result<(), SchedulerError> {
        let Some(active) = self.active.get_mut(run) else {
            return Ok(());
        };
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
                // None: cancelled meanwhile; the next turn finds it over.
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
    /// is pending before the extraction job that it follows from is not.
    async fn end_if_done(&mut self, run: &RunId) -> Result<(), SchedulerError> {
        let Some(active) = self.active.get(run) else {
            return Ok(());
        };
        let planned = active
            .cursors
            .iter()
            .zip(&active.plan.partitions)
            .all(|(c, j)| *c >= j.len() as u64);
        if !planned || self.queues.extract.standing(run).await?.pending > 0 {
            return Ok(());
        }
        if self.queues.name.standing(run).await?.pending > 0 {
            return Ok(());
        }
        self.register.end(run, RunState::Done, None).await?;
        self.active.remove(run);
        tracing::info!(%run, "done");
        Ok(())
    }
}
