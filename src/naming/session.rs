//! The naming of some users' journeys, call by call.

use std::collections::{HashMap, HashSet};

use futures::future::join_all;

use super::answer::check;
use super::choice::choose;
use super::endpoint::LlmError;
use super::grounding::Evidence;
use super::llm::{Answers, LlmNamer};
use super::questions::{Group, Place, Question};
use super::sharing::{Next, Sharing};
use super::siblings::Siblings;
use super::{Account, Name, Named, NamingCounts, Rejection, Unnamed};
use crate::journey::NameSource;

/// What is asked, and what was answered. The answers of one call are given away before the next is
/// made.
pub struct Session<'a> {
    namer: &'a LlmNamer,
    users: &'a [Unnamed<'a>],
    account: &'a Account,
    siblings: Vec<Siblings<'a>>,
    /// Journeys that were given the name of a sibling. Only they are told which names are taken:
    /// small models imitate what they are told to avoid.
    clashed: HashSet<Place>,
    /// Why the first answer about a journey was not used.
    rejections: HashMap<Place, Rejection>,
    /// Calls to be made, the next one last.
    batches: Vec<Vec<Place>>,
    sharing: Option<Sharing<'a>>,
    named: Vec<Named>,
    /// Why no more is asked.
    failure: Option<LlmError>,
    counts: NamingCounts,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("batches", &self.batches)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    pub(super) async fn begin(
        namer: &'a LlmNamer,
        users: &'a [Unnamed<'a>],
        account: &'a Account,
    ) -> Session<'a> {
        let template = namer.questions.template();
        let siblings = users.iter().map(|user| Siblings::of(template, user));
        let mut session = Session {
            namer,
            users,
            account,
            siblings: siblings.collect(),
            clashed: HashSet::new(),
            rejections: HashMap::new(),
            batches: Vec::new(),
            sharing: namer.cache.as_ref().map(Sharing::new),
            named: Vec::new(),
            failure: None,
            counts: NamingCounts::default(),
        };
        let places = users.iter().enumerate().flat_map(|(user, unnamed)| {
            let journeys = 0..unnamed.journeys.len();
            journeys.map(move |journey| (user, journey))
        });
        let next = match &mut session.sharing {
            None => vec![Next::Ask(places.collect())],
            Some(sharing) => {
                let signed = places.map(|(user, journey)| {
                    let signature = namer.questions.sign(users[user].journeys[journey]);
                    ((user, journey), signature)
                });
                sharing.begin(signed, |(user, _)| users[user].user).await
            }
        };
        session.follow(next);
        session
    }

    /// Names that are final. `None` when all are given away.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Named>>, LlmError> {
        while self.named.is_empty() {
            if let Some(failure) = self.failure.take() {
                if let Some(sharing) = &mut self.sharing {
                    sharing.end().await;
                }
                return Err(failure);
            }
            // Where an answer takes a night, all that can be asked is asked for it.
            let batches = match self.namer.is_slow() {
                true => std::mem::take(&mut self.batches),
                false => self.batches.pop().into_iter().collect(),
            };
            if !batches.is_empty() {
                self.call(batches).await;
                continue;
            }
            let waited = match &mut self.sharing {
                Some(sharing) => sharing.wait().await,
                None => None,
            };
            match waited {
                Some(next) => self.follow(next),
                None => return Ok(None),
            }
        }
        Ok(Some(std::mem::take(&mut self.named)))
    }

    /// What was spent since this was called before.
    pub(super) fn take_counts(&mut self) -> NamingCounts {
        std::mem::take(&mut self.counts)
    }

    async fn claim(&mut self, batch: Vec<Place>) -> Vec<Place> {
        let Some(sharing) = &mut self.sharing else {
            return batch;
        };
        let (batch, next) = sharing.claim(batch).await;
        self.follow(next);
        batch
    }

    /// Asks about batches, all at once.
    async fn call(&mut self, batches: Vec<Vec<Place>>) {
        let mut claimed = Vec::new();
        for batch in batches {
            claimed.push(self.claim(batch).await);
        }
        claimed.retain(|batch| !batch.is_empty());
        let asked = claimed.iter().map(|batch| {
            let question = self.question(batch);
            self.ask(question)
        });
        let asked = join_all(asked.collect::<Vec<_>>());
        let answered = self.beside(asked).await;
        for (batch, answered) in claimed.into_iter().zip(answered) {
            let heard = match answered {
                Ok(answers) => self.hear(batch, answers).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = heard {
                self.failure = Some(failure);
            }
        }
    }

    /// The question about a batch.
    fn question(&self, batch: &[Place]) -> Question {
        let groups: Vec<Group<'_>> = batch
            .chunk_by(|a, b| a.0 == b.0)
            .map(|places| {
                let clash = places.iter().any(|place| self.clashed.contains(place));
                let taken = clash.then(|| self.siblings[places[0].0].taken());
                (places, taken.unwrap_or_default())
            })
            .collect();
        self.namer.questions.about(self.users, groups)
    }

    /// Takes the answers about a batch. What failed the checks is asked again by halves, down to single
    /// journeys.
    async fn hear(&mut self, batch: Vec<Place>, answers: Answers) -> Result<(), LlmError> {
        self.counts.cut += u64::from(answers.is_cut);
        self.counts.questions += 1;
        self.counts.tokens_in += answers.usage.input;
        self.counts.tokens_out += answers.usage.output;
        let evidence = |&(user, journey): &Place| self.siblings[user].evidence(journey);
        let heard: Vec<&Evidence> = batch.iter().map(evidence).collect();
        let template = self.namer.questions.template();
        let checked = |(place, &evidence): (&Place, &&Evidence)| {
            let candidates = answers.names.get(place).map_or(&[][..], Vec::as_slice);
            let given = self.siblings[place.0].given();
            choose(template, candidates, evidence, &heard, given)
        };
        let mut checked: Vec<Result<String, Rejection>> =
            batch.iter().zip(&heard).map(checked).collect();
        // Before anything is kept for others.
        if let Some(moderation) = &self.namer.moderation {
            self.beside(moderation.judge(&mut checked)).await?;
        }

        let (mut failed, mut settled, mut left) = (Vec::new(), Vec::new(), Vec::new());
        let is_alone = batch.len() == 1;
        for (&place, checked) in batch.iter().zip(checked) {
            if let Ok(name) = &checked {
                // Also where a sibling has it: others may have the same journey without that sibling.
                settled.push((place, Some(name.clone())));
            }
            let Err(rejection) = checked.and_then(|name| self.give(place, &name)) else {
                self.counts.llm += 1;
                continue;
            };
            self.counts.rejected += 1;
            self.rejections.entry(place).or_insert(rejection);
            tracing::debug!(%rejection, answer = ?answers.names.get(&place), "a name is not used");
            let first_clash = rejection == Rejection::Duplicate && self.clashed.insert(place);
            // What failed alone would fail again, unless it is told more; and what was not moderated
            // has been paid for once.
            let may_pass = rejection != Rejection::Unmoderated;
            if may_pass && (!is_alone || first_clash) {
                failed.push(place);
                continue;
            }
            self.siblings[place.0].fail(place.1);
            match rejection {
                // Whoever has that journey would be declined as well.
                Rejection::Missing if answers.is_declined => settled.push((place, None)),
                Rejection::Missing | Rejection::Unmoderated => left.push(place),
                _ => settled.push((place, None)),
            }
        }
        if answers.is_of_other_model {
            // Nothing was learnt of what the model says that others mean.
            left.extend(settled.drain(..).map(|(place, _)| place));
        }
        let half = failed.split_off(failed.len() / 2);
        let halves = [half, failed].into_iter().filter(|half| !half.is_empty());
        self.batches.extend(halves);
        if let Some(sharing) = &mut self.sharing {
            let mut next = sharing.settle(settled).await;
            next.extend(sharing.leave(left).await);
            self.follow(next);
        }
        self.complete();
        Ok(())
    }

    /// Makes a call, if its names can be judged.
    async fn ask(&self, question: Question) -> Result<Answers, LlmError> {
        if let Some(moderation) = &self.namer.moderation {
            moderation.ready().await?;
        }
        self.namer.ask(question, self.account).await
    }

    /// Lets claims last while something is done.
    async fn beside<T>(&self, done: impl Future<Output = T>) -> T {
        match &self.sharing {
            Some(sharing) => sharing.beside(done).await,
            None => done.await,
        }
    }

    /// Does what is to be done with journeys whose names are shared.
    fn follow(&mut self, next: Vec<Next>) {
        let mut asked = Vec::new();
        for next in next {
            match next {
                Next::Ask(places) => asked.extend(places),
                Next::Fail(places) => {
                    for (user, journey) in places {
                        self.siblings[user].fail(journey);
                    }
                }
                Next::Give(places, name) => {
                    for place in places {
                        let evidence = self.siblings[place.0].evidence(place.1);
                        let template = self.namer.questions.template();
                        let checked = check(template, Some(&name), evidence, &[]);
                        match checked.and_then(|name| self.give(place, &name)) {
                            Ok(()) => self.counts.cached += 1,
                            Err(rejection) => {
                                tracing::debug!(%rejection, name, "a shared name is not used");
                                if rejection == Rejection::Duplicate {
                                    self.clashed.insert(place);
                                }
                                asked.push(place);
                            }
                        }
                    }
                }
            }
        }
        asked.sort_unstable();
        self.batches.extend(self.namer.questions.pack(&asked));
        self.complete();
    }

    /// Gives a journey a name that passed the checks, unless a sibling has it.
    fn give(&mut self, (user, journey): Place, name: &str) -> Result<(), Rejection> {
        let siblings = &mut self.siblings[user];
        let name = siblings.check_unlike(name)?;
        siblings.give(journey, &name);
        let source = NameSource::Llm;
        self.named.push(Named {
            user,
            journey,
            name: Name { name, source },
            rejection: self.rejections.get(&(user, journey)).copied(),
        });
        Ok(())
    }

    /// Names what no answer names, of users whose other journeys have their names.
    fn complete(&mut self) {
        for (user, siblings) in self.siblings.iter_mut().enumerate() {
            let names = siblings.complete(&mut self.counts).into_iter();
            self.named.extend(names.map(|(journey, name)| Named {
                user,
                journey,
                name,
                rejection: self.rejections.get(&(user, journey)).copied(),
            }));
        }
    }
}
