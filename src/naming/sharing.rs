//! Which journeys of a session have names that are shared, and how it stands with those.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::cache::{Asker, Known, NameCache, Signature};
use super::questions::Place;
use crate::backoff::jittered;

/// How long another is waited for, at most: as long as a call may take. A claim of one that lives is
/// renewed, however long it takes.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Pauses between two looks at what others ask for: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Journeys that are equal. The first of them leads: it is asked for, and the others get its name.
struct Equals {
    signature: Signature,
    others: Vec<Place>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not looked for yet.
    Free,
    /// This session asks.
    Claimed,
    /// Somebody else has asked since.
    Waiting(Instant),
    /// This session asks, too: the other takes too long.
    Impatient,
}

/// What is to be done with journeys.
pub(super) enum Next {
    /// They are asked for.
    Ask(Vec<Place>),
    /// They are given this name, where it fits.
    Give(Vec<Place>, String),
    /// No answer names them.
    Fail(Vec<Place>),
}

pub(super) struct Sharing<'a> {
    cache: &'a NameCache,
    asker: Asker,
    /// By the place of the journey that leads.
    equals: HashMap<Place, Equals>,
    pause: Duration,
}

impl<'a> Sharing<'a> {
    pub(super) fn new(cache: &'a NameCache) -> Sharing<'a> {
        Sharing {
            cache,
            asker: Asker::new(),
            equals: HashMap::new(),
            pause: FIRST_PAUSE,
        }
    }

    /// Looks for the names of journeys, in one round trip. `user` says whose a journey is.
    pub(super) async fn begin<'u>(
        &mut self,
        journeys: impl Iterator<Item = (Place, Signature)>,
        user: impl Fn(Place) -> &'u str,
    ) -> Vec<Next> {
        let mut order: Vec<(Signature, Vec<Place>)> = Vec::new();
        let mut at: HashMap<Signature, usize> = HashMap::new();
        for (place, signature) in journeys {
            let at = *at.entry(signature).or_insert(order.len());
            match order.get_mut(at) {
                Some((_, places)) => places.push(place),
                None => order.push((signature, vec![place])),
            }
        }
        let looked = order.iter().map(|(signature, places)| {
            let mut places = places.clone();
            places.dedup_by_key(|&mut (user, _)| user);
            (*signature, places.into_iter().map(&user))
        });
        let known = self.cache.look(&self.asker, false, looked).await;
        let next = |((signature, mut places), known): ((Signature, Vec<Place>), Known)| match known
        {
            Known::Name(name) => Next::Give(places, name),
            Known::Nameless => Next::Fail(places),
            Known::Alone => Next::Ask(places),
            Known::Free | Known::Yours | Known::Waits => {
                let others = places.split_off(1);
                let equals = Equals {
                    signature,
                    others,
                    state: State::Free,
                };
                self.equals.insert(places[0], equals);
                Next::Ask(places)
            }
        };
        order.into_iter().zip(known).map(next).collect()
    }

    /// Claims what is in a batch and shared, and looks again for what others have claimed. Returns
    /// what is left of the batch to be asked, and what is to be done with others.
    pub(super) async fn claim(&mut self, batch: Vec<Place>) -> (Vec<Place>, Vec<Next>) {
        let is_free = |place: &Place| {
            let equals = self.equals.get(place);
            equals.is_some_and(|equals| equals.state == State::Free)
        };
        let (free, mut asked): (Vec<Place>, Vec<Place>) = batch.into_iter().partition(is_free);
        let waiting = self.waiting();
        let places: Vec<Place> = free.iter().copied().chain(waiting).collect();
        let mut others = Vec::new();
        for next in self.look(&places).await {
            match next {
                // What was waited for comes in a call of its own.
                Next::Ask(places) if free.contains(&places[0]) => {
                    asked.push(places[0]);
                    others.push(Next::Ask(places[1..].to_vec()));
                }
                next => others.push(next),
            }
        }
        asked.sort_unstable();
        (asked, others)
    }

    /// Waits a while for those whose names somebody else asks for. `None` when there are none.
    pub(super) async fn wait(&mut self) -> Option<Vec<Next>> {
        let waiting = self.waiting();
        if waiting.is_empty() {
            return None;
        }
        tokio::time::sleep(jittered(self.pause)).await;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        Some(self.look(&waiting).await)
    }

