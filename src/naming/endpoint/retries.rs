//! Whether a question is asked again, and after which wait.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;

/// Retries that a call earns: no more than a tenth of the calls are repeated ones in the long run. An
/// endpoint that fails because it has too much to do is not given a multiple of it.
const EARNED: f64 = 0.1;

/// Retries that can be saved up, and that there are at first. Enough for a few calls that fail as
/// often as they may, so that somebody who asks seldom can ask again at all.
const SAVED: f64 = 10.0;

/// Time in which one retry is earned without any call, lest somebody who has none left and asks
/// seldom stays without.
const FLOOR: Duration = Duration::from_secs(6);

/// How often questions may be repeated: at most a tenth of the calls, ten, and ten a minute.
pub(super) struct RetryBudget(Mutex<Account>);

struct Account {
    retries: f64,
    at: Instant,
}

impl Default for RetryBudget {
    fn default() -> Self {
        RetryBudget(Mutex::new(Account {
            retries: SAVED,
            at: Instant::now(),
        }))
    }
}

impl RetryBudget {
    /// A question is asked for the first time.
    pub(super) fn earn(&self, now: Instant) {
        self.with(now, |retries| *retries = (*retries + EARNED).min(SAVED));
    }

    /// Whether one may be asked again, which is then counted.
    pub(super) fn spend(&self, now: Instant) -> bool {
        self.with(now, |retries| {
            let may = *retries >= 1.0;
            if may {
                *retries -= 1.0;
            }
            may
        })
    }

    fn with<T>(&self, now: Instant, change: impl FnOnce(&mut f64) -> T) -> T {
        // Numbers are whole whoever panicked.
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earned = now
            .saturating_duration_since(account.at)
            .div_duration_f64(FLOOR);
        account.retries = (account.retries + earned).min(SAVED);
        account.at = now.max(account.at);
        change(&mut account.retries)
    }
}

/// How long to wait after `failures` of them, one at least: anything up to a ceiling that doubles
/// with each, so that those who failed together do not come back together.
pub(in crate::naming) fn full_jitter(
    first: Duration,
    longest: Duration,
    failures: u32,
) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let ceiling = first.saturating_mul(1 << doublings).min(longest);
    ceiling.mul_f64(rand::rng().random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_calls_is_repeated_besides_those_of_the_floor() {
        let (budget, now) = (RetryBudget::default(), Instant::now());
        let mut repeated = 0;
        for _ in 0..1000 {
            budget.earn(now);
            repeated += u32::from(budget.spend(now));
        }
        // Ten that were saved, and a hundred that were earned, as floating-point sums have it.
        assert!((109..=110).contains(&repeated), "{repeated}");
        assert!(!budget.spend(now));
        let later = now + FLOOR * 3;
        assert!(budget.spend(later) && budget.spend(later));
        for _ in 0..1000 {
            budget.earn(later);
        }
        let saved = std::iter::repeat_with(|| budget.spend(later));
        assert_eq!(saved.take_while(|&may| may).count(), SAVED as usize);
    }

    #[test]
    fn waits_are_anything_up_to_a_ceiling_that_doubles() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(6));
        for (failures, ceiling) in [(1, 1), (2, 2), (3, 4), (4, 6), (u32::MAX, 6)] {
            let ceiling = Duration::from_secs(ceiling);
            let waits: Vec<Duration> = (0..1000)
                .map(|_| full_jitter(first, longest, failures))
                .collect();
            assert!(waits.iter().all(|wait| *wait <= ceiling), "{failures}");
            // Of a thousand, none below a tenth or above nine tenths: once in 10^45.
            assert!(waits.iter().any(|wait| *wait < ceiling / 10), "{failures}");
            assert!(waits.iter().any(|wait| *wait > ceiling * 9 / 10));
        }
    }
}
