//! An endpoint of the OpenAI chat-completions form: one question, one answer.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

/// Attempts at one call before the job is put off.
const ATTEMPTS: usize = 4;

/// Longest answer to a failed call that is put into an error message, in characters.
const MAX_EXCERPT: usize = 200;

/// How endpoints say that there is no money left. They say it with 429, but waiting does not help.
const OUT_OF_MONEY: &str = "insufficient_quota";

/// How endpoints say that it is this question that they do not answer: it is too long, or a filter
/// dislikes somebody's title. Others they would answer.
const DECLINED: &[&str] = &[
    "content_filter",
    "content_policy",
    "ResponsibleAIPolicyViolation",
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
];

/// Parameters that names can be had without. Some endpoints know no schemas, and some models refuse
/// to be told a temperature.
const OPTIONAL: [&str; 4] = ["response_format", "max_tokens", "temperature", "seed"];

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
    /// Without the key, and without one that stands in the URL.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlmOptions")
            .field("endpoint", &without_credentials(&self.endpoint))
            .field("model", &self.model)
            .field("journeys_per_call", &self.journeys_per_call)
            .field("requests_per_minute", &self.requests_per_minute)
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
    /// The key cannot be sent.
    #[error(
        "the key of the model endpoint holds line breaks or other characters that cannot be sent"
    )]
    InvalidKey,
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

/// What became of a question.
#[derive(Debug)]
pub(super) enum Reply {
    /// An answer, whatever it says.
    Answer {
        text: String,
        tokens_in: u64,
        tokens_out: u64,
    },
    /// The endpoint answers others, but not this one.
    Declined { reason: String },
}

/// Where questions are sent. One per process: it holds the rate and what was learnt.
pub(super) struct Endpoint {
    client: reqwest::Client,
    url: reqwest::Url,
    /// `None` without a key; marked sensitive, so that the client does not print it.
    authorization: Option<HeaderValue>,
    /// To be struck out where an endpoint repeats it.
    api_key: Option<String>,
    limiter: DefaultDirectRateLimiter,
    patience: Patience,
    /// Until when the endpoint asked everybody to wait.
    closed_until: Mutex<Option<Instant>>,
    /// Parameters that the endpoint refused.
    left_out: Mutex<Vec<&'static str>>,
}

impl std::fmt::Debug for Endpoint {
    /// Without the key, and without one that stands in the URL.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &without_credentials(self.url.as_str()))
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    /// Text; null where a filter struck, parts in some dialects.
    #[serde(default)]
    content: Value,
}

#[derive(Deserialize, Default)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// An answer other than 2xx.
struct HttpFailure {
    status: StatusCode,
    retry_after: Option<Duration>,
    /// The whole text.
    body: String,
}

