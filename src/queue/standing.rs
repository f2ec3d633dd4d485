//! How far a run is.

use std::collections::HashMap;

/// How a run stands in one kind of queue, summed over its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Jobs that are not finished.
    pub pending: u64,
    /// Counts by name: `jobs`, `done`, `dead`, `retried`, `planned`, and what the jobs counted.
    pub counts: HashMap<String, u64>,
}

impl Standing {
    /// One count; 0 when nothing was counted under that name.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }
}
