//! A second opinion on names, from an endpoint of the OpenAI moderations form.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::Rejection;
use super::endpoint::{LlmError, Patience, retry_after, without_credentials};
use crate::causes::explain;

/// Attempts at one request before its names are given up.
const ATTEMPTS: usize = 4;

/// Longest answer that is read, in bytes: a name takes about a kilobyte of scores.
const MAX_ANSWER: usize = 1024 * 1024;

/// How to reach it.
#[derive(Clone)]
pub struct ModerationOptions {
    /// Base URL up to and including `/v1`, or the full URL of `moderations`.
    pub endpoint: String,
    /// Model to ask for; the endpoint's own choice if none is named.
    pub model: Option<String>,
    /// Key that is sent as a bearer token.
    pub api_key: Option<String>,
}

/// Asks an endpoint which names are unsafe. What it does not answer is not used: it fails closed.
pub struct Moderation {
    client: reqwest::Client,
    url: Url,
    authorization: Option<HeaderValue>,
    model: Option<String>,
    patience: Patience,
}

impl std::fmt::Debug for Moderation {
    /// Without what is secret in the URL, and without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moderation")
            .field("url", &without_credentials(self.url.as_str()))
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Judgement {
    results: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    flagged: bool,
}

/// Why a request has no answer.
enum Failure {
    /// Another attempt may have one.
    Away {
        reason: String,
        retry_after: Option<Duration>,
    },
    Refused(LlmError),
}

impl Moderation {
    /// How long is waited by default: as long as for names, since nothing can be done without it, but
    /// not for answers that take a machine minutes.
    const PATIENCE: Patience = Patience {
        call: Duration::from_secs(30),
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(60),
    };

    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the endpoint is not a URL, or the key cannot be sent.
    pub fn new(options: ModerationOptions) -> Result<Moderation, LlmError> {
        let invalid = |reason: String| LlmError::InvalidEndpoint {
            option: "--moderation",
            endpoint: without_credentials(&options.endpoint),
            reason,
        };
        let mut url =
            Url::parse(options.endpoint.trim()).map_err(|error| invalid(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("it is neither http nor https".into()));
        }
        let path = url.path().trim_end_matches('/');
        if !path.ends_with("/moderations") {
            let path = format!("{path}/moderations");
            url.set_path(&path);
        }
        let authorization = options.api_key.map(|key| {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| LlmError::InvalidKey)?;
            value.set_sensitive(true);
            Ok(value)
        });
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| invalid(explain(&error)))?;
        Ok(Moderation {
            client,
            url,
            authorization: authorization.transpose()?,
            model: options.model,
            patience: Moderation::PATIENCE,
        })
    }

    /// Waits for it longer or shorter than by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Moderation {
        self.patience = patience;
        self
    }

    /// Rejects those names that are unsafe, and all of them if nobody says so after some attempts.
    ///
    /// # Errors
    /// When the endpoint refuses whatever is asked: no name would ever pass.
    pub(super) async fn judge(
        &self,
        names: &mut [Result<String, Rejection>],
    ) -> Result<(), LlmError> {
        let asked: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let unsafe_names = match self.ask(&asked).await {
            Ok(verdicts) => verdicts.into_iter().map(|verdict| verdict.flagged),
            Err(Failure::Refused(error)) => return Err(error),
            Err(Failure::Away { reason, .. }) => {
                let names_lost = asked.len();
                tracing::warn!(
                    reason,
                    names_lost,
                    "the moderation endpoint is busy or away"
                );
                names
                    .iter_mut()
                    .filter(|name| name.is_ok())
                    .for_each(|name| {
                        *name = Err(Rejection::Unmoderated);
                    });
                return Ok(());
            }
        };
        for (name, is_unsafe) in names
            .iter_mut()
            .filter(|name| name.is_ok())
            .zip(unsafe_names)
        {
            if is_unsafe {
                *name = Err(Rejection::Unsafe);
            }
        }
        Ok(())
    }

    /// One verdict for each name.
    async fn ask(&self, names: &[&str]) -> Result<Vec<Verdict>, Failure> {
        let Patience {
            first_wait,
            longest_wait,
            ..
        } = self.patience;
        let policy = ExponentialBuilder::default()
            .with_min_delay(first_wait)
            .with_max_delay(longest_wait)
            .with_jitter()
            .with_max_times(ATTEMPTS - 1);
        let attempt = || self.attempt(names);
        let is_away = |failure: &Failure| matches!(failure, Failure::Away { .. });
        let adjusted = |failure: &Failure, wait: Option<Duration>| match failure {
            Failure::Away {
                retry_after: Some(asked),
                ..
            } if *asked > longest_wait => None,
            Failure::Away {
                retry_after: Some(asked),
                ..
            } => wait.map(|wait| wait.saturating_add(*asked)),
            _ => wait,
        };
        attempt.retry(policy).when(is_away).adjust(adjusted).await
    }

    async fn attempt(&self, names: &[&str]) -> Result<Vec<Verdict>, Failure> {
        let away = |reason: String, retry_after| Failure::Away {
            reason,
            retry_after,
        };
        // The URL may hold credentials.
        let cut = |error: reqwest::Error| away(explain(&error.without_url()), None);
        let mut body = json!({"input": names});
        if let Some(model) = &self.model {
            body["model"] = json!(model);
        }
        let request = self.client.post(self.url.clone());
        let mut request = request.timeout(self.patience.call).json(&body);
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let mut response = request.send().await.map_err(cut)?;
        let status = response.status();
        let is_busy = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        if is_busy {
            return Err(away(status.to_string(), retry_after(response.headers())));
        }
        if !status.is_success() {
            // The body is left out: some endpoints repeat the key in it.
            return Err(Failure::Refused(LlmError::Refused {
                status,
                body: "what --moderation names did not judge the names".into(),
                remedy: "check --moderation, --moderation-model, and the key in \
                         SOJOURN_MODERATION_API_KEY or --moderation-api-key-file",
            }));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(cut)? {
            answer.extend_from_slice(&chunk);
            if answer.len() > MAX_ANSWER {
                return Err(away("its answer is too long".into(), None));
            }
        }
        let Judgement { results } = serde_json::from_slice(&answer)
            .map_err(|error| away(format!("its answer is no judgement: {error}"), None))?;
        match results.len() == names.len() {
            true => Ok(results),
            false => Err(away("its answer is not about as many names".into(), None)),
        }
    }
}
