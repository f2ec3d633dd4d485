//! The provider's interface for batches, in the OpenAI form.

use std::time::Duration;

use rand::RngExt;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::token::Token;
use crate::naming::endpoint::{COMPLETIONS, Class, Failure, MAX_ANSWER, Role, Site};

/// How long a request may take that moves no file.
pub(super) const CALL: Duration = Duration::from_secs(60);

/// How long a file may be under way.
const TRANSFER: Duration = Duration::from_secs(600);

/// Longest file that is read. An answer takes a kilobyte, and a batch has 50,000 of them at most.
const MAX_FILE: usize = 512 * 1024 * 1024;

/// Batches in a page of their list.
const PAGE: usize = 100;

/// Pages of the list that are read in search of a batch: those of some days.
const MAX_PAGES: usize = 50;

/// Under which name a batch says whose it is.
const METADATA: &str = "sojourn_batch";

/// What the provider says of a batch.
#[derive(Debug, Deserialize)]
pub(super) struct Batch {
    pub id: String,
    pub status: Status,
    pub output_file_id: Option<String>,
    pub error_file_id: Option<String>,
    #[serde(default)]
    metadata: Value,
    /// Why it failed.
    #[serde(default)]
    pub errors: Value,
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Completed,
    /// Some of its questions may have been answered.
    Expired,
    /// Likewise.
    Cancelled,
    /// Nothing was answered.
    Failed,
    /// It is not over.
    #[serde(other)]
    UnderWay,
}

#[derive(Deserialize)]
struct File {
    id: String,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Batch>,
    #[serde(default)]
    has_more: bool,
}

/// The interface.
#[derive(Debug)]
pub(super) struct Interface {
    site: Site,
}

impl Interface {
    pub(super) fn new(site: Site) -> Interface {
        Interface { site }
    }

    /// Uploads the questions of a batch.
    pub(super) async fn upload(&self, token: &Token, lines: &[u8]) -> Result<String, Failure> {
        // What is between the parts must not be in one of them.
        let boundary = format!("sojourn-{:032x}", rand::rng().random::<u128>());
        let mut form = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"sojourn-{token}.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n"
        )
        .into_bytes();
        form.extend_from_slice(lines);
        form.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let request = self.site.request(Method::POST, "/files");
        let form_data = format!("multipart/form-data; boundary={boundary}");
        let request = request.header(CONTENT_TYPE, form_data).body(form);
        let file: File = self.call(request.timeout(TRANSFER)).await?;
        Ok(file.id)
    }

    /// Creates a batch of an uploaded file.
    pub(super) async fn create(&self, token: &Token, file: &str) -> Result<Batch, Failure> {
        let batch = json!({
            "input_file_id": file,
            "endpoint": format!("/v1{COMPLETIONS}"),
            "completion_window": "24h",
            "metadata": {METADATA: token.to_string()},
        });
        let request = self.site.request(Method::POST, "/batches").json(&batch);
        self.call(request.timeout(CALL)).await
    }

    /// How a batch is.
    pub(super) async fn show(&self, id: &str) -> Result<Batch, Failure> {
        let request = self.site.request(Method::GET, &format!("/batches/{id}"));
        self.call(request.timeout(CALL)).await
    }

    /// The batch with this token, if there is one.
    pub(super) async fn find(&self, token: &Token) -> Result<Option<Batch>, Failure> {
        let token = token.to_string();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut query = vec![("limit", PAGE.to_string())];
            query.extend(after.take().map(|after| ("after", after)));
            let request = self.site.query("/batches", &query).timeout(CALL);
            let Page { data, has_more } = self.call(request).await?;
            after = data.last().map(|batch| batch.id.clone());
            let mut batches = data.into_iter();
            if let Some(found) = batches.find(|batch| batch.metadata[METADATA] == token.as_str()) {
                return Ok(Some(found));
            }
            if !has_more || after.is_none() {
                break;
            }
        }
        Ok(None)
    }

    /// What is in a file.
    pub(super) async fn content(&self, file: &str) -> Result<Vec<u8>, Failure> {
        let request = self
            .site
            .request(Method::GET, &format!("/files/{file}/content"));
        self.read(request.timeout(TRANSFER), MAX_FILE).await
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let body = self.read(request, MAX_ANSWER).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let reason = format!("{error}: {}", self.site.excerpt(&body));
            Failure::new(Class::Unreadable, reason)
        })
    }

    async fn read(&self, request: RequestBuilder, most: usize) -> Result<Vec<u8>, Failure> {
        let response = self.site.send(request, most).await?;
        if !response.status.is_success() {
            let excerpt = self.site.excerpt(&response.body);
            return Err(response.failure().explained(false, &excerpt, Role::First));
        }
        if !response.is_whole {
            let reason = format!("the answer is too long, over {most} bytes");
            return Err(Failure::new(Class::Unreadable, reason));
        }
        Ok(response.body)
    }
}