    fn waiting(&self) -> Vec<Place> {
        let waits = |equals: &Equals| matches!(equals.state, State::Waiting(_));
        let waiting = self.equals.iter().filter(|(_, equals)| waits(equals));
        let mut waiting: Vec<Place> = waiting.map(|(&place, _)| place).collect();
        waiting.sort_unstable();
        waiting
    }

    /// Looks for the names of journeys that lead, to ask for those that nobody else asks for.
    async fn look(&mut self, leads: &[Place]) -> Vec<Next> {
        if leads.is_empty() {
            return Vec::new();
        }
        let equals = leads.iter().filter_map(|lead| self.equals.get(lead));
        let looked = equals.map(|equals| (equals.signature, std::iter::empty()));
        let known = self.cache.look(&self.asker, true, looked).await;
        let leads = leads.iter().zip(known);
        leads
            .filter_map(|(&lead, known)| self.follow(lead, known))
            .collect()
    }

    /// What is to be done with a journey that leads, and those equal to it.
    fn follow(&mut self, lead: Place, known: Known) -> Option<Next> {
        let equals = self.equals.get_mut(&lead)?;
        match known {
            Known::Yours | Known::Free => equals.state = State::Claimed,
            Known::Waits => {
                let since = match equals.state {
                    State::Waiting(since) => since,
                    _ => Instant::now(),
                };
                if since.elapsed() < LONGEST_WAIT {
                    equals.state = State::Waiting(since);
                    return None;
                }
                equals.state = State::Impatient;
            }
            Known::Name(name) => return Some(Next::Give(self.all(lead), name)),
            Known::Nameless => return Some(Next::Fail(self.all(lead))),
            Known::Alone => return Some(Next::Ask(self.all(lead))),
        }
        Some(Next::Ask(vec![lead]))
    }

    /// The journey that leads and those equal to it; they are shared no more.
    fn all(&mut self, lead: Place) -> Vec<Place> {
        let others = self.equals.remove(&lead).map(|equals| equals.others);
        std::iter::once(lead)
            .chain(others.unwrap_or_default())
            .collect()
    }

    /// Settles journeys that lead: with their names, or none where no answer passes the checks. Keeps
    /// that for everybody, and returns what is to be done with those equal to them.
    pub(super) async fn settle(&mut self, leads: Vec<(Place, Option<String>)>) -> Vec<Next> {
        let settled: Vec<(Equals, Option<String>)> = leads
            .into_iter()
            .filter_map(|(lead, name)| Some((self.equals.remove(&lead)?, name)))
            .collect();
        if !settled.is_empty() {
            let names = settled.iter();
            let names = names.map(|(equals, name)| (equals.signature, name.as_deref()));
            self.cache.keep(&self.asker, names).await;
        }
        let next = |(Equals { others, .. }, name)| match name {
            Some(name) => Next::Give(others, name),
            None => Next::Fail(others),
        };
        settled.into_iter().map(next).collect()
    }

    /// Leaves journeys that lead, about which nothing was learnt, to others. Those equal to them are
    /// asked for.
    pub(super) async fn leave(&mut self, leads: Vec<Place>) -> Vec<Next> {
        let left: Vec<Equals> = leads
            .iter()
            .filter_map(|lead| self.equals.remove(lead))
            .collect();
        let claims: Vec<Signature> = left.iter().map(|equals| equals.signature).collect();
        self.cache.give_up(&self.asker, &claims).await;
        left.into_iter()
            .map(|equals| Next::Ask(equals.others))
            .collect()
    }

    /// Ends all claims: this session asks no more.
    pub(super) async fn end(&mut self) {
        let claims = self.claims();
        self.equals.clear();
        self.cache.give_up(&self.asker, &claims).await;
    }

    /// Lets claims last while something is done.
    pub(super) async fn beside<T>(&self, done: impl Future<Output = T>) -> T {
        let claims = self.claims();
        tokio::select! {
            done = done => done,
            never = self.cache.renew(&self.asker, &claims) => match never {},
        }
    }

    fn claims(&self) -> Vec<Signature> {
        let claimed = self
            .equals
            .values()
            .filter(|equals| equals.state == State::Claimed);
        claimed.map(|equals| equals.signature).collect()
    }
}
