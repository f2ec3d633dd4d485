//! Where requests are sent, and how: one address, one key, bounded answers.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use xxhash_rust::xxh3::xxh3_64;

use super::LlmError;
use super::class::Class;
use super::failure::{Failure, HttpFailure};
use super::options::{Role, without_credentials};
use super::pace::retry_after;
use crate::causes::explain;

/// How long a connection may take to be made. A machine that is gone does not say so.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest answer to a failed call that is put into an error message, in characters.
const MAX_EXCERPT: usize = 200;

/// Path of chat completions behind the base of an interface.
pub(in crate::naming) const COMPLETIONS: &str = "/chat/completions";

/// Path of moderations.
pub(in crate::naming) const MODERATIONS: &str = "/moderations";

/// An interface of the OpenAI form.
pub(in crate::naming) struct Site {
    client: reqwest::Client,
    /// Up to and including `/v1`.
    base: Url,
    /// `None` without a key; marked sensitive, so that the client does not print it.
    authorization: Option<HeaderValue>,
    /// To be struck out where an endpoint repeats it.
    api_key: Option<String>,
}

/// What came back, whatever its status.
pub(in crate::naming) struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// There was no more than was read.
    pub is_whole: bool,
}

impl std::fmt::Debug for Site {
    /// Without the key, and without one that stands in the URL.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Site")
            .field(&without_credentials(self.base.as_str()))
            .finish()
    }
}

impl Site {
    /// The interface at `endpoint`: a base URL, or the full one of `chat/completions` or
    /// `moderations`.
    pub(in crate::naming) fn new(
        role: Role,
        endpoint: &str,
        api_key: Option<String>,
    ) -> Result<Site, LlmError> {
        let invalid = |reason: String| LlmError::InvalidEndpoint {
            option: role.names().endpoint,
            endpoint: without_credentials(endpoint),
            reason,
        };
        let mut base = Url::parse(endpoint.trim()).map_err(|error| invalid(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(invalid("it is neither http nor https".into()));
        }
        // A query, such as a version of the interface, stays where it is.
        let path = base.path().trim_end_matches('/');
        let path = match role {
            Role::First | Role::Fallback => path.strip_suffix(COMPLETIONS),
            Role::Moderation => path.strip_suffix(MODERATIONS),
        }
        .unwrap_or(path)
        .to_owned();
        base.set_path(&path);
        let authorization = api_key.as_ref().map(|key| bearer(key)).transpose()?;
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            // A redirected POST would become a GET, whose failure explains nothing.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| invalid(explain(&error)))?;
        Ok(Site {
            client,
            base,
            authorization,
            api_key,
        })
    }

    /// Tells endpoints and models apart, without what is secret in a URL.
    pub(in crate::naming) fn scope(&self, model: &str) -> String {
        let place = without_credentials(self.base.as_str());
        format!("{:016x}", xxh3_64(format!("{place} {model}").as_bytes()))
    }

    /// A request about a path behind the base.
    pub(in crate::naming) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_of(method, self.url(path))
    }

    /// A request for a path with a query, besides the one that the base has.
    pub(in crate::naming) fn query(
        &self,
        path: &str,
        query: &[(&'static str, String)],
    ) -> RequestBuilder {
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        self.request_of(Method::GET, url)
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    fn request_of(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    /// Sends a request, and reads up to `most` bytes of what comes back. A server that streams for
    /// ever must not fill the memory until the call is over.
    pub(in crate::naming) async fn send(
        &self,
        request: RequestBuilder,
        most: usize,
    ) -> Result<Response, Failure> {
        let mut response = request.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        let is_whole = loop {
            match response.chunk().await {
                Ok(None) => break true,
                Ok(Some(chunk)) => {
                    let room = most - body.len();
                    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        break false;
                    }
                }
                // The status says enough where the body is cut.
                Err(_) if !status.is_success() => break false,
                Err(error) => return Err(broken(error)),
            }
        };
        Ok(Response {
            status,
            headers,
            body,
            is_whole,
        })
    }

    /// The beginning of what is wrong with an answer, and of the answer. Such an error may repeat
    /// whatever it did not expect.
    pub(in crate::naming) fn excerpt_of(&self, error: &serde_json::Error, body: &[u8]) -> String {
        let error = format!("{error}: ");
        self.excerpt(&[error.as_bytes(), body].concat())
    }

    /// The beginning of an answer in one line, without the key that some endpoints repeat.
    pub(in crate::naming) fn excerpt(&self, body: &[u8]) -> String {
        let body = String::from_utf8_lossy(body);
        let body = match self.api_key.as_deref() {
            Some(key) if !key.is_empty() => body.replace(key, "[key]"),
            _ => body.into_owned(),
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

impl Response {
    /// What it says where it is not 2xx.
    pub(in crate::naming) fn failure(&self) -> HttpFailure {
        HttpFailure {
            status: self.status,
            retry_after: retry_after(&self.headers),
            body: String::from_utf8_lossy(&self.body).into_owned(),
        }
    }
}

fn bearer(key: &str) -> Result<HeaderValue, LlmError> {
    let value = HeaderValue::from_str(&format!("Bearer {key}"));
    let mut value = value.map_err(|_| LlmError::InvalidKey)?;
    value.set_sensitive(true);
    Ok(value)
}

/// What became of a connection, without the URL, which may hold credentials.
fn broken(error: reqwest::Error) -> Failure {
    let class = match () {
        () if error.is_connect() => Class::Unreachable,
        () if error.is_timeout() => Class::Timeout,
        () => Class::CutOff,
    };
    Failure::new(class, explain(&error.without_url()))
}
