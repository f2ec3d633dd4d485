//! The register of runs: what was asked for, how far it is, how it ended. Everything about runs
//! that stands in Redis outside the queues is written here.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use futures::TryStreamExt;
use jiff::Timestamp;
use redis::{AsyncCommands, Script};
use serde::{Deserialize, Serialize};
use sojourn::connection::Redis;
use sojourn::queue::{KEEP_RUNS, Kind, Queue, QueueError};
use sojourn::run::{Epoch, RunId};

use crate::trigger::Request;

static CREATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("create_run.lua")));
static START: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("start_run.lua")));
static END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("end_run.lua")));

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Asked for; its jobs are not known yet.
    Planning,
    /// Its jobs are being queued and worked on.
    Running,
    /// Every job is finished; those that are dead are counted.
    Done,
    /// It could not be planned.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl RunState {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        !matches!(self, RunState::Planning | RunState::Running)
    }

    /// As written in the register.
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Planning => "planning",
            RunState::Running => "running",
            RunState::Done => "done",
            RunState::Failed => "failed",
            RunState::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Option<RunState> {
        use RunState::{Cancelled, Done, Failed, Planning, Running};
        [Planning, Running, Done, Failed, Cancelled]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// One run in the register.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRecord {
    /// The run.
    pub id: RunId,
    /// What was asked for; none when the request could not be read.
    pub request: Option<Request>,
    /// Where it is in its life.
    pub state: RunState,
    /// Orders its results against those of other runs.
    pub epoch: Epoch,
    /// Content address of the dataset, once it was looked at.
    pub dataset_id: Option<String>,
    /// How many extraction jobs there are, once it is planned.
    pub jobs: u64,
    /// How many users it is about, once it is planned; for `active since` at most.
    pub users: u64,
    /// Users that were asked for and that the dataset cannot have.
    pub users_unknown: u64,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
}

/// How far a run is: the register and the queues together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunStatus {
    /// What the register says.
    #[serde(flatten)]
    pub record: RunRecord,
    /// Extraction jobs that are not finished, of those queued.
    pub pending: u64,
    /// Naming jobs that are not finished.
    pub naming_pending: u64,
    /// Everything that the jobs counted, by name.
    pub counts: BTreeMap<String, u64>,
}

impl RunStatus {
    /// One count; 0 when nothing was counted under that name.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Jobs that were given up, of both kinds.
    pub fn dead(&self) -> u64 {
        self.count("dead") + self.count("naming_dead")
    }
}

