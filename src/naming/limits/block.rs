//! What is reserved for a process, to be used for calls of one run within a short time.

use tokio::time::Instant;

use super::Timing;
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
    /// When the requests must have reached the endpoint. Counted, like all of this, from when the
    /// server was asked, which is before it was charged.
    pub send_by: Instant,
    /// How long it may be used.
    until: Instant,
    /// How long the call may use it for whose sake it was reserved: an answer of the server that took
    /// its time leaves less of it to the request, and a server that always does must not stop all calls.
    first_until: Instant,
    /// How many calls it was to be for.
    calls: u64,
    /// How many have used it.
    used: u64,
}

impl Block {
    pub fn new(place: Place, granted: Cost, asked: Instant, calls: u64, timing: &Timing) -> Block {
        let until = asked + timing.block;
        Block {
            place,
            left: granted,
            send_by: until + timing.transit,
            until,
            first_until: until + timing.transit / 2,
            calls,
            used: 0,
        }
    }

    /// Whether it may not be used any more.
    pub fn is_old(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Takes what a call needs, if it is there and not too old.
    pub fn take(&mut self, needed: &Cost) -> bool {
        let until = match self.used {
            0 => self.first_until,
            _ => self.until,
        };
        let takes = Instant::now() < until && self.left.covers(needed);
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
    pub fn next_calls(&self) -> u64 {
        let calls = match self.is_old() {
            true => self.used,
            false => self.calls.saturating_mul(2),
        };
        calls.clamp(1, MOST_CALLS)
    }
}
