//! Chat completions.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, Response};
use rand::RngExt;
use serde_json::Value;

use crate::behaviour::{Latency, On, What};
use crate::books::{Call, Room};
use crate::model::Question;
use crate::state::State;
use crate::{fails, goes_wrong, says};

pub async fn complete(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response<Body> {
    let question = Question::read(&body);
    let behaviour = state.behaviour();
    let room = state.books().arrive(question.tokens, &behaviour.limits);
    let mut response = if room.wait.is_zero() {
        let under_way = state.begin(caller(&headers));
        let response = answer(&state, &under_way.call, &question, &behaviour.latency).await;
        under_way.answered();
        response
    } else {
        fails(429, "rate_limit_exceeded", "Too much in a minute")
    };
    if behaviour.limits.headers {
        say_what_is_left(&room, response.headers_mut());
    }
    response
}

/// Who asks: callers have keys of their own.
fn caller(headers: &HeaderMap) -> &str {
    let key = headers
        .get("authorization")
        .and_then(|key| key.to_str().ok());
    key.and_then(|key| key.strip_prefix("Bearer "))
        .unwrap_or_default()
}

/// An answer is on the bill from when the model begins it, even if nobody is there any more when it
/// is done.
async fn answer(
    state: &State,
    call: &Call,
    question: &Question,
    latency: &Latency,
) -> Response<Body> {
    let wrong = state.fault(On::Question, Some(question));
    let answer = question.answer(wrong.as_ref());
    let is_done = !matches!(
        wrong,
        Some(What::Status { .. } | What::Quota | What::Filter | What::Overflow | What::Html)
    );
    if is_done {
        let mut books = state.books();
        books.bill([question.tokens, question.cached_tokens, answer.tokens]);
        if !matches!(wrong, Some(What::Hang | What::Cut)) {
            books.name(call, answer.named);
        }
    }
    if let Some(wait) = latency.draw() {
        tokio::time::sleep(wait).await;
    }
    if is_done {
        state.books().spend_output(answer.tokens);
    }
    if let Some(what) = &wrong
        && let Some(response) = goes_wrong(what, &answer.completion).await
    {
        return response;
    }
    says(200, &answer.completion)
}

/// What vendors say of their limits in each answer.
fn say_what_is_left(room: &Room, headers: &mut HeaderMap) {
    let names = ["requests", "tokens", "output-tokens"];
    for (name, left) in names.into_iter().zip(room.left) {
        let Some(left) = left else { continue };
        let name = match name {
            "requests" => "x-ratelimit-remaining-requests",
            "tokens" => "x-ratelimit-remaining-tokens",
            _ => "x-ratelimit-remaining-output-tokens",
        };
        headers.insert(name, HeaderValue::from(left));
    }
    if !room.wait.is_zero() {
        // Whole seconds, as the standard has it; nobody comes too early.
        let wait = room.wait.as_secs_f64().ceil() as u64;
        headers.insert("retry-after", HeaderValue::from(wait));
    }
}

impl Latency {
    /// How long the next answer takes.
    fn draw(&self) -> Option<Duration> {
        if self.median_ms <= 0.0 {
            return None;
        }
        let [a, b]: [f64; 2] = [(); 2].map(|()| rand::rng().random_range(f64::EPSILON..1.0));
        // Box and Muller.
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        let seconds = self.median_ms / 1000.0 * (self.sigma * normal).exp();
        Some(Duration::from_secs_f64(seconds.min(600.0)))
    }
}
