//! How questions reach a model: each by a call of its own, or many by a batch.

use serde_json::Value;

use super::batch::Batches;
use super::endpoint::{Endpoint, LlmError, Patience, Reply};
use super::limits::{Account, LimitOptions};
use crate::connection::Redis;

/// How questions reach a model.
#[derive(Debug)]
pub(super) enum Transport {
    /// At once.
    Calls(Endpoint),
    /// Within a day.
    Batches(Batches),
}

impl Transport {
    pub(super) fn set_patience(&mut self, patience: Patience) {
        match self {
            Transport::Calls(endpoint) => endpoint.set_patience(patience),
            // Who waits for a day has it.
            Transport::Batches(_) => {}
        }
    }

    /// Shares limits with all processes that ask the same.
    pub(super) fn share_limits(&mut self, redis: &Redis, options: LimitOptions) {
        match self {
            Transport::Calls(endpoint) => endpoint.share_limits(redis, options),
            Transport::Batches(batches) => batches.share_limits(options),
        }
    }

    /// Tells the limits what is known of questions, so that the ledgers of runs are complete.
    pub(super) async fn flush(&self) -> Result<(), redis::RedisError> {
        match self {
            Transport::Calls(endpoint) => endpoint.flush().await,
            // What batches cost is written at once.
            Transport::Batches(_) => Ok(()),
        }
    }

    pub(super) async fn ask(&self, question: &Value, account: &Account) -> Result<Reply, LlmError> {
        match self {
            Transport::Calls(endpoint) => endpoint.ask(question, account).await,
            Transport::Batches(batches) => batches.ask(question, account).await,
        }
    }
}
