//! What is reserved for a process, to be used for calls of one run within a short time.

use std::time::Duration;

use tokio::time::Instant;

use super::cost::Cost;
use super::settlement::Place;

/// Calls in one block, at most.
const MOST_CALLS: u64 = 1024;

/// A reservation that is being used up.
#[derive(Debug)]
pub(super) struct Block {
    /// Where it is charged.
    pub place: Place,
    /// What is left of it.
    pub left: Cost,
    /// When the server was asked for it: before it said so, so that it is not used for too long.
    asked: Instant,
    /// How many calls it was to be for.
    calls: u64,
    /// How many have used it.
    used: u64,
}

impl Block {
    pub fn new(place: Place, granted: Cost, asked: Instant, calls: u64) -> Block {
        Block {
            place,
            left: granted,
            asked,
            calls,
            used: 0,
        }
    }

    /// Whether it may not be used any more.
    pub fn is_old(&self, lasts: Duration) -> bool {
        self.asked.elapsed() >= lasts
    }

    /// Takes what a call needs, if it is there and not too old.
    pub fn take(&mut self, needed: &Cost, lasts: Duration) -> bool {
        let takes = !self.is_old(lasts) && self.left.covers(needed);
        if takes {
            self.left -= *needed;
            self.used += 1;
        }
        takes
    }

    /// Whether there is nothing left of it.
    pub fn is_empty(&self) -> bool {
        self.left == Cost::default()
    }

    /// For how many calls the next block should be: twice as many where this one was used up before
    /// its time, else as many as there were.
    pub fn next_calls(&self, lasts: Duration) -> u64 {
        let calls = if self.is_old(lasts) {
            self.used
        } else {
            self.calls.saturating_mul(2)
        };
        calls.clamp(1, MOST_CALLS)
    }
}
