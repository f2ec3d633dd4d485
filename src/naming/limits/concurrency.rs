//! How many calls a process has under way: as many as it holds slots for, and as the endpoint copes
//! with. That is learnt: one more after each round of calls that went well, half after one that found
//! the endpoint overloaded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The calls of a process.
#[derive(Debug)]
pub(super) struct Concurrency {
    state: Mutex<State>,
    /// There may be room.
    room: Notify,
    /// Somebody waits for a slot.
    pub(super) wanted: Notify,
}

#[derive(Debug)]
struct State {
    /// How many calls the endpoint copes with, as far as is known.
    most: usize,
    /// Calls that went well since that has changed.
    well: usize,
    /// How many slots the process holds.
    slots: usize,
    under_way: usize,
    waiting: usize,
    /// How often it was halved. Calls of one round find the same trouble, which counts once.
    halvings: u64,
}

impl Concurrency {
    /// Nothing is under way. `slots` are held at first.
    pub(super) fn new(slots: usize) -> Concurrency {
        Concurrency {
            state: Mutex::new(State {
                most: usize::MAX,
                well: 0,
                slots,
                under_way: 0,
                waiting: 0,
                halvings: 0,
            }),
            room: Notify::new(),
            wanted: Notify::new(),
        }
    }

    /// Waits until another call may be under way.
    pub(super) async fn enter(self: &Arc<Self>) -> Way {
        let _waiting = Waiting::among(self);
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Before the look, lest what changes in between goes unnoticed.
            room.as_mut().enable();
            if let Some(way) = self.try_enter() {
                return way;
            }
            self.wanted.notify_one();
            room.await;
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<Way> {
        let mut state = self.lock();
        let under_way = state.under_way;
        if under_way >= state.slots.min(state.most) {
            return None;
        }
        state.under_way += 1;
        Some(Way {
            halvings: state.halvings,
            of: self.clone(),
        })
    }

    /// How many calls are under way, and how many there would be with more slots. None begins before
    /// it is said how many slots there are now: what is told to others must stay true.
    pub(super) fn freeze(&self) -> (usize, usize) {
        let mut state = self.lock();
        state.slots = state.slots.min(state.under_way);
        let wanted = state.under_way + state.waiting;
        (state.under_way, wanted.min(state.most).max(state.under_way))
    }

    /// Whether nobody calls or is about to.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.under_way == 0 && state.waiting == 0
    }

    /// From now on the process holds so many slots.
    pub(super) fn hold(&self, slots: usize) {
        self.lock().slots = slots;
        self.room.notify_waiters();
    }

    /// Numbers are replaced in one step, so whoever panicked left whole ones.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts somebody as waiting until it is dropped.
struct Waiting<'a>(&'a Concurrency);

impl Waiting<'_> {
    fn among(concurrency: &Concurrency) -> Waiting<'_> {
        concurrency.lock().waiting += 1;
        Waiting(concurrency)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// A call that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Way {
    of: Arc<Concurrency>,
    /// As there were when it began.
    halvings: u64,
}

impl Way {
    /// The call went well.
    pub(super) fn went_well(&self) {
        let mut state = self.of.lock();
        // Where fewer are under way than may be, it says nothing.
        if state.under_way < state.most {
            return;
        }
        state.well += 1;
        if state.well >= state.most {
            state.most += 1;
            state.well = 0;
        }
    }

    /// The call found the endpoint overloaded.
    pub(super) fn was_too_much(&self) {
        let mut state = self.of.lock();
        if self.halvings == state.halvings {
            state.most = (state.most.min(state.under_way) / 2).max(1);
            state.well = 0;
            state.halvings += 1;
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.of.lock().under_way -= 1;
        self.of.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(concurrency: &Arc<Concurrency>, calls: usize) -> Vec<Way> {
        let ways: Vec<Way> = (0..calls).map_while(|_| concurrency.try_enter()).collect();
        assert_eq!(ways.len(), calls);
        ways
    }

    #[test]
    fn trouble_halves_what_is_under_way_once_a_round_and_success_adds_one_a_round() {
        let concurrency = Arc::new(Concurrency::new(usize::MAX));
        let mut ways = enter(&concurrency, 16);
        ways.iter().for_each(Way::was_too_much);
        assert!(concurrency.try_enter().is_none());
        ways.drain(8..);
        assert!(concurrency.try_enter().is_none(), "8 are under way");
        for most in 8..12 {
            for _ in 0..most {
                assert!(
                    concurrency.try_enter().is_none(),
                    "not before a round is over"
                );
                ways[0].went_well();
            }
            ways.extend(concurrency.try_enter());
            assert_eq!(ways.len(), most + 1, "a round adds one");
        }
        // One call is always tried.
        for _ in 0..8 {
            ways.clear();
            ways = enter(&concurrency, 1);
            ways[0].was_too_much();
        }
        ways.clear();
        let _one = enter(&concurrency, 1);
        assert!(concurrency.try_enter().is_none());
    }

    #[test]
    fn calls_that_are_far_from_the_bound_do_not_raise_it() {
        let concurrency = Arc::new(Concurrency::new(usize::MAX));
        let ways = enter(&concurrency, 8);
        ways[0].was_too_much();
        drop(ways);
        for _ in 0..100 {
            enter(&concurrency, 1)[0].went_well();
        }
        let _four = enter(&concurrency, 4);
        assert!(concurrency.try_enter().is_none());
    }

    #[tokio::test]
    async fn who_waits_is_let_through_when_there_is_room_or_there_are_more_slots() {
        let concurrency = Arc::new(Concurrency::new(1));
        let first = concurrency.enter().await;
        let waiting = tokio::spawn({
            let concurrency = concurrency.clone();
            async move { concurrency.enter().await }
        });
        concurrency.wanted.notified().await;
        assert_eq!(concurrency.freeze(), (1, 2));
        drop(first);
        concurrency.hold(1);
        let _second = waiting.await.unwrap();
        let waiting = tokio::spawn({
            let concurrency = concurrency.clone();
            async move { concurrency.enter().await }
        });
        concurrency.wanted.notified().await;
        assert_eq!(concurrency.freeze(), (1, 2));
        concurrency.hold(2);
        let _third = waiting.await.unwrap();
        assert_eq!(concurrency.freeze(), (2, 2));
    }
}
