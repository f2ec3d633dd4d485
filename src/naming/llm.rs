//! A language model that is asked for names.

use std::collections::HashMap;

use super::NamingCounts;
use super::answer::parse;
use super::cache::{CacheOptions, NameCache};
use super::endpoint::{Endpoint, LlmError, LlmOptions, Patience, Reply};
use super::limits::{Account, LimitOptions, Limits};
use super::questions::{Place, Question, Questions};
use crate::connection::Redis;

/// Asks a model for names.
#[derive(Debug)]
pub struct LlmNamer {
    endpoint: Endpoint,
    pub(super) questions: Questions,
    pub(super) cache: Option<NameCache>,
}

impl LlmNamer {
    /// A namer for an endpoint. Nothing is sent yet. The process needs a rustls crypto provider
    /// (`settings::install_tls`), even where the endpoint speaks plain HTTP.
    ///
    /// # Errors
    /// When the endpoint is not a URL, or the key cannot be sent.
    pub fn new(options: LlmOptions) -> Result<LlmNamer, LlmError> {
        Ok(LlmNamer {
            endpoint: Endpoint::new(&options)?,
            questions: Questions::new(options.model, options.journeys_per_call),
            cache: None,
        })
    }

    /// Waits for the model longer or shorter than by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> LlmNamer {
        self.endpoint.set_patience(patience);
        self
    }

    /// Shares names with all processes that ask the same.
    pub fn share_names(&mut self, redis: &Redis, options: CacheOptions) {
        self.cache = Some(NameCache::new(redis, options));
    }

    /// Shares limits with all processes that ask the same model of the same endpoint.
    pub fn share_limits(&mut self, redis: &Redis, options: LimitOptions) {
        let scope = self.endpoint.scope(self.questions.model());
        self.endpoint
            .set_limits(Limits::new(redis, &scope, options));
    }

    /// Tells the limits what is known of calls, so that the ledgers of runs are complete.
    pub(super) async fn flush(&self) -> Result<(), redis::RedisError> {
        self.endpoint.flush().await
    }

    /// Notes names that needed no call in the ledger of a run.
    pub(super) fn count_cache_hits(&self, account: &Account, hits: u64) {
        self.endpoint.count_cache_hits(account, hits);
    }

    /// One call. Returns names by place; none for what the model did not answer.
    pub(super) async fn ask(
        &self,
        question: Question,
        account: &Account,
        counts: &mut NamingCounts,
    ) -> Result<HashMap<Place, String>, LlmError> {
        let Question { body, places } = question;
        let reply = match self.endpoint.ask(&body, account).await {
            // Nothing was answered in this form yet, so it may refuse this question or every
            // question. If it takes the trial, it declines this one.
            Err(refusal) if refusal.may_be_about_the_question() => {
                let trial = self.questions.trial();
                self.endpoint.ask(&trial, account).await?;
                counts.calls += 1;
                self.endpoint.ask(&body, account).await?
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
