//! Files and batches, as the batch interface of vendors has them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, Response, Uri};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::behaviour::{On, What};
use crate::books::Call;
use crate::model::Question;
use crate::state::State;
use crate::{fails, goes_wrong, says};

/// Batches in one page of a list, at most.
const PAGE: usize = 100;

#[derive(Default)]
pub struct Batches {
    files: BTreeMap<String, Bytes>,
    batches: Vec<Batch>,
    made: u64,
}

struct Batch {
    id: String,
    input: String,
    metadata: Value,
    began: Instant,
    status: &'static str,
    output: Option<String>,
    errors: Option<String>,
    counts: [usize; 3],
}

impl Batch {
    fn json(&self) -> Value {
        let [total, completed, failed] = self.counts;
        json!({
            "id": self.id, "object": "batch", "endpoint": "/v1/chat/completions",
            "input_file_id": self.input, "completion_window": "24h", "status": self.status,
            "output_file_id": self.output, "error_file_id": self.errors,
            "metadata": self.metadata,
            "request_counts": {"total": total, "completed": completed, "failed": failed},
        })
    }
}

impl Batches {
    fn new_id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{:06}", self.made)
    }

    fn keep(&mut self, lines: Vec<Value>, even_if_empty: bool) -> Option<String> {
        if lines.is_empty() && !even_if_empty {
            return None;
        }
        let id = self.new_id("file");
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.files.insert(id.clone(), text.into());
        Some(id)
    }

    pub fn report(&self) -> Value {
        let batch = |batch: &Batch| batch.json();
        let batches: Vec<Value> = self.batches.iter().map(batch).collect();
        json!({"files": self.files.len(), "batches": batches})
    }
}

/// What a request gets that may go wrong on the way back.
async fn send(state: &State, on: On, status: u16, done: &Value) -> Response<Body> {
    if let Some(what) = state.fault(on, None)
        && let Some(response) = goes_wrong(&what, done).await
    {
        return response;
    }
    says(status, done)
}

/// Whether a request goes wrong before anything is done.
async fn refused(state: &State, on: On) -> Option<Response<Body>> {
    match state.fault(on, None)? {
        // What is done all the same is undone by nobody.
        What::Cut | What::Hang => None,
        what => goes_wrong(&what, &Value::Null).await,
    }
}

pub async fn upload(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let content_type = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|text| text.split_once("boundary="));
    let Some((_, boundary)) = boundary else {
        return fails(400, "bad_request", "no multipart form");
    };
    let Some((purpose, file)) = form(&body, boundary.trim_matches('"')) else {
        return fails(400, "bad_request", "the form has no purpose or no file");
    };
    if purpose != "batch" {
        return fails(400, "bad_request", "the purpose is not batch");
    }
    let done = {
        let mut batches = state.batches();
        let id = batches.new_id("file");
        batches.files.insert(id.clone(), body.slice(file.clone()));
        json!({"id": id, "object": "file", "bytes": file.len(), "purpose": "batch"})
    };
    send(&state, On::Upload, 200, &done).await
}

/// The purpose, and where the file is.
fn form(body: &[u8], boundary: &str) -> Option<(String, std::ops::Range<usize>)> {
    let find = |from: usize, what: &[u8]| {
        let mut windows = body[from..].windows(what.len());
        windows
            .position(|window| window == what)
            .map(|at| from + at)
    };
    let delimiter = format!("--{boundary}");
    let (mut purpose, mut file) = (None, None);
    let mut at = find(0, delimiter.as_bytes())?;
    loop {
        let head = at + delimiter.len();
        let Some(start) = find(head, b"\r\n\r\n").map(|end| end + 4) else {
            break;
        };
        let Some(end) = find(start, format!("\r\n{delimiter}").as_bytes()) else {
            break;
        };
        let headers = String::from_utf8_lossy(&body[head..start]);
        if headers.contains("name=\"purpose\"") {
            purpose = Some(String::from_utf8_lossy(&body[start..end]).into_owned());
        } else if headers.contains("name=\"file\"") {
            file = Some(start..end);
        }
        at = end + 2;
    }
    Some((purpose?, file?))
}

