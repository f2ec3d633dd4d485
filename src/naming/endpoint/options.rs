//! How to reach a model, and how long to wait for it.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::naming::limits::LimitOptions;

/// How to reach a model.
#[derive(Clone)]
pub struct LlmOptions {
    /// Base URL up to and including `/v1`, or the full URL of `chat/completions`.
    pub endpoint: String,
    /// Name of the model, as the endpoint knows it.
    pub model: String,
    /// Key that is sent as a bearer token.
    pub api_key: Option<String>,
    /// Journeys in one call, at most; a user's journeys stay together where they fit.
    pub journeys_per_call: usize,
    /// Calls per minute that this process makes, at most.
    pub requests_per_minute: NonZeroU32,
    /// Whom to ask while the endpoint does not work or refuses whatever is asked.
    pub fallback: Option<Fallback>,
}

/// A second endpoint with a model, an account and limits of its own.
#[derive(Clone)]
pub struct Fallback {
    /// As [`LlmOptions::endpoint`].
    pub endpoint: String,
    /// Name of the model, as this endpoint knows it.
    pub model: String,
    /// Key that is sent as a bearer token.
    pub api_key: Option<String>,
    /// What all processes together may ask of it; the money of a day is that of the first endpoint.
    pub limits: LimitOptions,
}

impl std::fmt::Debug for Fallback {
    /// Without the key, and without one that stands in the URL.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fallback")
            .field("endpoint", &without_credentials(&self.endpoint))
            .field("model", &self.model)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What an endpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::naming) enum Role {
    First,
    /// Names while the first does not work.
    Fallback,
    /// Judges names.
    Moderation,
}

/// What an endpoint and its options are called.
pub(in crate::naming) struct Names {
    /// Form of its interface.
    pub form: &'static str,
    pub endpoint: &'static str,
    pub model: &'static str,
    pub key: &'static str,
    pub key_file: &'static str,
    /// Those of its limits that a single question can be over.
    pub limits: &'static str,
}

impl Role {
    pub(in crate::naming) fn names(self) -> Names {
        match self {
            Role::First => Names {
                form: "chat-completions",
                endpoint: "--endpoint",
                model: "--model",
                key: "SOJOURN_LLM_API_KEY",
                key_file: "--llm-api-key-file",
                limits: "--input-tokens-per-minute or --output-tokens-per-minute",
            },
            Role::Fallback => Names {
                form: "chat-completions",
                endpoint: "--fallback-endpoint",
                model: "--fallback-model",
                key: "SOJOURN_LLM_FALLBACK_API_KEY",
                key_file: "--fallback-api-key-file",
                limits: "--fallback-input-tokens-per-minute or --fallback-output-tokens-per-minute",
            },
            Role::Moderation => Names {
                form: "moderations",
                endpoint: "--moderation",
                model: "--moderation-model",
                key: "SOJOURN_MODERATION_API_KEY",
                key_file: "--moderation-api-key-file",
                limits: "",
            },
        }
    }
}

impl std::fmt::Debug for LlmOptions {
    /// Without the key, and without one that stands in the URL.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlmOptions")
            .field("endpoint", &without_credentials(&self.endpoint))
            .field("model", &self.model)
            .field("journeys_per_call", &self.journeys_per_call)
            .field("requests_per_minute", &self.requests_per_minute)
            .field("fallback", &self.fallback)
            .finish_non_exhaustive()
    }
}

/// How long a model is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long one call may take.
    pub call: Duration,
    /// How long to wait after the first failure; longer and longer after more of them.
    pub first_wait: Duration,
    /// The longest wait. An endpoint that asks for more is busy, and the job better put off.
    pub longest_wait: Duration,
}

impl Default for Patience {
    /// Small models on small machines need tens of seconds for a call; limits per minute, the
    /// commonest ones, are over after a minute.
    fn default() -> Patience {
        Patience {
            call: Duration::from_secs(120),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
        }
    }
}

/// A URL, or what somebody took for one, as it may be printed: without name and password, and
/// without its query, which may hold a key.
pub(super) fn without_credentials(endpoint: &str) -> String {
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), endpoint),
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, query) = rest.split_at(end);
    let shown = match place.rsplit_once('@') {
        Some((_, place)) => place,
        // A query with an @ in it, or a password with a question mark.
        None if query.contains('@') => "[hidden]",
        None => place,
    };
    scheme + shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_printed_without_what_is_secret_in_it() {
        for (endpoint, printed) in [
            (
                "https://me:secret@host:1/v1?key=secret",
                "https://host:1/v1",
            ),
            ("me:secret@host/v1", "host/v1"),
            ("https:me:secret@host/v1", "host/v1"),
            ("https:///me:secret@host/v1", "https://host/v1"),
            ("https://me:p@secret@host/v1", "https://host/v1"),
            ("https://host/v1?user=a@b&key=secret", "https://[hidden]"),
            ("https://me:sec?ret@host/v1", "https://[hidden]"),
            ("host/v1", "host/v1"),
        ] {
            assert_eq!(without_credentials(endpoint), printed);
        }
    }
}
