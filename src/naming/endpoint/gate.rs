//! Where a question passes the limits that all workers share, and what became of it is told to them.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::failure::Failure;
use crate::naming::limits::{Account, Expected, Headers, Limits, Permit};
use crate::naming::money::Usage;

/// Bytes of a question that are one token, about: few enough for any language, as they are corrected by
/// what endpoints count.
const BYTES_PER_TOKEN: u64 = 3;

/// Tokens of an answer where the question does not bound them.
const UNBOUNDED_ANSWER: u64 = 1024;

/// The limits of an endpoint, if there are any besides those of the process.
#[derive(Debug, Default)]
pub(super) struct Gate {
    limits: Option<Limits>,
    /// Whether the endpoint stands in for the first.
    is_fallback: bool,
}

impl Gate {
    /// From now on, only what these limits let through passes.
    pub(super) fn set(&mut self, limits: Limits, is_fallback: bool) {
        self.limits = Some(limits);
        self.is_fallback = is_fallback;
    }

    /// Waits until a question may be sent.
    pub(super) async fn pass(
        &self,
        account: &Account,
        question: &Value,
        is_retry: bool,
    ) -> Result<Passage, Failure> {
        let Some(limits) = &self.limits else {
            return Ok(Passage(None));
        };
        let mut permit = limits.admit(account, expected(question)).await?;
        if is_retry {
            permit = permit.for_retry();
        }
        if self.is_fallback {
            permit = permit.for_fallback();
        }
        Ok(Passage(Some(permit)))
    }

    /// Takes what the endpoint said of its limits as true for everybody.
    pub(super) async fn correct(
        &self,
        headers: &reqwest::header::HeaderMap,
        retry_after: Option<Duration>,
    ) {
        if let Some(limits) = &self.limits {
            limits.correct(&Headers::read(headers, retry_after)).await;
        }
    }

    /// Tells Redis what is known of calls.
    pub(super) async fn flush(&self) -> Result<(), redis::RedisError> {
        match &self.limits {
            Some(limits) => limits.flush().await,
            None => Ok(()),
        }
    }
}

/// What a question is expected to take.
pub(in crate::naming) fn expected(question: &Value) -> Expected {
    let bytes = question["messages"].to_string().len() as u64;
    let bounds = [&question["max_tokens"], &question["max_completion_tokens"]];
    let answer = bounds.into_iter().find_map(Value::as_u64);
    let answer = answer.unwrap_or(UNBOUNDED_ANSWER);
    let answers = question["n"].as_u64().unwrap_or(1);
    Expected {
        input_tokens: bytes.div_ceil(BYTES_PER_TOKEN),
        output_tokens: answer.saturating_mul(answers),
    }
}

/// A question that has passed. One that is dropped without a word counts in full.
#[must_use = "what became of a question has to be told"]
#[derive(Debug)]
pub(super) struct Passage(Option<Permit>);

impl Passage {
    /// Whether it is too late to send it: it could be one too many in some window.
    pub(super) fn is_late(&self) -> bool {
        let permit = self.0.as_ref();
        permit.is_some_and(|permit| permit.send_by() <= Instant::now())
    }

    /// It was answered; `None` where the endpoint does not count tokens, which counts in full.
    pub(super) fn answered(self, usage: Option<Usage>) {
        match (self.0, usage) {
            (Some(permit), Some(usage)) => permit.settle(usage),
            (Some(permit), None) => permit.answered(),
            (None, _) => {}
        }
    }

    /// The endpoint has no capacity for it, and charges nothing.
    pub(super) fn overloaded(self) {
        if let Some(permit) = self.0 {
            permit.refused();
        }
    }

    /// The endpoint answered that it does not answer this, and charges nothing.
    pub(super) fn declined(self) {
        if let Some(permit) = self.0 {
            permit.declined();
        }
    }

    /// No answer came in time.
    pub(super) fn timed_out(self) {
        if let Some(permit) = self.0 {
            permit.timed_out();
        }
    }

    /// Nothing was sent.
    pub(super) fn unsent(self) {
        if let Some(permit) = self.0 {
            permit.release();
        }
    }
}
