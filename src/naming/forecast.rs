//! What naming takes, reckoned without asking anybody.

use std::collections::HashMap;
use std::num::NonZeroU32;

use redis::RedisError;
use serde_json::{Value, json};

use super::cache::{NameCache, Signature};
use super::questions::{Group, Place, Questions};
use super::terms::name_of_terms;
use super::tokens::{ANSWER, TokenCounter};
use super::{Template, Unnamed};

/// What naming some journeys takes when every answer passes the checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Journeys that want a name.
    pub journeys: u64,
    /// Of these, how many get the name of an equal one.
    pub shared: u64,
    /// Calls to the model.
    pub calls: u64,
    /// Tokens of the questions.
    pub tokens_in: u64,
    /// Of these, how many are the same in every call and stand first, so that providers may have them
    /// in a cache.
    pub tokens_same: u64,
    /// Tokens of the answers, if names were as long as those made of terms.
    pub tokens_out: u64,
}

/// Adds up what naming jobs take, as a worker would ask.
#[derive(Debug)]
pub struct Forecaster {
    questions: Questions,
    counter: TokenCounter,
    share_after: Option<NonZeroU32>,
    /// Names that are there are left out.
    cache: Option<NameCache>,
    /// How many users have a journey.
    users: HashMap<Signature, u32>,
    /// Tokens that are the same in every call, once they were counted.
    same: Option<u64>,
    forecast: Forecast,
}

impl Forecaster {
    /// For a model, as an endpoint calls it; names are shared if `sharing` says when.
    pub fn new(
        model: &str,
        template: Template,
        journeys_per_call: usize,
        samples: usize,
        sharing: Option<NonZeroU32>,
        cache: Option<NameCache>,
    ) -> Forecaster {
        let questions = Questions::new(model.to_owned(), journeys_per_call)
            .with_template(template)
            .with_samples(samples);
        Forecaster {
            questions,
            counter: TokenCounter::of(model),
            share_after: sharing,
            cache,
            users: HashMap::new(),
            same: None,
            forecast: Forecast::default(),
        }
    }

    /// How tokens are counted.
    pub fn counter(&self) -> &TokenCounter {
        &self.counter
    }

    /// What the jobs so far take.
    pub fn forecast(&self) -> Forecast {
        self.forecast
    }

    /// Of the names that are kept, only those count that a moderation endpoint let pass.
    #[must_use]
    pub fn with_moderation(mut self) -> Forecaster {
        self.questions = self.questions.with_moderation();
        self
    }

    /// Adds a naming job.
    ///
    /// # Errors
    /// When Redis fails; then nothing is added.
    pub async fn add(&mut self, users: &[Unnamed<'_>]) -> Result<(), RedisError> {
        let places: Vec<Place> = users
            .iter()
            .enumerate()
            .flat_map(|(user, unnamed)| (0..unnamed.journeys.len()).map(move |at| (user, at)))
            .collect();
        let asked = match self.share_after {
            Some(enough) => self.unshared(users, &places, enough.get()).await?,
            None => places.clone(),
        };
        self.forecast.journeys += places.len() as u64;
        self.forecast.shared += (places.len() - asked.len()) as u64;
        for batch in self.questions.pack(&asked) {
            self.call(users, &batch);
        }
        Ok(())
    }

    /// Those of some journeys that would be asked about, though names are shared.
    async fn unshared(
        &mut self,
        users: &[Unnamed<'_>],
        places: &[Place],
        enough: u32,
    ) -> Result<Vec<Place>, RedisError> {
        let mut equals: HashMap<Signature, Vec<Place>> = HashMap::new();
        for &(user, journey) in places {
            let signature = self.questions.sign(users[user].journeys[journey]);
            equals.entry(signature).or_default().push((user, journey));
        }
        let signatures: Vec<Signature> = equals.keys().copied().collect();
        let is_there = match &self.cache {
            Some(cache) => cache.has(&signatures).await?,
            None => vec![false; signatures.len()],
        };
        let mut asked = Vec::new();
        for (signature, is_there) in signatures.into_iter().zip(is_there) {
            let places = &equals[&signature];
            let mut who: Vec<usize> = places.iter().map(|&(user, _)| user).collect();
            who.dedup();
            let known = self.users.entry(signature).or_default();
            let before = *known;
            *known += who.len() as u32;
            match () {
                () if is_there => *known = enough,
                // One asked for all of them.
                () if before >= enough => {}
                () if *known >= enough => asked.push(places[0]),
                () => asked.extend(places),
            }
        }
        asked.sort_unstable();
        Ok(asked)
    }

    fn call(&mut self, users: &[Unnamed<'_>], batch: &[Place]) {
        let by_user = batch.chunk_by(|a, b| a.0 == b.0);
        let groups: Vec<Group<'_>> = by_user.map(|places| (places, Vec::new())).collect();
        let question = self.questions.about(users, groups);
        let messages = question.body["messages"].as_array();
        let messages = messages.map_or(&[][..], Vec::as_slice);
        let (last, first) = messages.split_last().unzip();
        let counter = self.counter;
        let same = *self.same.get_or_insert_with(|| {
            let schema = question.body["response_format"].to_string();
            counter.count(&schema) + counter.messages(first.unwrap_or_default())
        });
        let last = last.map_or(0, |last| self.counter.messages(std::slice::from_ref(last)));
        let name = |(id, &(user, journey)): (&String, &Place)| json!({"id": id, "name": name_of_terms(&users[user].journeys[journey].terms)});
        let names: Vec<Value> = question.places.iter().map(name).collect();
        self.forecast.calls += 1;
        self.forecast.tokens_in += same + last + ANSWER;
        self.forecast.tokens_same += same;
        let answer = self.counter.count(&json!({"names": names}).to_string());
        self.forecast.tokens_out += answer * self.questions.samples() as u64;
    }
}