impl Endpoint {
    pub(super) fn new(options: &LlmOptions) -> Result<Endpoint, LlmError> {
        let invalid = |reason: String| LlmError::InvalidEndpoint {
            endpoint: without_credentials(&options.endpoint),
            reason,
        };
        let mut url = reqwest::Url::parse(options.endpoint.trim())
            .map_err(|error| invalid(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("it is neither http nor https".into()));
        }
        // A query, such as a version of the interface, stays where it is.
        let path = url.path().trim_end_matches('/');
        if !path.ends_with("/chat/completions") {
            let path = format!("{path}/chat/completions");
            url.set_path(&path);
        }
        let authorization = options.api_key.as_ref().map(|key| {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| LlmError::InvalidKey)?;
            value.set_sensitive(true);
            Ok(value)
        });
        let client = reqwest::Client::builder()
            // A redirected POST would become a GET, whose failure explains nothing.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| invalid(chain(&error)))?;
        // No more at once than a second's share: providers count in windows shorter than a minute.
        let burst = NonZeroU32::new(options.requests_per_minute.get() / 60);
        let quota = Quota::per_minute(options.requests_per_minute)
            .allow_burst(burst.unwrap_or(NonZeroU32::MIN));
        Ok(Endpoint {
            client,
            url,
            authorization: authorization.transpose()?,
            api_key: options.api_key.clone(),
            limiter: RateLimiter::direct(quota),
            patience: Patience::default(),
            closed_until: Mutex::default(),
            left_out: Mutex::default(),
        })
    }

    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Asks a question, again while the endpoint is busy.
    pub(super) async fn ask(&self, body: &Value) -> Result<Reply, LlmError> {
        let policy = ExponentialBuilder::default()
            .with_min_delay(self.patience.first_wait)
            .with_max_delay(self.patience.longest_wait)
            .with_jitter()
            .with_max_times(ATTEMPTS - 1);
        let attempt = || self.attempt(body);
        attempt
            .retry(policy)
            .when(LlmError::is_transient)
            .adjust(|error, wait| match error {
                LlmError::Busy {
                    retry_after: Some(asked),
                    ..
                } if *asked > self.patience.longest_wait => None,
                // The jittered wait comes on top, lest everybody come back at the same moment.
                LlmError::Busy {
                    retry_after: Some(asked),
                    ..
                } => wait.map(|wait| wait.saturating_add(*asked)),
                _ => wait,
            })
            .notify(|error, wait| tracing::warn!(%error, ?wait, "asking the model again"))
            .await
    }

    /// Asks once; a parameter that the endpoint refuses is left out from then on.
    async fn attempt(&self, body: &Value) -> Result<Reply, LlmError> {
        let mut body = body.clone();
        let mut left_out = self
            .left_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(parameters) = body.as_object_mut() {
            parameters.retain(|name, _| !left_out.contains(&name.as_str()));
        }
        loop {
            self.turn().await?;
            let failure = match self.send(&body).await? {
                Ok(completion) => {
                    self.remember(left_out);
                    return Ok(answer(completion));
                }
                Err(failure) => failure,
            };
            let Some(name) = refused_parameter(&failure, &body) else {
                return self.explain(failure);
            };
            tracing::warn!(parameter = name, body = %self.excerpt(&failure.body),
                "the model endpoint refused a request; asking without this parameter");
            left_out.push(name);
            if let Some(parameters) = body.as_object_mut() {
                parameters.remove(name);
            }
        }
    }

    fn remember(&self, left_out: Vec<&'static str>) {
        if !left_out.is_empty() {
            *self.left_out.lock().unwrap_or_else(PoisonError::into_inner) = left_out;
        }
    }

    /// Waits for this process's next turn.
    async fn turn(&self) -> Result<(), LlmError> {
        let until = *self
            .closed_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            let wait = until.saturating_duration_since(Instant::now());
            if wait > self.patience.longest_wait {
                return Err(LlmError::Busy {
                    reason: format!("it asked to be left alone for another {wait:.0?}"),
                    retry_after: Some(wait),
                });
            }
            tokio::time::sleep(wait).await;
        }
        self.limiter.until_ready().await;
        Ok(())
    }

    /// One request. The outer error is that of the connection.
    async fn send(&self, body: &Value) -> Result<Result<Completion, HttpFailure>, LlmError> {
        let busy = |reason: String| LlmError::Busy {
            reason,
            retry_after: None,
        };
        // The URL may hold credentials.
        let cut = |error: reqwest::Error| busy(chain(&error.without_url()));
        let mut request = self
            .client
            .post(self.url.clone())
            .timeout(self.patience.call)
            .json(body);
        if let Some(value) = &self.authorization {
            request = request.header(reqwest::header::AUTHORIZATION, value.clone());
        }
        let response = request.send().await.map_err(cut)?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = response.bytes().await;
        if status.is_success() {
            let body = body.map_err(cut)?;
            let completion = serde_json::from_slice(&body).map_err(|error| {
                let text = String::from_utf8_lossy(&body);
                let text = self.excerpt(&text);
                busy(format!("not a chat completion ({error}): {text}"))
            })?;
            return Ok(Ok(completion));
        }
        // The status says enough where the body is cut.
        let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
        Ok(Err(HttpFailure {
            status,
            retry_after,
            body,
        }))
    }

    /// What a failure means, and that everybody waits where it asks them to.
    fn explain(&self, failure: HttpFailure) -> Result<Reply, LlmError> {
        let HttpFailure {
            status,
            retry_after,
            body,
        } = failure;
        let excerpt = self.excerpt(&body);
        match meaning(status, &body) {
            Meaning::Busy => {
                if let Some(wait) = retry_after {
                    let mut until = self
                        .closed_until
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    *until = (*until).max(Instant::now().checked_add(wait));
                }
                Err(LlmError::Busy {
                    reason: format!("{status}: {excerpt}"),
                    retry_after,
                })
            }
            Meaning::Declined => Ok(Reply::Declined {
                reason: format!("{status}: {excerpt}"),
            }),
            Meaning::Refused => Err(LlmError::Refused {
                status,
                body: excerpt,
            }),
        }
    }

    /// The beginning of an answer, without the key that some endpoints repeat.
    fn excerpt(&self, body: &str) -> String {
        let body = match self.api_key.as_deref() {
            Some(key) if !key.is_empty() => body.replace(key, "[key]"),
            _ => body.to_owned(),
        };
        body.chars().take(MAX_EXCERPT).collect()
    }
}

