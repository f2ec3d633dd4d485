//! Whether a refusal is about the question, where the endpoint has answered others.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// Refusals that are believed to be about their questions after a harmless question was answered, for
/// as long as nothing else is.
const BELIEVED: u32 = 4;

/// How many refusals are believed yet. None after an answer: a refusal that is about all questions
/// must not cost a journey its name, however rare it is.
#[derive(Default)]
pub(super) struct Trust {
    left: AtomicU32,
    /// Those who are refused at the same time wait for one trial.
    trial: Mutex<()>,
}

/// A trial that is under way.
pub(super) struct Trial<'a> {
    trust: &'a Trust,
    _others: MutexGuard<'a, ()>,
}

impl Trust {
    /// Believes a refusal; or `Some` where it is to be found out.
    pub(super) async fn spend(&self) -> Option<Trial<'_>> {
        let others = self.trial.lock().await;
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
            return None;
        }
        let (trust, _others) = (self, others);
        Some(Trial { trust, _others })
    }

    /// A question was answered, so that the next refusal is news.
    pub(super) fn end(&self) {
        self.left.store(0, Ordering::Relaxed);
    }
}

impl Trial<'_> {
    /// The harmless question was answered.
    pub(super) fn passed(self) {
        self.trust.left.store(BELIEVED, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn those_who_are_refused_at_the_same_time_wait_for_one_trial() {
        let trust = Trust::default();
        let spend = || trust.spend().now_or_never();
        let trial = spend().flatten().expect("the first is not believed");
        assert!(spend().is_none(), "nobody is believed before it is over");
        trial.passed();
        for _ in 0..BELIEVED {
            assert!(matches!(spend(), Some(None)));
        }
        assert!(matches!(spend(), Some(Some(_))), "not for ever");
        trust.end();
        assert!(matches!(spend(), Some(Some(_))), "nor after an answer");
    }
}
