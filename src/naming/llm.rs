//! Names by a language model behind an endpoint of the OpenAI chat-completions form.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::answer::{check, parse};
use super::prompt::{Asked, messages, schema};
use super::{Name, NamingCounts, Rejection, Unnamed, name_of_terms};
use crate::journey::{Journey, NameSource};

/// How long one call may take. Small models on small machines need tens of seconds for a batch.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Tokens that one name needs at most, with its id and the JSON around it.
const TOKENS_PER_NAME: usize = 40;

/// Attempts at one call before the job is put off.
const ATTEMPTS: usize = 4;

/// Longest answer to a failed call that is put into an error message, in characters.
const MAX_EXCERPT: usize = 200;

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
}

impl std::fmt::Debug for LlmOptions {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlmOptions")
            .field("endpoint", &self.endpoint)
            .field("model", &self.model)
            .field("journeys_per_call", &self.journeys_per_call)
            .field("requests_per_minute", &self.requests_per_minute)
            .finish_non_exhaustive()
    }
}

/// Why a model could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LlmError {
    /// The endpoint is not a URL.
    #[error("--endpoint {endpoint:?} is not a URL ({reason}); it looks like https://host/v1")]
    InvalidEndpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Busy, away, or cut off: later may go better.
    #[error("the model endpoint is busy or away: {reason}")]
    Busy {
        /// What happened.
        reason: String,
        /// When the endpoint asked to be called again.
        retry_after: Option<Duration>,
    },
    /// The endpoint will not answer this request however often it is asked.
    #[error("the model endpoint refused the call with {status}: {body}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// Beginning of the answer.
        body: String,
    },
}

impl LlmError {
    /// Whether asking again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, LlmError::Busy { .. })
    }
}

/// Asks a model for names.
#[derive(Debug)]
pub struct LlmNamer {
    client: reqwest::Client,
    url: reqwest::Url,
    options: LlmOptions,
    limiter: DefaultDirectRateLimiter,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize, Default)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// Position of a journey in the input: (user, journey).
type Place = (usize, usize);

impl LlmNamer {
    /// A namer for an endpoint. Nothing is sent yet.
    ///
    /// # Errors
    /// When the endpoint is not a URL.
    pub fn new(options: LlmOptions) -> Result<LlmNamer, LlmError> {
        let invalid = |reason: String| LlmError::InvalidEndpoint {
            endpoint: options.endpoint.clone(),
            reason,
        };
        let base = options.endpoint.trim_end_matches('/');
        let full = if base.ends_with("/chat/completions") {
            base.to_owned()
        } else {
            format!("{base}/chat/completions")
        };
        let url = reqwest::Url::parse(&full).map_err(|error| invalid(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("it is neither http nor https".into()));
        }
        let client = reqwest::Client::builder()
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let limiter = RateLimiter::direct(Quota::per_minute(options.requests_per_minute));
        Ok(LlmNamer {
            client,
            url,
            options,
            limiter,
        })
    }

    pub(super) fn batch_size(&self) -> usize {
        self.options.journeys_per_call.max(1)
    }

