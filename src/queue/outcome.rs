//! What becomes of a job after an attempt: decided here, applied by `settle`.

use std::time::Duration;

use super::Kind;
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
    /// A part of the job is done for good, and the rest failed.
    #[error("{failure}")]
    Partly {
        /// What that part adds to the run.
        counts: Counts,
        /// Of what the rest failed.
        failure: Box<Failure>,
    },
}

impl Failure {
    /// The same after a part of the job that adds this to the run.
    #[must_use]
    pub fn after(self, mut counts: Counts) -> Failure {
        counts.retain(|(_, amount)| *amount > 0);
        match counts.is_empty() {
            true => self,
            false => Failure::Partly {
                counts,
                failure: Box::new(self),
            },
        }
    }

    /// What went wrong, whatever was done before.
    pub fn cause(&self) -> &Failure {
        match self {
            Failure::Partly { failure, .. } => failure.cause(),
            failure => failure,
        }
    }
}

/// Counts that a job, or a part of it, adds to its run, by name.
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
    /// Given up without an attempt, and kept likewise: it may be what its workers died of.
    Quarantined {
        /// How many there were.
        error: String,
    },
    /// Handed back unfinished, as if it had not been taken.
    Release,
    /// One of those after a finished part, whose counts go to the run; not for a job that is done.
    Partly(Counts, Box<Outcome>),
}

impl Outcome {
    /// What the run counts, and what becomes of the job itself.
    pub(super) fn split(&self) -> (&[(&'static str, u64)], &Outcome) {
        match self {
            Outcome::Done(counts) => (counts, self),
            Outcome::Partly(counts, end) => (counts, end),
            end => (&[], end),
        }
    }
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

impl RetryPolicy {
    /// What fits a kind of job, by what its attempts fail of.
    pub const fn of(kind: Kind) -> RetryPolicy {
        match kind {
            // It fails when the storage does. Five attempts, spread over a minute at most and half
            // of it on average, ride out a restart; the storage itself is asked several times in
            // each. A worker holds two shards for seconds each: one that has seen three workers die
            // was hardly there by accident.
            Kind::Extract => RetryPolicy {
                max_failures: 5,
                max_crashes: 3,
                base: Duration::from_secs(4),
                cap: Duration::from_secs(300),
                busy: Duration::from_secs(30),
            },
            // It fails when what answers is no model: a proxy in front of one that is being
            // deployed, which takes minutes. Nobody waits meanwhile, since journeys have names made
            // of terms. A worker holds four jobs, with a slow model for minutes each, so most of
            // those that see it die have nothing to do with it.
            //
            // Limits of calls are per minute, and models load within one: a job that waits half a
            // minute for either has rarely to wait twice.
            Kind::Name => RetryPolicy {
                max_failures: 6,
                max_crashes: 5,
                base: Duration::from_secs(10),
                cap: Duration::from_secs(600),
                busy: Duration::from_secs(30),
            },
        }
    }

    /// The end of a job that was taken with this many crashes behind it, if it may not be tried.
    pub fn quarantine(&self, crashes: u32) -> Option<Outcome> {
        (crashes >= self.max_crashes).then(|| Outcome::Quarantined {
            error: Code::WorkersDied.before(format!(
                "{crashes} workers died or fell silent while they held this job"
            )),
        })
    }

    /// The outcome of an attempt, `failures` failed ones before it. `jitter` in 0..1 spreads the
    /// waits of jobs that failed together (full jitter).
    pub fn outcome(&self, result: Result<Counts, Failure>, failures: u32, jitter: f64) -> Outcome {
        match result {
            Ok(counts) => Outcome::Done(counts),
            // That the worker stops is the consumer's part.
            Err(Failure::Interrupted | Failure::Unusable(_)) => Outcome::Release,
            Err(Failure::Partly { counts, failure }) => {
                let end = self.outcome(Err(*failure), failures, jitter);
                Outcome::Partly(counts, Box::new(end))
            }
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

    const POLICY: RetryPolicy = RetryPolicy::of(Kind::Extract);

    fn failed() -> Result<Counts, Failure> {
        Err(Failure::Transient("no disk".into()))
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let policy = RetryPolicy {
            max_failures: u32::MAX,
            ..POLICY
        };
        let waits = |jitter: f64| {
            [0, 1, 2, 6, 7, 99].map(
                |failures| match policy.outcome(failed(), failures, jitter) {
                    Outcome::Retry { after, .. } => after.as_secs(),
                    other => panic!("{other:?}"),
                },
            )
        };
        assert_eq!(waits(1.0), [4, 8, 16, 256, 300, 300]);
        // Full jitter: anything from nothing to all of it.
        assert_eq!(waits(0.5), [2, 4, 8, 128, 150, 150]);
        assert_eq!(waits(0.0), [0; 6]);
    }

    #[test]
    fn failures_and_crashes_have_limits_of_their_own_for_each_kind() {
        for kind in Kind::ALL {
            let policy = RetryPolicy::of(kind);
            let (failures, crashes) = (policy.max_failures, policy.max_crashes);
            let is_dead = |outcome| matches!(outcome, Outcome::Dead { .. });
            assert!(!is_dead(policy.outcome(failed(), failures - 2, 0.5)));
            assert!(is_dead(policy.outcome(failed(), failures - 1, 0.5)));
            assert_eq!(policy.quarantine(crashes - 1), None);
            let quarantined = policy.quarantine(crashes);
            let error = match quarantined {
                Some(Outcome::Quarantined { error }) => error,
                other => panic!("{other:?}"),
            };
            assert!(error.contains(&format!(" {crashes} workers")), "{error}");
        }
    }

    #[test]
    fn the_last_allowed_failure_is_the_end() {
        let outcome = POLICY.outcome(failed(), 4, 0.5);
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
        let outcome = POLICY.outcome(result, 0, 0.5);
        assert_eq!(
            outcome,
            Outcome::Dead {
                error: "SJ402: no such dataset".into()
            }
        );
    }

    #[test]
    fn what_is_busy_is_waited_for_as_long_as_it_asks_and_however_often() {
        let policy = POLICY;
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
        let outcome = POLICY.outcome(refused, 4, 0.5);
        assert_eq!(outcome, Outcome::Release);
    }

    #[test]
    fn what_was_done_before_a_failure_changes_nothing_of_what_becomes_of_the_job() {
        let counts = vec![("named", 3)];
        let failed = Failure::Transient("no disk".into()).after(vec![("named", 3), ("dead", 0)]);
        let outcome = POLICY.outcome(Err(failed), 0, 1.0);
        let end = POLICY.outcome(self::failed(), 0, 1.0);
        assert_eq!(outcome, Outcome::Partly(counts, Box::new(end)));
        let nothing = Failure::Interrupted.after(vec![("named", 0)]);
        assert_eq!(nothing, Failure::Interrupted);
    }

    #[test]
    fn stopping_is_not_a_failure() {
        let outcome = POLICY.outcome(Err(Failure::Interrupted), 4, 0.5);
        assert_eq!(outcome, Outcome::Release);
    }
}
