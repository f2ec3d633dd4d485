//! Results: what recommenders read, and how it is written.
//!
//! Per user there are two hashes in one slot: names, and journeys with a field `_meta`. They are
//! written by two scripts only, one for journeys and one for names; both check before they write.
//! `docs/redis-keys.md` describes the hashes for readers in any language.

mod reader;
mod writer;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use reader::{JourneyReader, Names, UserJourneys, UserRead};
pub use writer::{JourneyWriter, NewName, UserResult, Written};

use crate::run::{Epoch, RunId};

/// Field of the journeys hash that is not a journey.
pub const META_FIELD: &str = "_meta";

/// Where a user's results come from.
///
/// The first three fields come first in the JSON, in this order: the scripts read them there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Epoch of the run that wrote the results.
    pub epoch: Epoch,
    /// Attempt at the job that wrote them; fences off a worker that lost its lease.
    pub attempt: u32,
    /// Counts writes to the results, so that a writer notices those of others.
    pub revision: u64,
    /// The run.
    pub run: RunId,
    /// Content address of the dataset.
    pub dataset: String,
    /// Fingerprint of the parameters; `sojourn run ID` shows them.
    pub parameters: String,
    /// The mean cosine from which journeys of this user became one, which follows the history; none
    /// where they are not merged, and in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_threshold: Option<f32>,
    /// The chance that what the user does next opens a new journey; none where the dataset's histories
    /// do not say, and in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploration: Option<f32>,
    /// When the journeys were written.
    pub written_at: Timestamp,
}

/// Results that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Redis did not do it; worth another try.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// Others kept writing to a user's results.
    #[error("the results of user {user:?} changed {times} times while they were written")]
    Busy {
        /// The user.
        user: String,
        /// How often it was tried.
        times: usize,
    },
    /// What stands there is not what Sojourn writes.
    #[error(
        "{key}, field {field:?}: not what this version of Sojourn writes ({reason}); the next run \
         over the user replaces it"
    )]
    Foreign {
        /// The key.
        key: String,
        /// The field.
        field: String,
        /// What is wrong.
        reason: String,
    },
}
