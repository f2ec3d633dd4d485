//! What stands in lanes, waits, or was given up.

use sojourn::queue::{Lane, LetterId};

/// One entry of a lane, or one that waits to be one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub run: usize,
    pub job: String,
    pub attempts: u64,
    pub failures: u32,
    pub crashes: u32,
    /// Place in the lane; entries that came back in the same moment share one, since nothing is said
    /// about their order.
    pub place: u64,
    /// Who holds it, and how often it was handed out.
    pub held: Option<(String, u32)>,
}

/// An entry that waits for another attempt.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub entry: Entry,
    pub is_due: bool,
}

/// A job that was given up.
#[derive(Clone, Debug)]
pub struct Letter {
    pub id: LetterId,
    pub lane: Lane,
    pub error: String,
    pub entry: Entry,
    /// How often its run had restarted.
    pub restarts: u64,
    /// Whether it is still there.
    pub is_kept: bool,
}
