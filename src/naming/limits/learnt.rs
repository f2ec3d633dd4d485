//! What calls really take, compared with what was expected of them.

use std::collections::VecDeque;

/// How many calls are remembered.
const CALLS: usize = 256;

/// How many calls there must have been before they are believed; until then what is expected is.
const ENOUGH: usize = 16;

/// The ratio of what was used to what was expected, of the last calls.
#[derive(Debug, Default)]
pub(super) struct Ratio {
    lately: VecDeque<f64>,
}

impl Ratio {
    /// A call was expected to take one and took the other.
    pub(super) fn learn(&mut self, expected: u64, used: u64) {
        if expected == 0 {
            return;
        }
        if self.lately.len() == CALLS {
            self.lately.pop_front();
        }
        self.lately.push_back(used as f64 / expected as f64);
    }

    /// What a call will hardly pass: the most that any of the last ones took, for what was expected.
    /// Nothing is saved on it for long, as what was not used is given back.
    pub(super) fn bound(&self, expected: u64) -> u64 {
        if self.lately.len() < ENOUGH {
            return expected;
        }
        let most = self.lately.iter().copied().fold(0.0, f64::max);
        (expected as f64 * most).ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_calls_are_not_believed_and_many_are() {
        let mut ratio = Ratio::default();
        for _ in 0..ENOUGH - 1 {
            ratio.learn(100, 20);
        }
        assert_eq!(ratio.bound(1000), 1000);
        ratio.learn(100, 40);
        assert_eq!(ratio.bound(1000), 400, "the most, not the mean");
        for _ in 0..CALLS {
            ratio.learn(100, 30);
        }
        assert_eq!(ratio.bound(1000), 300, "and no longer than it was lately");
    }

    #[test]
    fn more_than_was_expected_is_learnt_as_well() {
        let mut ratio = Ratio::default();
        for _ in 0..ENOUGH {
            ratio.learn(0, 7);
            ratio.learn(100, 150);
        }
        assert_eq!(ratio.bound(10), 15);
    }
}
