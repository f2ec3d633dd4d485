//! Runs: one backfill or recompute, from the request to the last name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names a run. It is the id of the stream entry that asked for it, so that asking twice by
/// accident is visible and creating the run twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A run id as written by `sojourn runs`: two numbers joined by a dash.
    ///
    /// # Errors
    /// The text, when it is not of that form.
    pub fn parse(text: &str) -> Result<RunId, InvalidRunId> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match text.split_once('-') {
            Some((time, sequence)) if digits(time) && digits(sequence) => Ok(RunId(text.into())),
            _ => Err(InvalidRunId(text.chars().take(40).collect())),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the run was asked for, in milliseconds since 1970.
    pub fn created_ms(&self) -> i64 {
        self.0
            .split('-')
            .next()
            .and_then(|time| time.parse().ok())
            .unwrap_or(0)
    }
}

/// Text that is not a run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a run id; run ids look like 1763947200000-0, `sojourn runs` lists them")]
pub struct InvalidRunId(String);

impl std::str::FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        RunId::parse(text)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which run's result is newer: results of a larger epoch are never replaced by those of a smaller.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
