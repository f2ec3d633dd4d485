//! What a chat completion says.

use serde::Deserialize;
use serde_json::Value;

use super::Reply;
use super::class::Class;
use crate::naming::money;

#[derive(Deserialize)]
pub(in crate::naming) struct Completion {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
    /// Why the answer ended.
    #[serde(default)]
    finish_reason: Value,
}

#[derive(Deserialize)]
struct Message {
    /// Text; null where a filter struck, parts in some dialects.
    #[serde(default)]
    content: Value,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptTokens>,
}

#[derive(Deserialize)]
struct PromptTokens {
    cached_tokens: Option<u64>,
}

impl Completion {
    /// What it took, as far as the endpoint counts.
    pub(in crate::naming) fn usage(&self) -> Option<money::Usage> {
        let usage = self.usage.as_ref()?;
        let details = usage.prompt_tokens_details.as_ref();
        Some(money::Usage {
            input: usage.prompt_tokens.unwrap_or(0),
            cached: details.and_then(|d| d.cached_tokens).unwrap_or(0),
            output: usage.completion_tokens.unwrap_or(0),
        })
    }
}

impl From<Completion> for Reply {
    fn from(completion: Completion) -> Reply {
        let usage = completion.usage().unwrap_or_default();
        let choices = completion.choices;
        let is_cut = choices.iter().any(|choice| {
            let reason = choice.finish_reason.as_str();
            reason.and_then(Class::of_finish_reason) == Some(Class::Truncated)
        });
        let messages = choices.into_iter().filter_map(|choice| choice.message);
        let texts = messages.filter_map(|message| Some(message.content.as_str()?.to_owned()));
        Reply::Answer {
            texts: texts.collect(),
            is_cut,
            tokens_in: usage.input,
            tokens_out: usage.output,
        }
    }
}
