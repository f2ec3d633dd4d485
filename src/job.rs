//! What jobs say. Everything that a job needs is in it, so that a worker asks nobody but the
//! storage that the dataset is on.

use serde::{Deserialize, Serialize};

use crate::journey::JourneyParams;
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
