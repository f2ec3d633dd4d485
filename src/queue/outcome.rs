//! What becomes of a job after an attempt: decided here, applied by `settle`.

use std::time::Duration;

use crate::code::Code;

/// Why an attempt at a job failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The same attempt may succeed later: storage away, somebody else's write in between.
    #[error("{0}")]
    Transient(String),
    /// What the job needs has no time for it now. That says nothing of the job.
    #[error("{error}")]
    Busy {
        /// What happened.
        error: String,
        /// How long it asked to be left alone.
        after: Option<Duration>,
    },
    /// What the worker needs refuses it, and would refuse every other job too: the worker stops
    /// before it has spoilt them all.
    #[error("{0}")]
    Unusable(String),
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
    /// Waits for another attempt, and this one does not count as failed.
    Postpone {
        /// How long.
        after: Duration,
        /// What it waits for.
        error: String,
    },
    /// Given up; kept as a dead letter.
    Dead {
        /// Why it is dead, beginning with a [`Code`], and then what went wrong.
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
    /// Longest wait after a failure.
    pub cap: Duration,
    /// Longest wait for something busy that does not say how long; and how far the waits spread
    /// beyond what it asks for, lest all jobs come back at the same moment.
    pub busy: Duration,
}

impl Default for RetryPolicy {
    /// Five failures over about a minute ride out a restart of the storage; three crashes are
    /// beyond coincidence. Limits of calls are per minute, and models load within one: a job that
    /// waits half a minute for either has rarely to wait twice.
    fn default() -> Self {
        RetryPolicy {
            max_failures: 5,
            max_crashes: 3,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(300),
            busy: Duration::from_secs(30),
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
            // That the worker stops is the consumer's part.
            Err(Failure::Interrupted | Failure::Unusable(_)) => Outcome::Release,
            Err(Failure::Busy { error, after }) => Outcome::Postpone {
                after: after
                    .unwrap_or(self.busy / 2)
                    .saturating_add((self.busy / 2).mul_f64(jitter.clamp(0.0, 1.0))),
                error,
            },
            Err(Failure::Permanent(error)) => Outcome::Dead {
                error: Code::Hopeless.before(error),
            },
            Err(Failure::Transient(error)) if failures + 1 >= self.max_failures => Outcome::Dead {
                error: Code::FailedTooOften
                    .before(format!("{error} (after {} attempts)", failures + 1)),
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

    fn failed() -> Result<Counts, Failure> {
        Err(Failure::Transient("no disk".into()))
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let policy = RetryPolicy {
            max_failures: 99,
            ..RetryPolicy::default()
        };
        let waits: Vec<_> = [0, 1, 2, 20]
            .into_iter()
            .map(|failures| match policy.outcome(failed(), failures, 1.0) {
                Outcome::Retry { after, .. } => after.as_secs(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(waits, [2, 4, 8, 300]);
    }

    #[test]
    fn the_last_allowed_failure_is_the_end() {
        let outcome = RetryPolicy::default().outcome(failed(), 4, 0.5);
        assert_eq!(
            outcome,
            Outcome::Dead {
                error: "SJ401: no disk (after 5 attempts)".into()
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
                error: "SJ402: no such dataset".into()
            }
        );
    }

    #[test]
    fn what_is_busy_is_waited_for_as_long_as_it_asks_and_however_often() {
        let policy = RetryPolicy::default();
        let wait = |asked: Option<u64>, jitter: f64| {
            let busy = Failure::Busy {
                error: "busy".into(),
                after: asked.map(Duration::from_secs),
            };
            match policy.outcome(Err(busy), u32::MAX, jitter) {
                Outcome::Postpone { after, .. } => after.as_secs(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((wait(Some(120), 0.0), wait(Some(120), 1.0)), (120, 135));
        assert_eq!((wait(Some(0), 0.0), wait(Some(0), 1.0)), (0, 15));
        assert_eq!((wait(None, 0.0), wait(None, 1.0)), (15, 30));
    }

    #[test]
    fn a_job_is_not_to_blame_for_a_worker_that_is_refused_everything() {
        let refused = Err(Failure::Unusable("no such key".into()));
        let outcome = RetryPolicy::default().outcome(refused, 4, 0.5);
        assert_eq!(outcome, Outcome::Release);
    }

    #[test]
    fn stopping_is_not_a_failure() {
        let outcome = RetryPolicy::default().outcome(Err(Failure::Interrupted), 4, 0.5);
        assert_eq!(outcome, Outcome::Release);
    }
}
