//! What becomes of a job after an attempt: decided here, applied by `settle`.

use std::time::Duration;

/// Why an attempt at a job failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The same attempt may succeed later: storage away, endpoint busy.
    #[error("{0}")]
    Transient(String),
    /// No attempt can succeed: payload unreadable, dataset gone.
    #[error("{0}")]
    Permanent(String),
    /// The worker has to stop before the job is finished.
    #[error("the worker is stopping")]
    Interrupted,
}

/// Counts that a finished job adds to its run, by name.
pub type Counts = Vec<(&'static str, u64)>;

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Finished; the counts go to the run.
    Done(Counts),
    /// Waits for another attempt.
    Retry {
        /// How long.
        after: Duration,
        /// What went wrong.
        error: String,
    },
    /// Given up; kept as a dead letter.
    Dead {
        /// What went wrong.
        error: String,
    },
    /// Handed back unfinished, as if it had not been taken.
    Release,
}

/// How often a job is tried and how long it waits in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Failed attempts after which a job is dead.
    pub max_failures: u32,
    /// Deaths of its worker after which a job is dead: it may be what kills them.
    pub max_crashes: u32,
    /// Wait after the first failure; doubled for each further one.
    pub base: Duration,
    /// Longest wait.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    /// Five failures over about a minute ride out a restart of the storage; three crashes are
    /// beyond coincidence.
    fn default() -> Self {
        RetryPolicy {
            max_failures: 5,
            max_crashes: 3,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// Whether a job that was taken with this many crashes behind it may be tried at all.
    pub fn quarantines(&self, crashes: u32) -> bool {
        crashes >= self.max_crashes
    }

    /// The outcome of an attempt, `failures` failed ones before it. `jitter` in 0..1 spreads the
    /// waits of jobs that failed together (full jitter).
    pub fn outcome(&self, result: Result<Counts, Failure>, failures: u32, jitter: f64) -> Outcome {
        match result {
            Ok(counts) => Outcome::Done(counts),
            Err(Failure::Interrupted) => Outcome::Release,
            Err(Failure::Permanent(error)) => Outcome::Dead { error },
            Err(Failure::Transient(error)) if failures + 1 >= self.max_failures => Outcome::Dead {
                error: format!("{error} (after {} attempts)", failures + 1),
            },
            Err(Failure::Transient(error)) => {
                let ceiling = self
                    .base
                    .saturating_mul(1 << failures.min(16))
                    .min(self.cap);
                Outcome::Retry {
                    after: ceiling.mul_f64(jitter.clamp(0.0, 1.0)),
                    error,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Result<Counts, Failure> {
        Err(Failure::Transient("busy".into()))
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let policy = RetryPolicy {
            max_failures: 99,
            ..RetryPolicy::default()
        };
        let waits: Vec<_> = [0, 1, 2, 20]
            .into_iter()
            .map(|failures| match policy.outcome(busy(), failures, 1.0) {
                Outcome::Retry { after, .. } => after.as_secs(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(waits, [2, 4, 8, 300]);
    }

    #[test]
    fn the_last_allowed_failure_is_the_end() {
        let outcome = RetryPolicy::default().outcome(busy(), 4, 0.5);
        assert_eq!(
            outcome,
            Outcome::Dead {
                error: "busy (after 5 attempts)".into()
            }
        );
    }

    #[test]
    fn a_permanent_failure_is_not_tried_again() {
        let result = Err(Failure::Permanent("no such dataset".into()));
        let outcome = RetryPolicy::default().outcome(result, 0, 0.5);
        assert_eq!(
            outcome,
            Outcome::Dead {
                error: "no such dataset".into()
            }
        );
    }

    #[test]
    fn stopping_is_not_a_failure() {
        let outcome = RetryPolicy::default().outcome(Err(Failure::Interrupted), 4, 0.5);
        assert_eq!(outcome, Outcome::Release);
    }
}
