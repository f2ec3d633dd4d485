//! The questions that a model is asked about journeys.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::cache::{Basis, Signature};
use super::prompt::{Asked, AskedUser, Description, id, messages, schema};
use super::{Template, Unnamed};
use crate::journey::Journey;

/// Tokens that one name needs at most, with its id and the JSON around it.
const TOKENS_PER_NAME: usize = 40;

/// How freely a model is to choose its words where several samples are asked for. Without freedom
/// they would be the same.
const TEMPERATURE_OF_SAMPLES: f64 = 0.8;

/// Position of a journey in the input: (user, journey).
pub(super) type Place = (usize, usize);

/// Journeys of one user in a call, and the names that it is told are taken.
pub(super) type Group<'a> = (&'a [Place], Vec<&'a str>);

/// How journeys are asked about.
#[derive(Debug)]
pub(super) struct Questions {
    model: String,
    journeys_per_call: usize,
    template: Template,
    /// Answers to each question, the best of which is taken journey by journey.
    samples: usize,
    /// Whether names have to pass a moderation endpoint.
    are_moderated: bool,
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
        let questions = Questions {
            model,
            journeys_per_call: journeys_per_call.max(1),
            template: Template::default(),
            samples: 1,
            are_moderated: false,
            basis: Basis::new([]),
        };
        questions.based()
    }

    pub(super) fn with_template(mut self, template: Template) -> Questions {
        self.template = template;
        self.based()
    }

    pub(super) fn with_samples(mut self, samples: usize) -> Questions {
        self.samples = samples.max(1);
        self.based()
    }

    /// A name that nobody moderated is not for those who want that.
    pub(super) fn with_moderation(mut self) -> Questions {
        self.are_moderated = true;
        self.based()
    }

    fn based(mut self) -> Questions {
        let samples = self.samples.to_string();
        let moderated = self.are_moderated.to_string();
        self.basis = Basis::new([
            self.model.as_str(),
            self.template.hash(),
            samples.as_str(),
            moderated.as_str(),
        ]);
        self
    }

    pub(super) fn template(&self) -> &Template {
        &self.template
    }

    #[cfg(feature = "cli")]
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// How many journeys one question is about, at most.
    pub(super) fn journeys_per_call(&self) -> usize {
        self.journeys_per_call
    }

    /// What journeys have in common that are asked about in the same words.
    pub(super) fn sign(&self, journey: &Journey) -> Signature {
        let Description { terms, titles } = Description::of(&self.template, journey);
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
                let id = id(number, at);
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
            body: self.body(messages(&self.template, &asked), places.len()),
            places,
        }
    }

    fn body(&self, messages: Value, names: usize) -> Value {
        let mut body = json!({
            "model": self.model,
            "messages": messages,
            "response_format": schema(),
            "temperature": 0,
            "seed": 0,
            "max_tokens": TOKENS_PER_NAME * (names + 1),
        });
        if self.samples > 1 {
            body["n"] = json!(self.samples);
            body["temperature"] = json!(TEMPERATURE_OF_SAMPLES);
        }
        body
    }
}
