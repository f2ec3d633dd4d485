//! A circuit breaker: an endpoint that does not work is left alone, and tried by one question from
//! time to time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backoff::jittered;

/// Failures one after the other that open it. As many as a job makes alone before it is put off, and
/// one more: that of somebody else.
const CONSECUTIVE: u32 = 5;

/// It opens, too, when half of so many of the latest calls have failed.
const LATEST: u32 = 32;

/// How soon a question that finds the probe under way looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long an endpoint is left alone that refuses whatever is asked. Somebody has to mend that;
/// until then each probe is a question that is asked in vain.
const REFUSED: Duration = Duration::from_secs(300);

/// Lets questions through while an endpoint works.
pub(super) struct Breaker {
    first: Duration,
    longest: Duration,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// Failures since the last success.
    consecutive: u32,
    /// The latest outcomes, a bit each, set where it failed.
    outcomes: u32,
    /// How long it is open the next time.
    pause: Duration,
    /// When it opened, if it is not closed.
    since: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Everybody may ask.
    Closed,
    /// Nobody, until then.
    Open { until: Instant, refuses: bool },
    /// One is asking, to find out.
    Probing { refuses: bool },
}

/// What has changed for everybody, and is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It has opened for this long.
    Opened(Duration),
    /// It has closed, having been open for this long.
    Closed(Duration),
}

