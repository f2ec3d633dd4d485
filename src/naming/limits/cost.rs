//! What calls take of the limits.

use std::ops::{AddAssign, SubAssign};

/// What a call, or several, take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub requests: u64,
    pub input: u64,
    pub output: u64,
    /// In billionths.
    pub money: u64,
}

impl Cost {
    /// In the order of the scripts.
    pub fn parts(&self) -> [u64; 4] {
        [self.requests, self.input, self.output, self.money]
    }

    /// So many times as much.
    pub fn times(&self, calls: u64) -> Cost {
        Cost {
            requests: self.requests.saturating_mul(calls),
            input: self.input.saturating_mul(calls),
            output: self.output.saturating_mul(calls),
            money: self.money.saturating_mul(calls),
        }
    }

    /// Whether as much as `other` is in it.
    pub fn covers(&self, other: &Cost) -> bool {
        let mut parts = self.parts().into_iter().zip(other.parts());
        parts.all(|(mine, others)| mine >= others)
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, more: Cost) {
        self.requests += more.requests;
        self.input += more.input;
        self.output += more.output;
        self.money += more.money;
    }
}

impl SubAssign for Cost {
    /// Down to nothing.
    fn sub_assign(&mut self, less: Cost) {
        self.requests = self.requests.saturating_sub(less.requests);
        self.input = self.input.saturating_sub(less.input);
        self.output = self.output.saturating_sub(less.output);
        self.money = self.money.saturating_sub(less.money);
    }
}
