//! What jobs say. Everything that a job needs is in it, so that a worker asks nobody but the
//! storage that the dataset is on.

use serde::{Deserialize, Serialize};

use crate::journey::{Assign, JourneyParams};
use crate::queue::Payload;
use crate::run::Epoch;

/// Users in one naming job: enough for several calls, few enough that a killed worker costs little.
pub const USERS_PER_NAME_JOB: usize = 50;

/// Find the journeys of users of one shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExtractJob {
    /// Orders this run's results against those of other runs.
    pub epoch: Epoch,
    /// Where the dataset is: a folder or an object-store URL.
    pub dataset: String,
    /// Content address of the dataset: another dataset at the same place is an error.
    pub dataset_id: String,
    /// Which shard of it.
    pub shard: u32,
    /// Which users of the shard.
    pub selection: Selection,
    /// How to find journeys.
    pub params: JourneyParams,
    /// Seconds until results expire; none: they stay.
    pub ttl_seconds: Option<u64>,
}

/// Which users of a shard a job is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Selection {
    /// All of them.
    All,
    /// Those with an interaction at or after this time (milliseconds since 1970).
    ActiveSince(i64),
    /// These, in ascending order.
    Users(Vec<String>),
}

impl Selection {
    /// Whether a user whose last interaction was at `latest` is meant.
    pub fn contains(&self, user: &str, latest: i64) -> bool {
        match self {
            Selection::All => true,
            Selection::ActiveSince(since) => latest >= *since,
            Selection::Users(users) => users.binary_search_by(|u| u.as_str().cmp(user)).is_ok(),
        }
    }
}

/// Name the new and changed journeys of some users. What the journeys are stands in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameJob {
    /// The run whose results are meant; those of a newer one have a job of their own.
    pub epoch: Epoch,
    /// The users.
    pub users: Vec<UserToName>,
}

/// A user with journeys to name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserToName {
    /// The user id.
    pub user: String,
    /// How many journeys wanted a name when the job was queued. The counts of the run are made of
    /// this, so that they do not hang on how often the job was begun.
    pub journeys: u32,
}

impl Payload for ExtractJob {
    type V1 = ExtractJobV1;
}

impl Payload for NameJob {
    type V1 = NameJob;
}

/// An extraction job as version 1 wrote it.
#[derive(Deserialize)]
pub struct ExtractJobV1 {
    epoch: Epoch,
    dataset: String,
    dataset_id: String,
    shard: u32,
    selection: Selection,
    params: JourneyParamsV1,
    ttl_seconds: Option<u64>,
}

/// How version 1 found journeys. `merge` was the cosine of two journeys.
#[derive(Deserialize)]
struct JourneyParamsV1 {
    epsilon: f32,
    assign: Assign,
    merge: Option<f32>,
    reassign: bool,
    drop_at_most: u32,
    max_history: u32,
    max_listed_items: u32,
}

impl From<ExtractJobV1> for ExtractJob {
    /// Journeys are merged where they were, by today's measure: no share of it says the same as a
    /// cosine of journeys did.
    fn from(job: ExtractJobV1) -> ExtractJob {
        let params = job.params;
        let today = JourneyParams::default();
        ExtractJob {
            epoch: job.epoch,
            dataset: job.dataset,
            dataset_id: job.dataset_id,
            shard: job.shard,
            selection: job.selection,
            params: JourneyParams {
                epsilon: params.epsilon,
                assign: params.assign,
                merge: params.merge.and(today.merge),
                reassign: params.reassign,
                drop_at_most: params.drop_at_most,
                least_confidence: 0.0,
                half_life_days: None,
                max_history: params.max_history,
                max_listed_items: params.max_listed_items,
            },
            ttl_seconds: job.ttl_seconds,
        }
    }
}
