//! A language model that is asked for names.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::answer::parse;
use super::cache::{Basis, NameCache};
use super::endpoint::{Endpoint, LlmError, LlmOptions, Patience, Reply};
use super::prompt::{Asked, AskedUser, INSTRUCTIONS, examples, messages, schema, trial};
use super::session::Place;
use super::{NamingCounts, Unnamed};

/// Tokens that one name needs at most, with its id and the JSON around it.
const TOKENS_PER_NAME: usize = 40;

/// Asks a model for names.
#[derive(Debug)]
pub struct LlmNamer {
    endpoint: Endpoint,
    model: String,
    pub(super) journeys_per_call: usize,
    pub(super) cache: Option<NameCache>,
    /// What all its questions have in common.
    pub(super) basis: Basis,
}

/// Journeys of one user in a call, and the names that it is told are taken.
pub(super) type Group<'a> = (&'a [Place], Vec<&'a str>);

impl LlmNamer {
    /// A namer for an endpoint. Nothing is sent yet. The process needs a rustls crypto provider
    /// (`settings::install_tls`), even where the endpoint speaks plain HTTP.
    ///
    /// # Errors
    /// When the endpoint is not a URL, or the key cannot be sent.
    pub fn new(options: LlmOptions) -> Result<LlmNamer, LlmError> {
        let examples = examples().map(|(question, answer)| format!("{question}{answer}"));
        let template = [INSTRUCTIONS]
            .into_iter()
            .chain(examples.iter().map(|e| &**e));
        Ok(LlmNamer {
            endpoint: Endpoint::new(&options)?,
            basis: Basis::new([options.model.as_str()].into_iter().chain(template)),
            model: options.model,
            journeys_per_call: options.journeys_per_call.max(1),
            cache: None,
        })
    }

    /// Waits for the model longer or shorter than by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> LlmNamer {
        self.endpoint.set_patience(patience);
        self
    }

    /// Shares names through a cache.
    #[must_use]
    pub fn with_cache(mut self, cache: NameCache) -> LlmNamer {
        self.cache = Some(cache);
        self
    }

    fn question(&self, messages: Value, names: usize) -> Value {
        json!({
            "model": self.model,
            "messages": messages,
            "response_format": schema(),
            "temperature": 0,
            "seed": 0,
            "max_tokens": TOKENS_PER_NAME * (names + 1),
        })
    }

    /// One call. Returns names by place; none for what the model did not answer.
    pub(super) async fn ask(
        &self,
        users: &[Unnamed<'_>],
        groups: Vec<Group<'_>>,
        counts: &mut NamingCounts,
    ) -> Result<HashMap<Place, String>, LlmError> {
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
        let question = self.question(messages(&asked), places.len());
        let reply = match self.endpoint.ask(&question).await {
            // Nothing was answered in this form yet, so it may refuse this question or every
            // question. If it takes the trial, it declines this one.
            Err(refusal) if refusal.may_be_about_the_question() => {
                self.endpoint.ask(&self.question(trial(), 2)).await?;
                counts.calls += 1;
                self.endpoint.ask(&question).await?
            }
            reply => reply?,
        };
        counts.calls += 1;
        match reply {
            Reply::Answer {
                text,
                is_cut,
                tokens_in,
                tokens_out,
            } => {
                counts.tokens_in += tokens_in;
                counts.tokens_out += tokens_out;
                if is_cut {
                    // What is missing fails the checks, and is asked again in smaller calls.
                    counts.cut += 1;
                    tracing::warn!(
                        journeys = places.len(),
                        tokens_out,
                        "the model's answer was cut off at its limit of tokens"
                    );
                }
                let names = parse(&text);
                Ok(names
                    .into_iter()
                    .filter_map(|(id, name)| Some((*places.get(&id)?, name)))
                    .collect())
            }
            Reply::Declined { reason } => {
                tracing::warn!(journeys = places.len(), %reason, "the model declined a question");
                Ok(HashMap::new())
            }
        }
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
