//! What the queue should know of a run.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::Entry;

/// Counts that a run keeps when it restarts and something is to be kept: `size` becomes the sum
/// of the first ones.
pub const SUMMANDS: [&str; 2] = ["users", "retried"];

/// Further counts that are kept.
pub const OTHERS: [&str; 1] = ["replayed"];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Running,
    Paused,
    Over,
    Cancelled,
}

impl State {
    /// As the run's hash says it.
    pub fn text(self) -> Option<&'static str> {
        match self {
            State::Running => None,
            State::Paused => Some("paused"),
            State::Over => Some("over"),
            State::Cancelled => Some("cancelled"),
        }
    }
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub state: State,
    pub restarts: u64,
    pub pending: BTreeSet<String>,
    pub counts: BTreeMap<String, u64>,
    /// Jobs that follow from others and were queued.
    pub followed: BTreeSet<String>,
    /// Entries that wait until it is resumed.
    pub parked: Vec<Entry>,
    /// How often each job was queued as a new one: once, unless the run was closed and reopened.
    pub begun: BTreeMap<String, u64>,
    /// How often each job was done, dead or lost, but for those that were replayed.
    pub ended: BTreeMap<String, u64>,
}

impl Run {
    pub fn count(&mut self, name: &str, amount: u64) {
        *self.counts.entry(name.into()).or_default() += amount;
    }

    pub fn counted(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// The counts that are not 0: those that are may be written or not.
    pub fn all_counted(&self) -> BTreeMap<String, u64> {
        let counts = self.counts.iter().filter(|&(_, &amount)| amount > 0);
        counts
            .map(|(name, &amount)| (name.clone(), amount))
            .collect()
    }

    /// Notes a job that is queued. Returns whether it was not pending.
    pub fn begin(&mut self, job: &str, size: u64) -> bool {
        let is_new = self.pending.insert(job.into());
        if is_new {
            self.count("jobs", 1);
            self.count("size", size);
            *self.begun.entry(job.into()).or_default() += 1;
        }
        is_new
    }

    /// Notes that a job is done, dead or lost. Returns whether it was pending: not a second entry
    /// of one that has ended.
    pub fn end(&mut self, job: &str, how: &str) -> bool {
        let was_pending = self.pending.remove(job);
        if was_pending {
            self.count(how, 1);
            *self.ended.entry(job.into()).or_default() += 1;
        }
        was_pending
    }

    /// Notes that a dead job is to be done after all.
    pub fn revive(&mut self, job: &str) {
        self.pending.insert(job.into());
        *self.counts.get_mut("dead").expect("a dead job") -= 1;
        *self.ended.get_mut(job).expect("a dead job") -= 1;
        self.count("replayed", 1);
        if self.state == State::Over {
            self.state = State::Running;
        }
    }

    /// What is known of it when it restarts.
    pub fn again(&self, restarts: u64, keeps: bool) -> Run {
        let mut again = Run {
            restarts,
            state: match self.state {
                State::Over => State::Running,
                state => state,
            },
            ..Run::default()
        };
        if keeps {
            for name in SUMMANDS.into_iter().chain(OTHERS) {
                again.count(name, self.counted(name));
            }
            again.count("size", SUMMANDS.map(|name| self.counted(name)).iter().sum());
        }
        again
    }
}
