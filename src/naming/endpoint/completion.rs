//! What a chat completion says.

use serde::Deserialize;
use serde_json::Value;

use super::Reply;
use super::class::Class;
use crate::naming::money;

/// More tokens than any call can take. Servers that do not know a count say -1, some of them as a
/// number without a sign.
const MOST_TOKENS: u64 = 10_000_000;

#[derive(Deserialize)]
pub(in crate::naming) struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
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

impl Completion {
    /// What it took. `None` where the endpoint does not count both, or counts what cannot be: a call
    /// is not free because nobody says what it costs.
    pub(in crate::naming) fn usage(&self) -> Option<money::Usage> {
        let tokens = |count: &Value| count.as_u64().filter(|&tokens| tokens <= MOST_TOKENS);
        let input = tokens(&self.usage["prompt_tokens"])?;
        let output = tokens(&self.usage["completion_tokens"])?;
        let cached = tokens(&self.usage["prompt_tokens_details"]["cached_tokens"]);
        Some(money::Usage {
            input,
            cached: cached.unwrap_or(0).min(input),
            output,
        })
    }
}

impl From<Completion> for Reply {
    fn from(completion: Completion) -> Reply {
        let usage = completion.usage();
        let choices = completion.choices;
        let has_ended = |class| {
            choices.iter().any(|choice| {
                let reason = choice.finish_reason.as_str();
                reason.and_then(Class::of_finish_reason) == Some(class)
            })
        };
        let (is_cut, is_filtered) = (has_ended(Class::Truncated), has_ended(Class::Filtered));
        let messages = choices.into_iter().filter_map(|choice| choice.message);
        let texts = messages.filter_map(|message| Some(message.content.as_str()?.to_owned()));
        let texts: Vec<String> = texts.collect();
        if texts.is_empty() && is_filtered {
            let reason = "a filter withheld the answer".into();
            return Reply::Declined { reason };
        }
        Reply::Answer {
            texts,
            is_cut,
            is_of_other_model: false,
            usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usage(usage: &Value) -> Option<(u64, u64, u64)> {
        let completion = json!({"choices": [], "usage": usage});
        let completion: Completion = serde_json::from_value(completion).unwrap();
        let usage = completion.usage()?;
        Some((usage.input, usage.cached, usage.output))
    }

    #[test]
    fn what_an_answer_took_is_known_only_where_the_endpoint_counts_it() {
        let counts = json!({"prompt_tokens": 10, "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 7}});
        assert_eq!(usage(&counts), Some((10, 7, 5)));
        for nothing in [
            json!(null),
            json!({}),
            json!({"prompt_tokens": 10}),
            json!({"prompt_tokens": 10, "completion_tokens": -1}),
            json!({"prompt_tokens": 10, "completion_tokens": u64::MAX}),
            json!({"prompt_tokens": "10", "completion_tokens": 5}),
        ] {
            assert_eq!(usage(&nothing), None, "{nothing}");
        }
        let most = json!({"prompt_tokens": 10, "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 11}});
        assert_eq!(usage(&most), Some((10, 10, 5)));
    }
}