pub async fn content(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response<Body> {
    if let Some(response) = refused(&state, On::Fetch).await {
        return response;
    }
    let file = state.batches().files.get(&id).cloned();
    match file {
        Some(file) => Response::new(Body::from(file)),
        None => fails(404, "not_found", "no such file"),
    }
}

pub async fn delete(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response<Body> {
    match state.batches().files.remove(&id) {
        Some(_) => says(200, &json!({"id": id, "deleted": true})),
        None => fails(404, "not_found", "no such file"),
    }
}

pub async fn create(
    Shared(state): Shared<Arc<State>>,
    Json(request): Json<Value>,
) -> Response<Body> {
    let input = request["input_file_id"].as_str().unwrap_or_default();
    let wrong = state.fault(On::Create, None);
    let is_refused = wrong
        .as_ref()
        .is_some_and(|what| !matches!(what, What::Cut | What::Hang));
    if let Some(what) = wrong.as_ref().filter(|_| is_refused)
        && let Some(response) = goes_wrong(what, &Value::Null).await
    {
        return response;
    }
    let done = {
        let mut batches = state.batches();
        if !batches.files.contains_key(input) {
            return fails(400, "bad_request", "no such file");
        }
        let id = batches.new_id("batch");
        batches.batches.push(Batch {
            id,
            input: input.into(),
            metadata: request["metadata"].clone(),
            began: Instant::now(),
            status: "in_progress",
            output: None,
            errors: None,
            counts: [0; 3],
        });
        batches.batches.last().map(Batch::json).unwrap_or_default()
    };
    // Done, and perhaps nobody hears of it.
    if let Some(what) = wrong
        && let Some(response) = goes_wrong(&what, &done).await
    {
        return response;
    }
    says(200, &done)
}

pub async fn show(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response<Body> {
    if let Some(response) = refused(&state, On::Poll).await {
        return response;
    }
    work(&state);
    let found = {
        let batches = state.batches();
        batches
            .batches
            .iter()
            .find(|batch| batch.id == id)
            .map(Batch::json)
    };
    match found {
        Some(batch) => says(200, &batch),
        None => fails(404, "not_found", "no such batch"),
    }
}

pub async fn list(Shared(state): Shared<Arc<State>>, uri: Uri) -> Response<Body> {
    if let Some(response) = refused(&state, On::Poll).await {
        return response;
    }
    work(&state);
    let query: BTreeMap<&str, &str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let limit = query.get("limit").and_then(|limit| limit.parse().ok());
    let limit = limit.unwrap_or(20).min(PAGE);
    let shown_after = Duration::from_secs_f64(state.behaviour().batches.listed_after.max(0.0));
    let batches = state.batches();
    // The newest first.
    let rest = batches.batches.iter().rev();
    let mut rest = rest
        .filter(|batch| batch.began.elapsed() >= shown_after)
        .peekable();
    if let Some(after) = query.get("after") {
        rest.by_ref().find(|batch| batch.id == *after);
    }
    let page: Vec<Value> = rest.by_ref().take(limit).map(Batch::json).collect();
    let has_more = rest.peek().is_some();
    let last = page.last().map(|batch| batch["id"].clone());
    says(
        200,
        &json!({"object": "list", "data": page, "has_more": has_more, "last_id": last}),
    )
}

pub async fn cancel(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response<Body> {
    let mut batches = state.batches();
    let found = batches.batches.iter_mut().find(|batch| batch.id == id);
    match found {
        Some(batch) => {
            if batch.status == "in_progress" {
                batch.status = "cancelled";
            }
            says(200, &batch.json())
        }
        None => fails(404, "not_found", "no such batch"),
    }
}

/// Does the batches that are due.
fn work(state: &State) {
    let behaviour = state.behaviour().batches;
    let takes = Duration::from_secs_f64(behaviour.seconds.max(0.0));
    let due: Vec<(usize, Bytes)> = {
        let mut batches = state.batches();
        let Batches { files, batches, .. } = &mut *batches;
        let is_due =
            |batch: &Batch| batch.status == "in_progress" && batch.began.elapsed() >= takes;
        let due = batches
            .iter_mut()
            .enumerate()
            .filter(|(_, batch)| is_due(batch));
        due.map(|(at, batch)| {
            // Whoever asks meanwhile must not do it a second time.
            batch.status = "finalizing";
            (at, files.get(&batch.input).cloned().unwrap_or_default())
        })
        .collect()
    };
    for (at, file) in due {
        if behaviour.fails {
            state.batches().batches[at].status = "failed";
            continue;
        }
        let lines: Vec<Value> = file
            .split(|&byte| byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let most = behaviour.expires_after.unwrap_or(usize::MAX);
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        let call = Call {
            caller: state.batches().batches[at].id.as_str().into(),
            number: 0,
        };
        for (number, line) in lines.iter().enumerate() {
            let id = &line["custom_id"];
            if number >= most {
                failed.push(json!({"custom_id": id, "response": null,
                    "error": {"code": "batch_expired", "message": "not done in time"}}));
                continue;
            }
            match answer(state, &call, &line["body"]) {
                Ok(mut body) => {
                    if behaviour.uncounted {
                        body["usage"] = Value::Null;
                    }
                    done.push(json!({"custom_id": id, "error": null,
                    "response": {"status_code": 200, "body": body}}))
                }
                Err((status, body)) => failed.push(json!({"custom_id": id, "error": null,
                    "response": {"status_code": status, "body": body}})),
            }
        }
        // As real ones: in no order.
        done.reverse();
        let mut batches = state.batches();
        let empty = behaviour.empty_files;
        let counts = [lines.len(), done.len(), failed.len()];
        let (output, errors) = (batches.keep(done, empty), batches.keep(failed, empty));
        let batch = &mut batches.batches[at];
        batch.counts = counts;
        batch.output = output;
        batch.errors = errors;
        batch.status = match lines.len() > most {
            true => "expired",
            false => "completed",
        };
    }
}

/// One line's answer.
fn answer(state: &State, call: &Call, body: &Value) -> Result<Value, (u16, Value)> {
    let question = Question::read(body);
    let wrong = state.fault(On::Line, Some(&question));
    let error = |status: u16, code: &str| Err((status, json!({"error": {"code": code}})));
    match &wrong {
        Some(What::Status { status, body, .. }) => return error(*status, body),
        Some(What::Quota) => return error(429, "insufficient_quota"),
        Some(What::Filter) => return error(400, "content_filter"),
        Some(What::Overflow) => return error(400, "context_length_exceeded"),
        _ => {}
    }
    let answer = question.answer(wrong.as_ref());
    let mut books = state.books();
    books.bill([question.tokens, question.cached_tokens, answer.tokens]);
    books.name(call, answer.named);
    Ok(answer.completion)
}