/// A question that was let through. Dropped without a verdict, it says nothing of the endpoint, and
/// a probe is left to the next.
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Breaker {
    /// Open for the time `first` at first, and at most for `longest`.
    pub(super) fn new(first: Duration, longest: Duration) -> Breaker {
        Breaker {
            first,
            longest,
            state: Mutex::new(State {
                phase: Phase::Closed,
                consecutive: 0,
                outcomes: 0,
                pause: first,
                since: None,
            }),
        }
    }

    /// Lets a question through, or says how soon to try again.
    pub(super) fn enter(&self, now: Instant) -> Result<Pass<'_>, Duration> {
        let mut state = self.state();
        let is_probe = match state.phase {
            Phase::Closed => false,
            Phase::Probing { .. } => return Err(jittered(LOOK_AGAIN)),
            Phase::Open { until, refuses } => {
                let wait = until.saturating_duration_since(now);
                if !wait.is_zero() {
                    return Err(wait);
                }
                state.phase = Phase::Probing { refuses };
                true
            }
        };
        let breaker = self;
        Ok(Pass { breaker, is_probe })
    }

    /// Whether it is open because the endpoint refuses whatever is asked.
    pub(super) fn refuses(&self) -> bool {
        let phase = self.state().phase;
        matches!(
            phase,
            Phase::Open { refuses: true, .. } | Phase::Probing { refuses: true }
        )
    }

    /// A state is changed in steps that do not panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The endpoint works. Says so where it did not before.
    pub(super) fn well(mut self, now: Instant) -> Option<Change> {
        let mut state = self.breaker.state();
        if self.is_probe {
            self.is_probe = false;
            state.phase = Phase::Closed;
            state.outcomes = 0;
            state.pause = self.breaker.first;
        }
        state.consecutive = 0;
        state.outcomes <<= 1;
        // What was asked before it opened says less than what made it open.
        let is_closed = state.phase == Phase::Closed;
        let since = is_closed.then(|| state.since.take()).flatten();
        since.map(|since| Change::Closed(now.saturating_duration_since(since)))
    }

    /// The endpoint does not work.
    pub(super) fn ill(self, now: Instant) -> Option<Change> {
        let mut state = self.breaker.state();
        state.consecutive = state.consecutive.saturating_add(1);
        state.outcomes = (state.outcomes << 1) | 1;
        let is_enough =
            state.consecutive >= CONSECUTIVE || state.outcomes.count_ones() >= LATEST / 2;
        let opens = self.is_probe || state.phase == Phase::Closed && is_enough;
        drop(state);
        opens.then(|| self.open(now, None))
    }

    /// The endpoint refuses whatever is asked.
    pub(super) fn refuses(self, now: Instant) -> Option<Change> {
        Some(self.open(now, Some(REFUSED)))
    }

    fn open(mut self, now: Instant, refused: Option<Duration>) -> Change {
        self.is_probe = false;
        let mut state = self.breaker.state();
        // Everybody's processes opened at the same moment, and must not probe at the same.
        let pause = jittered(refused.unwrap_or(state.pause));
        state.phase = Phase::Open {
            until: now + pause,
            refuses: refused.is_some(),
        };
        state.pause = (state.pause * 2).min(self.breaker.longest);
        state.outcomes = 0;
        state.since.get_or_insert(now);
        Change::Opened(pause)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.is_probe {
            return;
        }
        let mut state = self.breaker.state();
        if let Phase::Probing { refuses } = state.phase {
            let until = Instant::now();
            state.phase = Phase::Open { until, refuses };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(4);

    fn breaker() -> Breaker {
        Breaker::new(FIRST, LONGEST)
    }

    fn enter(breaker: &Breaker, now: Instant) -> Pass<'_> {
        match breaker.enter(now) {
            Ok(pass) => pass,
            Err(wait) => panic!("it lets no question through for {wait:?}"),
        }
    }

    fn fail(breaker: &Breaker, now: Instant, times: u32) -> Option<Change> {
        let fails = |_| enter(breaker, now).ill(now);
        (0..times).filter_map(fails).last()
    }

    fn pause(change: Option<Change>) -> Duration {
        match change {
            Some(Change::Opened(pause)) => pause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_question_closes_it_again() {
        let (breaker, now) = (breaker(), Instant::now());
        assert_eq!(fail(&breaker, now, CONSECUTIVE - 1), None);
        assert_eq!(enter(&breaker, now).well(now), None);
        let opened = pause(fail(&breaker, now, CONSECUTIVE));
        assert!(opened >= FIRST / 2 && opened <= FIRST);
        assert_eq!(breaker.enter(now).err(), Some(opened));
        let now = now + opened;
        let probe = enter(&breaker, now);
        assert!(breaker.enter(now).is_err(), "a second probe");
        assert_eq!(probe.well(now), Some(Change::Closed(opened)));
        assert_eq!(fail(&breaker, now, CONSECUTIVE - 1), None);
    }

    #[test]
    fn it_opens_for_longer_and_longer_up_to_the_longest() {
        let (breaker, mut now) = (breaker(), Instant::now());
        let mut change = fail(&breaker, now, CONSECUTIVE);
        for ceiling in [1, 2, 4, 4].map(Duration::from_secs) {
            let opened = pause(change);
            assert!(opened >= ceiling / 2 && opened <= ceiling, "{opened:?}");
            now += opened;
            change = fail(&breaker, now, 1);
        }
    }

    #[test]
    fn half_of_the_latest_calls_open_it_though_others_succeed_in_between() {
        let (breaker, fewer, now) = (breaker(), self::breaker(), Instant::now());
        for _ in 0..LATEST / 2 - 1 {
            assert_eq!(fail(&breaker, now, 1), None);
            enter(&breaker, now).well(now);
        }
        pause(fail(&breaker, now, 1));
        for _ in 0..LATEST {
            assert_eq!(fail(&fewer, now, 1), None);
            enter(&fewer, now).well(now);
            enter(&fewer, now).well(now);
        }
    }

    #[test]
    fn a_probe_that_nobody_waits_for_any_more_is_left_to_the_next() {
        let (breaker, now) = (breaker(), Instant::now());
        let now = now + pause(fail(&breaker, now, CONSECUTIVE));
        drop(enter(&breaker, now));
        assert!(breaker.enter(now).is_ok());
    }

    #[test]
    fn calls_that_were_under_way_when_it_opened_do_not_change_it() {
        let (breaker, now) = (breaker(), Instant::now());
        let late = [(); 2].map(|()| enter(&breaker, now));
        let opened = pause(fail(&breaker, now, CONSECUTIVE));
        let [well, ill] = late;
        assert_eq!((ill.ill(now), well.well(now)), (None, None));
        assert_eq!(breaker.enter(now).err(), Some(opened));
    }

    #[test]
    fn a_refusal_opens_it_at_once_and_for_long() {
        let (breaker, now) = (breaker(), Instant::now());
        let opened = pause(enter(&breaker, now).refuses(now));
        assert!(opened >= REFUSED / 2 && breaker.refuses());
        let now = now + opened;
        let probe = enter(&breaker, now);
        assert!(breaker.refuses());
        probe.well(now);
        assert!(!breaker.refuses());
    }
}