fn answer(completion: Completion) -> Reply {
    let message = completion
        .choices
        .into_iter()
        .next()
        .and_then(|c| c.message);
    let text = message.and_then(|message| Some(message.content.as_str()?.to_owned()));
    let usage = completion.usage.unwrap_or_default();
    Reply::Answer {
        text: text.unwrap_or_default(),
        tokens_in: usage.prompt_tokens.unwrap_or(0),
        tokens_out: usage.completion_tokens.unwrap_or(0),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Busy,
    Declined,
    Refused,
}

fn meaning(status: StatusCode, body: &str) -> Meaning {
    let busy = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
        );
    let about_the_question = match status {
        StatusCode::PAYLOAD_TOO_LARGE => true,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            DECLINED.iter().any(|sign| body.contains(sign))
        }
        _ => false,
    };
    match () {
        () if body.contains(OUT_OF_MONEY) => Meaning::Refused,
        () if busy => Meaning::Busy,
        () if about_the_question => Meaning::Declined,
        () => Meaning::Refused,
    }
}

/// The parameter that a refused request is worth asking again without: the one that the answer
/// names, else the schema, which endpoints refuse in many words.
fn refused_parameter(failure: &HttpFailure, request: &Value) -> Option<&'static str> {
    let malformed = matches!(
        failure.status,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
    );
    if !malformed || meaning(failure.status, &failure.body) != Meaning::Refused {
        return None;
    }
    let sent = |name: &&&'static str| request.get(**name).is_some();
    let named = OPTIONAL
        .iter()
        .filter(sent)
        .find(|name| failure.body.contains(**name));
    named.or(OPTIONAL.iter().take(1).find(sent)).copied()
}

/// When to call again: milliseconds as some endpoints say it, else seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |value: &HeaderValue| Some(value.to_str().ok()?.trim().to_owned());
    let number = |text: &str| text.parse::<f64>().ok();
    if let Some(milliseconds) = headers.get("retry-after-ms").and_then(text) {
        let seconds = number(&milliseconds)? / 1000.0;
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let text = headers.get(RETRY_AFTER).and_then(text)?;
    if let Some(seconds) = number(&text) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(&text).ok()?.timestamp();
    let now = Timestamp::try_from(SystemTime::now()).ok()?;
    Duration::try_from(date.duration_since(now)).ok()
}

/// A URL as it may be printed.
fn without_credentials(endpoint: &str) -> String {
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return endpoint.to_owned();
    };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // A query may hold a key.
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    format!("{scheme}://{host}{path}")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        retry_after(&headers)
    }

    #[test]
    fn retry_after_is_read_in_seconds_milliseconds_and_as_a_date() {
        assert_eq!(waits("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(
            waits("retry-after", "0.5"),
            Some(Duration::from_millis(500))
        );
        assert_eq!(
            waits("retry-after-ms", "20"),
            Some(Duration::from_millis(20))
        );
        let date = waits("retry-after", "Tue, 31 Dec 2199 23:59:59 GMT");
        assert!(date.is_some_and(|wait| wait > Duration::from_secs(3600)));
        for nonsense in [
            "soon",
            "-1",
            "nan",
            "1e300",
            "Wed, 21 Oct 2015 07:28:00 GMT",
        ] {
            assert_eq!(waits("retry-after", nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn no_money_is_not_waited_for_however_late_the_answer_says_so() {
        let body = format!("{}insufficient_quota", " ".repeat(2 * MAX_EXCERPT));
        let status = StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(meaning(status, &body), Meaning::Refused);
        assert_eq!(meaning(status, "slow down"), Meaning::Busy);
    }

    #[test]
    fn a_question_that_a_filter_dislikes_says_nothing_about_others() {
        let body = r#"{"error":{"code":"content_filter"}}"#;
        assert_eq!(meaning(StatusCode::BAD_REQUEST, body), Meaning::Declined);
        assert_eq!(
            meaning(StatusCode::PAYLOAD_TOO_LARGE, ""),
            Meaning::Declined
        );
        assert_eq!(
            meaning(StatusCode::BAD_REQUEST, "no model"),
            Meaning::Refused
        );
        assert_eq!(meaning(StatusCode::UNAUTHORIZED, body), Meaning::Refused);
    }

    #[test]
    fn a_url_is_printed_without_what_is_secret_in_it() {
        let printed = without_credentials("https://me:secret@host:1/v1?key=secret");
        assert_eq!(printed, "https://host:1/v1");
        assert_eq!(without_credentials("host/v1"), "host/v1");
    }
}
