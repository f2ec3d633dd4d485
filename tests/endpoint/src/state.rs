//! What all requests share.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::RngExt;

use crate::batches::Batches;
use crate::behaviour::{Behaviour, On, What};
use crate::books::{Books, Call};
use crate::model::Question;

#[derive(Default)]
pub struct State {
    behaviour: Mutex<Told>,
    books: Mutex<Books>,
    batches: Mutex<Batches>,
}

/// What the endpoint was told, and how often each fault has struck since.
#[derive(Default)]
struct Told {
    behaviour: Behaviour,
    struck: BTreeMap<usize, u64>,
}

/// While it is there, a question is under way.
pub struct UnderWay<'a> {
    state: &'a State,
    pub call: Call,
    is_answered: bool,
}

impl UnderWay<'_> {
    /// There is an answer, and somebody who waits for it.
    pub fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.state.books().end(self.is_answered);
    }
}

impl State {
    /// Behaves like this from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.behaviour) = Told {
            behaviour,
            struck: BTreeMap::new(),
        };
    }

    pub fn behaviour(&self) -> Behaviour {
        lock(&self.behaviour).behaviour.clone()
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    pub fn batches(&self) -> MutexGuard<'_, Batches> {
        lock(&self.batches)
    }

    /// A question of a caller is being answered.
    pub fn begin(&self, caller: &str) -> UnderWay<'_> {
        UnderWay {
            call: self.books().begin(caller),
            state: self,
            is_answered: false,
        }
    }

    /// What goes wrong with a request.
    pub fn fault(&self, on: On, question: Option<&Question>) -> Option<What> {
        let mut told = lock(&self.behaviour);
        let Told { behaviour, struck } = &mut *told;
        for (number, fault) in behaviour.faults.iter().enumerate() {
            let text = question.map_or("", |question| &question.text);
            let journeys = question.map_or(0, |question| question.journeys.len());
            let so_far = struck.entry(number).or_default();
            let strikes = fault.on == on
                && fault
                    .mentions
                    .as_deref()
                    .is_none_or(|part| text.contains(part))
                && fault.over_journeys.is_none_or(|most| journeys > most)
                && fault.times.is_none_or(|times| *so_far < times)
                && (fault.share >= 1.0 || rand::rng().random_bool(fault.share.max(0.0)));
            if strikes {
                *so_far += 1;
                let what = fault.what.clone();
                let name = format!("{what:?}");
                let name = name.split([' ', '{']).next().unwrap_or_default();
                self.books().fault(name);
                return Some(what);
            }
        }
        None
    }
}

/// What is kept is changed in steps that do not panic.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
