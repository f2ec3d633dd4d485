//! How questions reach a model: each by a call of its own, or many by a batch.

use serde_json::Value;

use super::batch::Batches;
use super::endpoint::{Endpoint, LlmError, Patience, Reply};

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

    pub(super) async fn ask(&self, question: &Value) -> Result<Reply, LlmError> {
        match self {
            Transport::Calls(endpoint) => endpoint.ask(question).await,
            Transport::Batches(batches) => batches.ask(question).await,
        }
    }
}
