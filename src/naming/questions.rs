//! The questions that a model is asked about journeys.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Unnamed;
use super::cache::{Basis, Signature};
use super::prompt::{Asked, AskedUser, Description, INSTRUCTIONS, examples, messages, schema};
use crate::journey::Journey;

/// Tokens that one name needs at most, with its id and the JSON around it.
const TOKENS_PER_NAME: usize = 40;

/// Position of a journey in the input: (user, journey).
pub(super) type Place = (usize, usize);

/// Journeys of one user in a call, and the names that it is told are taken.
pub(super) type Group<'a> = (&'a [Place], Vec<&'a str>);

/// How journeys are asked about.
#[derive(Debug)]
pub(super) struct Questions {
    model: String,
    journeys_per_call: usize,
    /// What all of them have in common.
    basis: Basis,
}

/// One question.
pub(super) struct Question {
    /// What is sent.
    pub body: Value,
    /// Which journey an id stands for.
    pub places: HashMap<String, Place>,
}

impl Questions {
    pub(super) fn new(model: String, journeys_per_call: usize) -> Questions {
        let examples = examples().map(|(question, answer)| format!("{question}{answer}"));
        let template = [INSTRUCTIONS]
            .into_iter()
            .chain(examples.iter().map(|e| &**e));
        Questions {
            basis: Basis::new([model.as_str()].into_iter().chain(template)),
            model,
            journeys_per_call: journeys_per_call.max(1),
        }
    }

    /// How many journeys one question is about, at most.
    pub(super) fn journeys_per_call(&self) -> usize {
        self.journeys_per_call
    }

    /// What journeys have in common that are asked about in the same words.
    pub(super) fn sign(&self, journey: &Journey) -> Signature {
        let Description { terms, titles } = Description::of(journey);
        let (terms, titles) = (terms.iter(), titles.iter());
        self.basis.sign(terms.map(|t| &**t), titles.map(|t| &**t))
    }

    /// Packs journeys into calls, the first call last; a user's journeys stay together where they fit.
    pub(super) fn pack(&self, places: &[Place]) -> Vec<Vec<Place>> {
        let most = self.journeys_per_call;
        let mut batches: Vec<Vec<Place>> = Vec::new();
        let groups = places.chunk_by(|a, b| a.0 == b.0);
        for group in groups.flat_map(|group| group.chunks(most)) {
            match batches.last_mut() {
                Some(batch) if batch.len() + group.len() <= most => batch.extend(group),
                _ => batches.push(group.to_vec()),
            }
        }
        batches.reverse();
        batches
    }

    /// The question about some journeys.
    pub(super) fn about(&self, users: &[Unnamed<'_>], groups: Vec<Group<'_>>) -> Question {
        let mut asked: Vec<AskedUser<'_>> = Vec::new();
        let mut places: HashMap<String, Place> = HashMap::new();
        for (group, taken) in groups {
            let number = asked.len() + 1;
            let ask = |(at, &(user, journey)): (usize, &Place)| {
                let id = format!("{number}{}", letters(at));
                places.insert(id.clone(), (user, journey));
                Asked {
                    id,
                    journey: users[user].journeys[journey],
                }
            };
            let journeys = group.iter().enumerate().map(ask).collect();
            asked.push(AskedUser { journeys, taken });
        }
        Question {
            body: self.body(messages(&asked), places.len()),
            places,
        }
    }

    fn body(&self, messages: Value, names: usize) -> Value {
        json!({
            "model": self.model,
            "messages": messages,
            "response_format": schema(),
            "temperature": 0,
            "seed": 0,
            "max_tokens": TOKENS_PER_NAME * (names + 1),
        })
    }
}

/// a, b, ..., z, aa, ab, ...
fn letters(number: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    match number / 26 {
        0 => letter.to_string(),
        more => letters(more - 1) + &letter.to_string(),
    }
}
