//! How long things may take, and why a limit that is kept to by these times holds in every window.
//!
//! **Never over.** What is reserved is charged to a slot of the shared window, and counts until a whole
//! window after the slot's end. Which slot: the latest moment at which the endpoint may count it. A
//! request, and with it its input, is sent within [`Timing::block`] of the reservation and there within
//! another [`Timing::transit`] (half of which the first request of a block may wait for the server); an answer is there within [`Timing::call`], and is charged anew to the
//! moment at which it came. So at each reservation, all that the endpoint may count in the window that
//! ends then is in the sum, which together with what is reserved is no more than the limit. The last
//! reservation before the end of a window speaks for the whole window. This is so in every window, and
//! whatever is given back, or comes late, does not change it; a bucket that is refilled can only
//! promise it for what is never given back.
//!
//! **Nearly all of it.** A request counts for a window, and for `block + transit + slot` at most
//! besides, so 60 of 61.325 s can be used: 97.8 %. To use them evenly, a limit is also spread over
//! [`Timing::spread`], a little longer than that, with [`Timing::burst`] of it at once: what a busy
//! machine misses is made up for, and no more comes in one second than a provider takes that counts
//! in seconds. Alone, this pace would keep to the limit but for one burst in a window: that is what
//! holds while a Redis that has lost its memory learns the window again. Output counts from its
//! reservation until a window after its answer, so of a limit of output tokens 60 of `60 + seconds of
//! a call` can be used, however little later calls take.

use std::time::Duration;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The window of the limits.
    pub window: Duration,
    /// The parts in which a window moves on.
    pub slot: Duration,
    /// How long what is reserved for a process may be used.
    pub block: Duration,
    /// From there until the endpoint counts the request.
    pub transit: Duration,
    /// The longest that a call may take.
    pub call: Duration,
    /// How much of the limit, at an even pace, may be used at once.
    pub burst: Duration,
    /// How long anybody waits to be let through.
    pub wait: Duration,
}

impl Default for Timing {
    /// Limits are per minute. A block is short enough that what a killed worker leaves unused is
    /// little, and long enough that Redis is asked five times a second by each worker, not for each
    /// call. A second is long for a request to arrive on a machine that is busy; what it costs is
    /// said above.
    fn default() -> Timing {
        Timing {
            window: Duration::from_secs(60),
            slot: Duration::from_millis(125),
            block: Duration::from_millis(200),
            transit: Duration::from_secs(1),
            call: Duration::from_secs(120),
            burst: Duration::from_secs(1),
            wait: Duration::from_secs(60),
        }
    }
}

impl Timing {
    /// After how long a request that was reserved has reached the endpoint.
    pub(super) fn reaches(&self) -> Duration {
        self.block + self.transit
    }

    /// After how long it is answered.
    pub(super) fn answered(&self) -> Duration {
        self.block + self.call
    }

    /// Over how long a limit is spread.
    pub fn spread(&self) -> Duration {
        // Slots have whole milliseconds; with a fifth of a slot more, the pace and not the window is
        // what calls wait for, and that says exactly for how long.
        self.window + self.reaches() + self.slot + self.slot / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_97_percent_of_a_limit_can_be_used() {
        let timing = Timing::default();
        let share = timing.window.as_secs_f64() / timing.spread().as_secs_f64();
        assert!(share > 0.977, "{share}");
    }
}
