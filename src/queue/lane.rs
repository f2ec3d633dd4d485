//! Kinds of jobs, and which of them go first.

use std::fmt;

/// What the jobs of a queue ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Find the journeys of a shard's users.
    Extract,
    /// Name the journeys of some users.
    Name,
}

impl Kind {
    /// Both, in the order in which a run goes through them.
    pub const ALL: [Kind; 2] = [Kind::Extract, Kind::Name];
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let found = Kind::ALL.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| "must be extract or name".into())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Extract => "extract",
            Kind::Name => "name",
        })
    }
}

/// Which jobs go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Cohorts: somebody waits for them.
    High,
    /// Backfills.
    Low,
}

impl Lane {
    /// Both, the more urgent first.
    pub const ALL: [Lane; 2] = [Lane::High, Lane::Low];
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lane::High => "high",
            Lane::Low => "low",
        })
    }
}
