//! How the scheduler works.

use std::time::Duration;

/// How the scheduler works.
#[derive(Clone, Debug)]
pub struct SchedulerOptions {
    /// Extraction jobs queued in each lane of each partition, at most, leased ones included. Enough
    /// for every worker to find one at once, few enough that a cohort does not wait behind memory.
    pub queue_depth: u64,
    /// Naming jobs that may wait in a lane, over all partitions, before no more extraction jobs are
    /// queued: extraction is the faster of the two, and without a bound Redis would fill with names
    /// to be made. Jobs that are queued already still add theirs.
    pub naming_backlog: u64,
    /// How long to wait for requests between two looks at the queues.
    pub poll: Duration,
    /// How long the lead lasts without renewal.
    pub lead: Duration,
    /// Between two comparisons of what runs wait for with what the queues have. A job that Redis has
    /// lost is queued again after two of them.
    pub reconcile: Duration,
}

impl SchedulerOptions {
    /// How long the lead lasts without renewal where nothing is said: longer than a busy machine
    /// holds a process up.
    pub const LEAD: Duration = Duration::from_secs(10);
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        SchedulerOptions {
            queue_depth: 64,
            naming_backlog: 10_000,
            poll: Duration::from_millis(200),
            lead: SchedulerOptions::LEAD,
            reconcile: Duration::from_secs(15),
        }
    }
}