/// What cannot be done with the register.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Redis did not do it.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// The queue did not do it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// There is no such run.
    #[error("there is no run {0}; `sojourn runs` lists them (runs are kept for 30 days)")]
    UnknownRun(RunId),
    /// What stands there is not what Sojourn writes.
    #[error("{key}: not what this version of Sojourn writes ({reason})")]
    Foreign {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

/// Reads and writes the register of runs.
#[derive(Clone, Debug)]
pub struct Register {
    redis: Redis,
}

impl Register {
    /// The register in `redis`.
    pub fn new(redis: &Redis) -> Register {
        Register {
            redis: redis.clone(),
        }
    }

    /// Enters a run, unless it is there. A request that could not be read is entered as failed, so
    /// that whoever asked can see why.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn create(
        &self,
        id: &RunId,
        request: &Result<Request, String>,
    ) -> Result<(), RegisterError> {
        let keys = self.redis.keys();
        let state = if request.is_ok() {
            RunState::Planning
        } else {
            RunState::Failed
        };
        let mut call = CREATE.prepare_invoke();
        call.key(keys.run(id))
            .key(keys.run_index())
            .key(keys.epoch())
            .key(keys.active_runs());
        call.arg(id.as_str())
            .arg(id.created_ms())
            .arg(state.as_str())
            .arg(KEEP_RUNS.as_secs());
        match request {
            Ok(request) => call.arg("request").arg(json(request)),
            Err(error) => call.arg("error").arg(error).arg("finished").arg(now_ms()),
        };
        let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(())
    }

    /// Notes that a run is planned. Returns `false` when it was over already.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn start(
        &self,
        id: &RunId,
        dataset_id: &str,
        jobs: u64,
        users: u64,
        users_unknown: u64,
    ) -> Result<bool, RegisterError> {
        let mut call = START.prepare_invoke();
        call.key(self.redis.keys().run(id));
        call.arg("dataset_id").arg(dataset_id).arg("jobs").arg(jobs);
        call.arg("users")
            .arg(users)
            .arg("users_unknown")
            .arg(users_unknown);
        let started: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(started == 1)
    }

    /// Ends a run. Returns `false` when it was over already.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn end(
        &self,
        id: &RunId,
        state: RunState,
        error: Option<&str>,
    ) -> Result<bool, RegisterError> {
        let keys = self.redis.keys();
        let mut call = END.prepare_invoke();
        call.key(keys.run(id))
            .key(keys.run_users(id))
            .key(keys.active_runs());
        call.arg(state.as_str())
            .arg(KEEP_RUNS.as_secs())
            .arg(id.as_str())
            .arg("finished")
            .arg(now_ms());
        if let Some(error) = error {
            call.arg("error").arg(error);
        }
        let ended: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(ended == 1)
    }

    /// Ends a run before it is done: its jobs leave the queues, and workers drop what they hold.
    /// Returns `false` when it was over already.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown; doing it again is safe.
    pub async fn cancel(&self, id: &RunId, queues: &Queues) -> Result<bool, RegisterError> {
        let record = self.run(id).await?;
        // First the state, so that the scheduler plans no more; the queues refuse it anyway.
        let ended = self.end(id, RunState::Cancelled, None).await?;
        if ended || record.state == RunState::Cancelled {
            queues.extract.cancel(id).await?;
            queues.name.cancel(id).await?;
        }
        Ok(ended)
    }

    /// A run as the register knows it.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown.
    pub async fn run(&self, id: &RunId) -> Result<RunRecord, RegisterError> {
        let key = self.redis.keys().run(id);
        let fields: HashMap<String, String> = self.redis.commands().hgetall(&key).await?;
        if fields.is_empty() {
            return Err(RegisterError::UnknownRun(id.clone()));
        }
        record(id.clone(), &fields).map_err(|reason| RegisterError::Foreign { key, reason })
    }

    /// The runs that are not over, in no particular order.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn active_runs(&self) -> Result<Vec<RunRecord>, RegisterError> {
        let ids: Vec<String> = self
            .redis
            .commands()
            .smembers(self.redis.keys().active_runs())
            .await?;
        let mut runs = Vec::with_capacity(ids.len());
        for id in ids.iter().filter_map(|id| RunId::parse(id).ok()) {
            match self.run(&id).await {
                Ok(record) => runs.push(record),
                // Somebody deleted it; the runs beside it go on.
                Err(RegisterError::UnknownRun(id)) => {
                    let key = self.redis.keys().active_runs();
                    let () = self.redis.commands().srem(key, id.as_str()).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(runs)
    }

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn runs(&self, most: usize) -> Result<Vec<RunRecord>, RegisterError> {
        let index = self.redis.keys().run_index();
        let last = isize::try_from(most).unwrap_or(isize::MAX).max(1) - 1;
        let ids: Vec<String> = self.redis.commands().zrevrange(&index, 0, last).await?;
        let mut runs = Vec::with_capacity(ids.len());
        for id in ids {
            let Ok(run) = RunId::parse(&id) else { continue };
            match self.run(&run).await {
                Ok(record) => runs.push(record),
                // Its time was up; the index has no expiry of its own.
                Err(RegisterError::UnknownRun(_)) => {
                    let () = self.redis.commands().zrem(&index, &id).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(runs)
    }

    /// How far a run is.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown.
    pub async fn status(&self, id: &RunId, queues: &Queues) -> Result<RunStatus, RegisterError> {
        let record = self.run(id).await?;
        let extract = queues.extract.standing(id).await?;
        let name = queues.name.standing(id).await?;
        let mut counts: BTreeMap<String, u64> = extract.counts.into_iter().collect();
        counts.extend(name.counts.into_iter().map(|(count, amount)| {
            let ours = ["jobs", "done", "dead", "retried", "planned"].contains(&count.as_str());
            (
                if ours {
                    format!("naming_{count}")
                } else {
                    count
                },
                amount,
            )
        }));
        Ok(RunStatus {
            record,
            pending: extract.pending,
            naming_pending: name.pending,
            counts,
        })
    }

    /// Copies a cohort as it is now, so that planning again after a crash plans the same, and
    /// returns its users in ascending order.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn snapshot_cohort(
        &self,
        id: &RunId,
        cohort: &str,
    ) -> Result<Vec<String>, RegisterError> {
        let mut connection = self.redis.commands();
        let snapshot = self.redis.keys().run_users(id);
        let taken: bool = connection.exists(&snapshot).await?;
        let source = if taken {
            snapshot.clone()
        } else {
            self.redis.keys().cohort(cohort)
        };
        let mut users: Vec<String> = connection.sscan(&source).await?.try_collect().await?;
        users.sort_unstable();
        users.dedup();
        if !taken && !users.is_empty() {
            let mut pipeline = redis::pipe();
            pipeline.atomic();
            for chunk in users.chunks(10_000) {
                pipeline.sadd(&snapshot, chunk).ignore();
            }
            pipeline
                .expire(&snapshot, KEEP_RUNS.as_secs() as i64)
                .ignore();
            let () = pipeline.exec_async(&mut connection).await?;
        }
        Ok(users)
    }
}

/// The two queues.
#[derive(Clone, Debug)]
pub struct Queues {
    /// Extraction jobs.
    pub extract: Queue,
    /// Naming jobs.
    pub name: Queue,
}

impl Queues {
    /// The queues in `redis`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn open(redis: &Redis) -> Result<Queues, QueueError> {
        let partitions =
            sojourn::queue::partitions(redis, sojourn::queue::DEFAULT_PARTITIONS).await?;
        Ok(Queues {
            extract: Queue::new(redis.clone(), Kind::Extract, partitions),
            name: Queue::new(redis.clone(), Kind::Name, partitions),
        })
    }
}

fn record(id: RunId, fields: &HashMap<String, String>) -> Result<RunRecord, String> {
    let text = |name: &str| fields.get(name).cloned();
    let number = |name: &str| match fields.get(name) {
        None => Ok(0),
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| format!("{name} is {text:?}")),
    };
    let time = |name: &str| {
        let milliseconds = i64::try_from(number(name)?).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(milliseconds).map_err(|error| format!("{name}: {error}"))
    };
    let state = text("state").unwrap_or_default();
    Ok(RunRecord {
        id,
        request: match text("request") {
            Some(json) => Some(serde_json::from_str(&json).map_err(|e| format!("request: {e}"))?),
            None => None,
        },
        state: RunState::parse(&state).ok_or_else(|| format!("state is {state:?}"))?,
        epoch: Epoch(number("epoch")?),
        dataset_id: text("dataset_id"),
        jobs: number("jobs")?,
        users: number("users")?,
        users_unknown: number("users_unknown")?,
        created: time("created")?,
        finished: if fields.contains_key("finished") {
            Some(time("finished")?)
        } else {
            None
        },
        error: text("error"),
    })
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Requests are plain data; serialising them cannot fail.
fn json(request: &Request) -> String {
    serde_json::to_string(request).unwrap_or_default()
}
