//! An endpoint of the OpenAI chat-completions form: one question, one answer.

mod failure;
mod form;
mod options;
mod pace;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

pub use failure::LlmError;
pub(super) use options::without_credentials;
pub use options::{LlmOptions, Patience};
pub(super) use pace::retry_after;

use crate::causes::explain;
use crate::code::Coded;
use failure::{HttpFailure, Meaning};
use form::KnownForm;
use pace::Pace;

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
        /// One for each sample that was asked for, or fewer.
        texts: Vec<String>,
        /// One was not finished when it reached its limit of tokens.
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
}

impl Endpoint {
    pub(super) fn new(options: &LlmOptions) -> Result<Endpoint, LlmError> {
        let invalid = |reason: String| LlmError::InvalidEndpoint {
            option: "--endpoint",
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
            known_form: KnownForm::default(),
        })
    }

    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Asks a question, again while the endpoint is busy.
    pub(super) async fn ask(&self, question: &Value) -> Result<Reply, LlmError> {
        let policy = ExponentialBuilder::default()
            .with_min_delay(self.patience.first_wait)
            .with_max_delay(self.patience.longest_wait)
            .with_jitter()
            .with_max_times(ATTEMPTS - 1);
        let attempt = || self.attempt(question);
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
    async fn attempt(&self, question: &Value) -> Result<Reply, LlmError> {
        let mut form = self.known_form.first();
        loop {
            let turn = self.pace.turn(self.patience.longest_wait).await;
            turn.map_err(|wait| LlmError::Busy {
                reason: format!("it asked to be left alone for another {wait:.0?}"),
                retry_after: Some(wait),
            })?;
            let failure = match self.send(&form.of(question)).await? {
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
    async fn send(&self, body: &Value) -> Result<Result<Completion, HttpFailure>, LlmError> {
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
        let response = request.send().await.map_err(cut)?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = read(response).await;
        if !status.is_success() {
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
        let completion = serde_json::from_slice(&body.bytes).map_err(|error| {
            let text = self.excerpt(&String::from_utf8_lossy(&body.bytes));
            let reason = format!("{error}: {text}");
            LlmError::Unreadable { reason }
        })?;
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
    let choices = completion.choices;
    let is_cut = choices
        .iter()
        .any(|choice| choice.finish_reason == "length");
    let messages = choices.into_iter().filter_map(|choice| choice.message);
    let texts = messages.filter_map(|message| Some(message.content.as_str()?.to_owned()));
    let usage = completion.usage.unwrap_or_default();
    Reply::Answer {
        texts: texts.collect(),
        is_cut,
        tokens_in: usage.prompt_tokens.unwrap_or(0),
        tokens_out: usage.completion_tokens.unwrap_or(0),
    }
}
