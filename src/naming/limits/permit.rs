//! The leave to make one call.

use tokio::time::Instant;

use super::concurrency::Way;
use super::cost::Cost;
use super::{Expected, Limits, Taken};
use crate::naming::money::Usage;
use crate::run::RunId;

/// The leave to make one call. What became of the call is to be said; a permit that is dropped without a
/// word is charged in full, as nobody knows what the endpoint made of it.
#[must_use = "a permit that is dropped is charged in full"]
#[derive(Debug)]
pub struct Permit {
    limits: Limits,
    run: RunId,
    taken: Taken,
    expected: Expected,
    way: Way,
    is_retry: bool,
    is_fallback: bool,
    is_settled: bool,
}

impl Permit {
    pub(super) fn new(
        limits: &Limits,
        run: &RunId,
        taken: Taken,
        expected: Expected,
        way: Way,
    ) -> Permit {
        Permit {
            limits: limits.clone(),
            run: run.clone(),
            taken,
            expected,
            way,
            is_retry: false,
            is_fallback: false,
            is_settled: false,
        }
    }

    /// The call is another attempt at a question.
    pub fn for_retry(mut self) -> Permit {
        self.is_retry = true;
        self
    }

    /// The call goes to the endpoint that stands in for the first.
    pub fn for_fallback(mut self) -> Permit {
        self.is_fallback = true;
        self
    }

    /// When the request must have reached the endpoint. Later it may be one too many in some window.
    pub fn send_by(&self) -> Instant {
        self.taken.send_by
    }

    /// The call was answered, and took this.
    pub fn settle(mut self, usage: Usage) {
        self.way.went_well();
        {
            let mut learnt = self.limits.shared.learnt();
            learnt.input.learn(self.expected.input_tokens, usage.input);
            learnt
                .output
                .learn(self.expected.output_tokens, usage.output);
        }
        self.end(usage);
    }

    /// The call was answered, and nobody knows what it took: it is charged in full.
    pub fn answered(self) {
        self.way.went_well();
    }

    /// The endpoint does not answer this, and charges nothing but the request.
    pub fn declined(mut self) {
        self.end(Usage::default());
    }

    /// The endpoint has refused the call for want of capacity, and charges nothing: 429, 503. Fewer
    /// calls are made at once from now on.
    pub fn refused(mut self) {
        self.way.was_too_much();
        self.end(Usage::default());
    }

    /// No answer came in time. It may be charged in full; fewer calls are made at once from now on.
    pub fn timed_out(self) {
        self.way.was_too_much();
    }

    /// The call was not made at all.
    pub fn release(mut self) {
        self.is_settled = true;
        let Taken { place, cost, .. } = self.taken;
        self.limits.shared.known_of(&self.run, |known| {
            known.add(place, cost, Cost::default());
        });
    }

    fn end(&mut self, usage: Usage) {
        let prices = self.limits.shared.options.prices;
        let used = Cost {
            requests: 1,
            input: usage.input,
            output: usage.output,
            money: prices.map_or(0, |prices| prices.of(usage).nanos()),
        };
        self.count(used, usage);
    }

    fn count(&mut self, used: Cost, usage: Usage) {
        self.is_settled = true;
        let (is_retry, is_fallback) = (self.is_retry, self.is_fallback);
        let Taken { place, cost, .. } = self.taken;
        self.limits.shared.known_of(&self.run, |known| {
            known.add(place, cost, used);
            known.count_call(usage);
            known.count("retries", is_retry.into());
            known.count("fallback_calls", is_fallback.into());
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.is_settled {
            let usage = Usage {
                input: self.taken.cost.input,
                cached: 0,
                output: self.taken.cost.output,
            };
            self.count(self.taken.cost, usage);
        }
    }
}
