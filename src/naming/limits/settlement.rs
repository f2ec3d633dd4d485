//! What is known of calls after they have been made, until Redis has been told.

use std::collections::BTreeMap;

use super::cost::Cost;
use crate::naming::money::Usage;

/// Where a reservation is charged: see `reserve.lua`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Slot of requests and input.
    pub arrival: u64,
    /// Slot of output.
    pub answer: u64,
    /// Day of the money, since 1970.
    pub day: u64,
}

/// What is to be settled of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Settlement {
    /// Of each place what was reserved and what was used.
    pub parts: BTreeMap<Place, (Cost, Cost)>,
    /// What the ledger counts.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Settlement {
    /// Of what was reserved, so much was used.
    pub fn add(&mut self, place: Place, reserved: Cost, used: Cost) {
        let part = self.parts.entry(place).or_default();
        part.0 += reserved;
        part.1 += used;
    }

    /// Counts something.
    pub fn count(&mut self, name: &'static str, amount: u64) {
        if amount > 0 {
            *self.counts.entry(name).or_default() += amount;
        }
    }

    /// Counts what a call took.
    pub fn count_call(&mut self, usage: Usage) {
        self.count("calls", 1);
        self.count("tokens_in", usage.input);
        self.count("tokens_cached", usage.cached);
        self.count("tokens_out", usage.output);
    }

    /// Settles the other as well.
    pub fn merge(&mut self, other: Settlement) {
        for (place, (reserved, used)) in other.parts {
            self.add(place, reserved, used);
        }
        for (name, amount) in other.counts {
            self.count(name, amount);
        }
    }
}
