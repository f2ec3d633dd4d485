//! An endpoint of the OpenAI chat-completions form: one question, one answer.

mod failure;
mod form;
mod gate;
mod options;
mod pace;

use backon::{ExponentialBuilder, Retryable};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

pub use failure::LlmError;
pub use options::{LlmOptions, Patience};

use super::limits::{Account, Limits};
use super::money;
use crate::causes::explain;
use crate::code::Coded;
use failure::{HttpFailure, Meaning};
use form::KnownForm;
use gate::{Gate, Passage, Stopped};
use options::without_credentials;
use pace::{Pace, retry_after};

/// Attempts at one call before the job is put off.
const ATTEMPTS: usize = 4;

/// Longest answer that is read, in bytes. A name takes a hundred; a server that streams for ever
/// must not fill the memory until the call is over.
const MAX_ANSWER: usize = 1024 * 1024;

/// Longest answer to a failed call that is put into an error message, in characters.
const MAX_EXCERPT: usize = 200;

/// What became of a question.
#[derive(Debug)]
pub(super) enum Reply {
    /// An answer, whatever it says.
    Answer {
        text: String,
        /// The answer was not finished when it reached its limit of tokens.
        is_cut: bool,
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
    patience: Patience,
    pace: Pace,
    /// Between all processes.
    gate: Gate,
    known_form: KnownForm,
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
    /// `length` where the limit of tokens ended the answer.
    #[serde(default)]
    finish_reason: Value,
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
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize, Default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

impl Usage {
    fn counted(&self) -> money::Usage {
        let cached = self.prompt_tokens_details.as_ref();
        money::Usage {
            input: self.prompt_tokens.unwrap_or(0),
            cached: cached
                .and_then(|details| details.cached_tokens)
                .unwrap_or(0),
            output: self.completion_tokens.unwrap_or(0),
        }
    }
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
            .map_err(|error| invalid(explain(&error)))?;
        Ok(Endpoint {
            client,
            url,
            authorization: authorization.transpose()?,
            api_key: options.api_key.clone(),
            patience: Patience::default(),
            pace: Pace::new(options.requests_per_minute),
            gate: Gate::default(),
            known_form: KnownForm::default(),
        })
    }

    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Tells endpoints and models apart, without what is secret in a URL.
    pub(super) fn scope(&self, model: &str) -> String {
        let place = without_credentials(self.url.as_str());
        format!("{:016x}", xxh3_64(format!("{place} {model}").as_bytes()))
    }

    /// From now on, asks only what these limits let through.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.gate.set(limits, false);
    }

    /// Notes names that needed no call in the ledger of a run.
    pub(super) fn count_cache_hits(&self, account: &Account, hits: u64) {
        self.gate.count_cache_hits(account, hits);
    }

    /// Tells the limits what is known of calls.
    pub(super) async fn flush(&self) -> Result<(), redis::RedisError> {
        self.gate.flush().await
    }

    /// Asks a question, again while the endpoint is busy.
    pub(super) async fn ask(&self, question: &Value, account: &Account) -> Result<Reply, LlmError> {
        let policy = ExponentialBuilder::default()
            .with_min_delay(self.patience.first_wait)
            .with_max_delay(self.patience.longest_wait)
            .with_jitter()
            .with_max_times(ATTEMPTS - 1);
        let mut attempts = 0;
        let attempt = || {
            attempts += 1;
            self.attempt(question, account, attempts > 1)
        };
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
            .notify(|error, wait| {
                tracing::warn!(code = %error.code(), %error, ?wait, "asking the model again");
            })
            .await
    }