    /// Names the journeys of some users. What failed the checks is asked again by halves, down to
    /// single journeys; what fails alone gets a name made of its terms.
    pub(super) async fn name(
        &self,
        users: &[Unnamed<'_>],
    ) -> Result<(Vec<Vec<Name>>, NamingCounts), LlmError> {
        let mut counts = NamingCounts::default();
        let mut names: Vec<Vec<Option<Name>>> = users
            .iter()
            .map(|user| vec![None; user.journeys.len()])
            .collect();
        let mut batches = self.batches(users);
        while let Some(batch) = batches.pop() {
            let answers = self.ask(users, &batch, &mut counts).await?;
            let mut failed: Vec<Place> = Vec::new();
            for &(user, journey) in &batch {
                let named = names[user].iter().flatten().map(|name| name.name.as_str());
                let siblings: Vec<&str> = named.chain(users[user].taken.iter().copied()).collect();
                let answer = answers.get(&(user, journey));
                match check(answer, users[user].journeys[journey], &siblings) {
                    Ok(name) => {
                        names[user][journey] = Some(Name {
                            name,
                            source: NameSource::Llm,
                        });
                    }
                    Err(rejection) => {
                        counts.rejected += 1;
                        log_rejection(rejection, answer);
                        failed.push((user, journey));
                    }
                }
            }
            match failed.len() {
                0 => {}
                _ if batch.len() == 1 => {} // Failed alone: the terms are its name.
                1 => batches.push(failed),
                n => {
                    let half = failed.split_off(n / 2);
                    batches.push(failed);
                    batches.push(half);
                }
            }
        }
        let fallback = |journey: &Journey| Name {
            name: name_of_terms(&journey.terms),
            source: NameSource::Fallback,
        };
        let names = names
            .into_iter()
            .zip(users)
            .map(|(names, user)| {
                let named = names.into_iter().zip(&user.journeys);
                named
                    .map(|(name, journey)| name.unwrap_or_else(|| fallback(journey)))
                    .collect()
            })
            .collect::<Vec<Vec<Name>>>();
        counts.fallbacks = names
            .iter()
            .flatten()
            .filter(|n| n.source == NameSource::Fallback)
            .count() as u64;
        Ok((names, counts))
    }

    /// Packs journeys into calls; a user's journeys stay together where they fit.
    fn batches(&self, users: &[Unnamed<'_>]) -> Vec<Vec<Place>> {
        let most = self.batch_size();
        let mut batches: Vec<Vec<Place>> = Vec::new();
        for (user, unnamed) in users.iter().enumerate() {
            let places: Vec<Place> = (0..unnamed.journeys.len()).map(|at| (user, at)).collect();
            for group in places.chunks(most) {
                match batches.last_mut() {
                    Some(batch) if batch.len() + group.len() <= most => batch.extend(group),
                    _ => batches.push(group.to_vec()),
                }
            }
        }
        batches
    }

    /// One call, repeated while the endpoint is busy. Returns names by place.
    async fn ask(
        &self,
        users: &[Unnamed<'_>],
        batch: &[Place],
        counts: &mut NamingCounts,
    ) -> Result<HashMap<Place, String>, LlmError> {
        let mut asked: Vec<Vec<Asked<'_>>> = Vec::new();
        let mut places: HashMap<String, Place> = HashMap::new();
        for group in batch.chunk_by(|a, b| a.0 == b.0) {
            let number = asked.len() + 1;
            let ask = |(at, &(user, journey)): (usize, &Place)| {
                let id = format!("{number}{}", letters(at));
                places.insert(id.clone(), (user, journey));
                Asked {
                    id,
                    journey: users[user].journeys[journey],
                }
            };
            asked.push(group.iter().enumerate().map(ask).collect());
        }
        let body = json!({
            "model": self.options.model,
            "messages": messages(&asked),
            "response_format": schema(),
            "temperature": 0,
            "seed": 0,
            "max_tokens": TOKENS_PER_NAME * batch.len() + TOKENS_PER_NAME,
        });
        let policy = ExponentialBuilder::default()
            .with_jitter()
            .with_max_times(ATTEMPTS - 1);
        let call = || async {
            self.limiter.until_ready().await;
            self.call(&body).await
        };
        let completion = call
            .retry(policy)
            .when(LlmError::is_transient)
            .adjust(|error, wait| match error {
                LlmError::Busy {
                    retry_after: Some(asked),
                    ..
                } => wait.map(|w| w.max(*asked)),
                _ => wait,
            })
            .notify(|error, wait| tracing::warn!(%error, ?wait, "asking the model again"))
            .await?;
        counts.calls += 1;
        counts.tokens_in += completion.usage.prompt_tokens;
        counts.tokens_out += completion.usage.completion_tokens;
        let text = completion
            .choices
            .into_iter()
            .next()
            .and_then(|c| c.message.content);
        let names = parse(&text.unwrap_or_default());
        Ok(names
            .into_iter()
            .filter_map(|(id, name)| Some((*places.get(&id)?, name)))
            .collect())
    }

    async fn call(&self, body: &serde_json::Value) -> Result<Completion, LlmError> {
        let mut request = self.client.post(self.url.clone()).json(body);
        if let Some(key) = &self.options.api_key {
            request = request.bearer_auth(key);
        }
        // The URL may hold credentials.
        let busy = |error: reqwest::Error| LlmError::Busy {
            reason: chain(&error.without_url()),
            retry_after: None,
        };
        let response = request.send().await.map_err(busy)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(busy);
        }
        let retry_after = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body: String = response
            .text()
            .await
            .unwrap_or_default()
            .chars()
            .take(MAX_EXCERPT)
            .collect();
        let out_of_money = body.contains("insufficient_quota");
        let busy = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        if busy && !out_of_money {
            return Err(LlmError::Busy {
                reason: format!("{status}: {body}"),
                retry_after,
            });
        }
        Err(LlmError::Refused { status, body })
    }
}

fn log_rejection(rejection: Rejection, answer: Option<&String>) {
    tracing::debug!(%rejection, ?answer, "a name is not used");
}

/// a, b, ..., z, aa, ab, ...
fn letters(number: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    match number / 26 {
        0 => letter.to_string(),
        more => letters(more - 1) + &letter.to_string(),
    }
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
