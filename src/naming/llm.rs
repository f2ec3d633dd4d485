//! A language model that is asked for names.

use std::collections::HashMap;

use super::answer::parse;
use super::batch::{BatchOptions, Batches};
use super::cache::{CacheOptions, NameCache};
use super::endpoint::{Endpoint, LlmError, LlmOptions, Patience, Reply};
use super::limits::{Account, LimitOptions};
use super::money::Usage;
use super::questions::{Place, Question, Questions};
use super::transport::Transport;
use super::{Moderation, Template};
use crate::connection::Redis;

/// Asks a model for names.
#[derive(Debug)]
pub struct LlmNamer {
    transport: Transport,
    pub(super) questions: Questions,
    pub(super) moderation: Option<Moderation>,
    pub(super) cache: Option<NameCache>,
}

/// What a call came to.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// By place, of each sample; none for what the model did not answer.
    pub names: HashMap<Place, Vec<String>>,
    /// An answer was cut off at its limit of tokens.
    pub is_cut: bool,
    /// The question is one that is not answered.
    pub is_declined: bool,
    /// Another model has answered than the one that journeys are signed with.
    pub is_of_other_model: bool,
    /// What it took, as far as the endpoint says so.
    pub usage: Usage,
}

impl LlmNamer {
    /// A namer for an endpoint. Nothing is sent yet. The process needs a rustls crypto provider
    /// (`settings::install_tls`), even where the endpoint speaks plain HTTP.
    ///
    /// # Errors
    /// When the endpoint is not a URL, or the key cannot be sent.
    pub fn new(options: LlmOptions) -> Result<LlmNamer, LlmError> {
        let transport = Transport::Calls(Endpoint::new(&options)?);
        Ok(LlmNamer::over(transport, options))
    }

    /// A namer that asks by batches, for half the price and within a day; the fallback is not for it.
    /// Redis knows what is asked in which batch. Needs a Tokio runtime, and the rest as [`Self::new`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn by_batches(
        options: LlmOptions,
        redis: &Redis,
        times: BatchOptions,
    ) -> Result<LlmNamer, LlmError> {
        let transport = Transport::Batches(Batches::new(&options, redis, times)?);
        Ok(LlmNamer::over(transport, options))
    }

    fn over(transport: Transport, options: LlmOptions) -> LlmNamer {
        LlmNamer {
            transport,
            questions: Questions::new(options.model, options.journeys_per_call),
            moderation: None,
            cache: None,
        }
    }

    pub(super) fn is_slow(&self) -> bool {
        matches!(self.transport, Transport::Batches(_))
    }

    /// Asks and checks by another template.
    #[must_use]
    pub fn with_template(mut self, template: Template) -> LlmNamer {
        self.questions = self.questions.with_template(template);
        self
    }

    /// Asks for several answers at once, and takes the best name of each journey.
    #[must_use]
    pub fn with_samples(mut self, samples: usize) -> LlmNamer {
        self.questions = self.questions.with_samples(samples);
        self
    }

    /// Uses no name that an endpoint calls unsafe.
    #[must_use]
    pub fn with_moderation(mut self, moderation: Moderation) -> LlmNamer {
        self.questions = self.questions.with_moderation();
        self.moderation = Some(moderation);
        self
    }

    /// Waits for the model longer or shorter than by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> LlmNamer {
        self.transport.set_patience(patience);
        self
    }

    /// Shares names with all processes that ask the same. Not where an answer takes a day: a job that
    /// is begun again finds its answers by asking the same questions, and those would be others once
    /// some of its names had come from elsewhere.
    pub fn share_names(&mut self, redis: &Redis, options: CacheOptions) {
        if !self.is_slow() {
            self.cache = Some(NameCache::new(redis, options));
        }
    }

    /// Shares limits with all processes that ask the same model of the same endpoint.
    pub fn share_limits(&mut self, redis: &Redis, options: LimitOptions) {
        self.transport.share_limits(redis, options);
    }

    /// Tells the limits what is known of calls, so that the ledgers of runs are complete.
    pub(super) async fn flush(&self) -> Result<(), redis::RedisError> {
        self.transport.flush().await
    }

    /// One call.
    pub(super) async fn ask(
        &self,
        question: Question,
        account: &Account,
    ) -> Result<Answers, LlmError> {
        let Question { body, places } = question;
        let journeys = places.len();
        let mut answers = Answers::default();
        match self.transport.ask(&body, account).await? {
            Reply::Answer {
                texts,
                is_cut,
                is_of_other_model,
                usage,
            } => {
                if is_cut {
                    // What is missing fails the checks, and is asked again in smaller calls.
                    tracing::warn!(
                        journeys,
                        "the model's answer was cut off at its limit of tokens"
                    );
                }
                answers.is_cut = is_cut;
                answers.is_of_other_model = is_of_other_model;
                answers.usage = usage.unwrap_or_default();
                for (id, name) in texts.iter().flat_map(|text| parse(text)) {
                    if let Some(&place) = places.get(&id) {
                        answers.names.entry(place).or_default().push(name);
                    }
                }
            }
            // No smaller one can be asked; and none of the journeys of others could.
            Reply::OverLimit { reason } if journeys == 1 => {
                return Err(LlmError::OverLimit { reason });
            }
            Reply::Declined { reason } | Reply::OverLimit { reason } => {
                tracing::warn!(journeys, %reason, "the model declined a question");
                answers.is_declined = true;
            }
        }
        Ok(answers)
    }
}