    /// Asks once, in other forms too where the endpoint does not take the first.
    async fn attempt(
        &self,
        question: &Value,
        account: &Account,
        mut is_retry: bool,
    ) -> Result<Reply, LlmError> {
        let mut form = self.known_form.first();
        loop {
            let turn = self.pace.turn(self.patience.longest_wait).await;
            turn.map_err(|wait| LlmError::Busy {
                reason: format!("it asked to be left alone for another {wait:.0?}"),
                retry_after: Some(wait),
            })?;
            let passage = match self.gate.pass(account, question, is_retry).await {
                Ok(passage) => passage,
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::TooLarge(reason)) => return Ok(Reply::Declined { reason }),
            };
            is_retry = true;
            let failure = match self.send(&form.of(question), passage).await? {
                Ok(completion) => {
                    self.known_form.learn(form);
                    return Ok(answer(completion));
                }
                Err(failure) => failure,
            };
            let excerpt = self.excerpt(&failure.body);
            let reason = format!("{}: {excerpt}", failure.status);
            match failure.meaning(self.known_form.is(&form)) {
                Meaning::Busy => {
                    if let Some(wait) = failure.retry_after {
                        self.pace.close_for(wait);
                    }
                    let retry_after = failure.retry_after;
                    return Err(LlmError::Busy {
                        reason,
                        retry_after,
                    });
                }
                Meaning::Declined => return Ok(Reply::Declined { reason }),
                Meaning::Refused => {
                    let Some(parameter) = form.give_way(&failure, question) else {
                        return Err(LlmError::Refused {
                            status: failure.status,
                            body: excerpt,
                            remedy: failure.remedy(),
                        });
                    };
                    tracing::warn!(
                        parameter,
                        reason,
                        "the model endpoint refused a request; asking without this parameter"
                    );
                }
            }
        }
    }

    /// One request. The outer error is that of the connection.
    async fn send(
        &self,
        body: &Value,
        passage: Passage,
    ) -> Result<Result<Completion, HttpFailure>, LlmError> {
        // The URL may hold credentials.
        let cut = |error: reqwest::Error| LlmError::Busy {
            reason: explain(&error.without_url()),
            retry_after: None,
        };
        let mut request = self
            .client
            .post(self.url.clone())
            .timeout(self.patience.call)
            .json(body);
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                match () {
                    () if error.is_connect() => passage.unsent(),
                    () if error.is_timeout() => passage.timed_out(),
                    // Nobody knows what the endpoint made of it.
                    () => drop(passage),
                }
                return Err(cut(error));
            }
        };
        let status = response.status();
        let retry_after = retry_after(response.headers());
        self.gate.correct(response.headers(), retry_after).await;
        let body = read(response).await;
        if !status.is_success() {
            match status {
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    passage.overloaded();
                }
                _ => passage.declined(),
            }
            // The status says enough where the body is cut.
            let body = body.map_or_else(|_| Vec::new(), |body| body.bytes);
            return Ok(Err(HttpFailure {
                status,
                retry_after,
                body: String::from_utf8_lossy(&body).into_owned(),
            }));
        }
        let body = body.map_err(cut)?;
        if !body.is_whole {
            let reason = format!("the answer is too long, over {MAX_ANSWER} bytes");
            return Err(LlmError::Unreadable { reason });
        }
        let completion: Completion = serde_json::from_slice(&body.bytes).map_err(|error| {
            let text = self.excerpt(&String::from_utf8_lossy(&body.bytes));
            let reason = format!("{error}: {text}");
            LlmError::Unreadable { reason }
        })?;
        passage.answered(completion.usage.as_ref().map(Usage::counted));
        Ok(Ok(completion))
    }

    /// The beginning of an answer in one line, without the key that some endpoints repeat.
    fn excerpt(&self, body: &str) -> String {
        let body = match self.api_key.as_deref() {
            Some(key) if !key.is_empty() => body.replace(key, "[key]"),
            _ => body.to_owned(),
        };
        let mut line = String::new();
        for word in body.split(|c: char| c.is_whitespace() || c.is_control()) {
            if !word.is_empty() && !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        line.chars().take(MAX_EXCERPT).collect()
    }
}

/// What was read of a response.
struct Body {
    bytes: Vec<u8>,
    /// There was no more.
    is_whole: bool,
}

async fn read(mut response: reqwest::Response) -> Result<Body, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            let is_whole = false;
            return Ok(Body { bytes, is_whole });
        }
        bytes.extend_from_slice(&chunk);
    }
    let is_whole = true;
    Ok(Body { bytes, is_whole })
}

fn answer(completion: Completion) -> Reply {
    let choice = completion.choices.into_iter().next();
    let is_cut = choice
        .as_ref()
        .is_some_and(|choice| choice.finish_reason == "length");
    let message = choice.and_then(|choice| choice.message);
    let text = message.and_then(|message| Some(message.content.as_str()?.to_owned()));
    let usage = completion.usage.unwrap_or_default();
    Reply::Answer {
        text: text.unwrap_or_default(),
        is_cut,
        tokens_in: usage.prompt_tokens.unwrap_or(0),
        tokens_out: usage.completion_tokens.unwrap_or(0),
    }
}
