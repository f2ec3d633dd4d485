//! What is known of a run: as it stands in the register, and with the counts of the queues.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use sojourn::queue::{Kind, Lane};
use sojourn::run::{Epoch, RunId};

use crate::trigger::Request;

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Asked for; its jobs are not known yet.
    Planning,
    /// Its jobs are being queued and worked on.
    Running,
    /// Somebody paused it; nothing is planned or worked on until it is resumed.
    Paused,
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
        !matches!(
            self,
            RunState::Planning | RunState::Running | RunState::Paused
        )
    }

    /// As written in the register.
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Planning => "planning",
            RunState::Running => "running",
            RunState::Paused => "paused",
            RunState::Done => "done",
            RunState::Failed => "failed",
            RunState::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Option<RunState> {
        use RunState::{Cancelled, Done, Failed, Paused, Planning, Running};
        [Planning, Running, Paused, Done, Failed, Cancelled]
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
    /// Rises whenever dead jobs of the run are replayed: see [`Register::finish`].
    ///
    /// [`Register::finish`]: crate::register::Register::finish
    #[serde(skip)]
    pub reopened: u64,
    /// Whether it was done before it was reopened, so that there is nothing left to plan.
    #[serde(skip)]
    pub queued: bool,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// What it is waiting for before it can be planned.
    pub waiting: Option<String>,
    /// How often it has restarted, because Redis had lost jobs or somebody asked for it.
    pub restarts: u64,
}

/// A lane that gives nothing out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PausedLane {
    /// Of which kind of jobs.
    #[serde(serialize_with = "as_text")]
    pub kind: Kind,
    /// Which lane.
    pub lane: Lane,
}

impl fmt::Display for PausedLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.lane)
    }
}

fn as_text<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(kind)
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
    /// Jobs that Redis has lost and that could not be queued again.
    pub lost: u64,
    /// Lanes of this run that are paused, for all runs.
    pub paused_lanes: Vec<PausedLane>,
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

impl RunRecord {
    /// The lane that its jobs are in, until it is over.
    pub fn lane_to_go(&self) -> Option<Lane> {
        let request = self.request.as_ref().filter(|_| !self.state.is_over());
        request.map(|request| request.lane)
    }

    /// Reads the fields of a run's hash.
    ///
    /// # Errors
    /// Which field is not what this version writes.
    pub fn read(id: RunId, fields: &HashMap<String, String>) -> Result<RunRecord, String> {
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
                Some(json) => {
                    Some(serde_json::from_str(&json).map_err(|e| format!("request: {e}"))?)
                }
                None => None,
            },
            state: RunState::parse(&state).ok_or_else(|| format!("state is {state:?}"))?,
            epoch: Epoch(number("epoch")?),
            dataset_id: text("dataset_id"),
            jobs: number("jobs")?,
            users: number("users")?,
            users_unknown: number("users_unknown")?,
            reopened: number("reopened")?,
            queued: number("queued")? > 0,
            created: time("created")?,
            finished: if fields.contains_key("finished") {
                Some(time("finished")?)
            } else {
                None
            },
            error: text("error"),
            waiting: text("waiting").filter(|waiting| !waiting.is_empty()),
            restarts: number("restarts")?,
        })
    }
}
