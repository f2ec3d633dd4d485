//! Counting the tokens of questions before anybody is asked.

use bpe_openai::Tokenizer;
use serde_json::Value;

/// Tokens around each message of a chat: of who says it, and of its two ends.
const PER_MESSAGE: u64 = 4;

/// Tokens with which the answer is begun.
pub(super) const ANSWER: u64 = 3;

/// Counts tokens as a model does, or nearly so.
#[derive(Clone, Copy)]
pub struct TokenCounter {
    tokenizer: &'static Tokenizer,
    vocabulary: &'static str,
    is_estimate: bool,
}

impl std::fmt::Debug for TokenCounter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCounter")
            .field("vocabulary", &self.vocabulary)
            .field("is_estimate", &self.is_estimate)
            .finish_non_exhaustive()
    }
}

impl TokenCounter {
    /// A counter for a model, as an endpoint calls it. Of models whose tokens are not known it counts
    /// those of a vocabulary of the usual size.
    pub fn of(model: &str) -> TokenCounter {
        // Some endpoints put the vendor before it.
        let name = model.rsplit('/').next().unwrap_or(model);
        let is = |families: &[&str]| families.iter().any(|family| name.starts_with(family));
        // What is not listed may be anything, also with a name that begins with gpt.
        let newer = is(&[
            "gpt-4o",
            "gpt-4.1",
            "gpt-4.5",
            "gpt-5",
            "gpt-oss",
            "chatgpt-4o",
            "o1",
            "o3",
            "o4-",
        ]);
        if !newer && is(&["gpt-4", "gpt-3.5"]) {
            return TokenCounter {
                tokenizer: bpe_openai::cl100k_base(),
                vocabulary: "cl100k_base",
                is_estimate: false,
            };
        }
        TokenCounter {
            tokenizer: bpe_openai::o200k_base(),
            vocabulary: "o200k_base",
            is_estimate: !newer,
        }
    }

    /// The vocabulary that is counted with.
    pub fn vocabulary(&self) -> &'static str {
        self.vocabulary
    }

    /// Whether the model counts in another way.
    pub fn is_estimate(&self) -> bool {
        self.is_estimate
    }

    /// The tokens of a text.
    pub fn count(&self, text: &str) -> u64 {
        self.tokenizer.count(text) as u64
    }

    /// The tokens of some of the messages of a call.
    pub(super) fn messages(&self, messages: &[Value]) -> u64 {
        let message = |message: &Value| {
            let content = message["content"].as_str().unwrap_or_default();
            PER_MESSAGE + self.count(content)
        };
        messages.iter().map(message).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_whose_vocabulary_is_known_are_counted_and_others_estimated() {
        for (model, vocabulary, is_estimate) in [
            ("gpt-4o-mini-2024-07-18", "o200k_base", false),
            ("openai/gpt-4.1-nano", "o200k_base", false),
            ("gpt-4-turbo", "cl100k_base", false),
            ("gpt-3.5-turbo", "cl100k_base", false),
            ("qwen2.5-7b", "o200k_base", true),
            ("meta-llama/Llama-3.1-8B", "o200k_base", true),
        ] {
            let counter = TokenCounter::of(model);
            let found = (counter.vocabulary(), counter.is_estimate());
            assert_eq!(found, (vocabulary, is_estimate), "{model}");
        }
    }

    /// The texts and numbers of OpenAI's own guide to counting tokens.
    #[test]
    fn tokens_are_those_that_the_vendor_counts() {
        for (text, older, newer) in [
            ("antidisestablishmentarianism", 6, 6),
            ("2 + 2 = 4", 7, 7),
            ("お誕生日おめでとう", 9, 8),
        ] {
            assert_eq!(TokenCounter::of("gpt-4").count(text), older, "{text}");
            assert_eq!(TokenCounter::of("gpt-4o").count(text), newer, "{text}");
        }
    }
}
