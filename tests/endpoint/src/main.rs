//! `faulty-endpoint`: a model endpoint of the OpenAI form for tests and benchmarks. It misbehaves as
//! real ones do when it is told to, holds its own limits, and keeps the books: what was asked in any
//! minute, what was paid for, and which journey how often.
//!
//! - `POST /v1/chat/completions`, `/v1/files`, `/v1/batches`: as vendors have them
//! - `PUT /behave`: how to behave from now on, as JSON
//! - `GET /report`: the books
//!
//! The first line of its output is what to give to `--endpoint`.

mod batches;
mod behaviour;
mod books;
mod chat;
mod model;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::Bytes;
use clap::Parser;
use futures::stream;
use serde_json::{Value, json};

use behaviour::{Behaviour, What};
use state::State;

/// A model endpoint that misbehaves as it is told, and keeps the books.
#[derive(Parser)]
struct Cli {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How to behave, as JSON
    #[arg(long, default_value = "{}")]
    behave: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cli = Cli::parse();
    let state = Arc::new(State::default());
    state.behave(serde_json::from_str(&cli.behave)?);
    let router = Router::new()
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/files", post(batches::upload))
        .route("/v1/files/{id}", axum::routing::delete(batches::delete))
        .route("/v1/files/{id}/content", get(batches::content))
        .route("/v1/batches", post(batches::create).get(batches::list))
        .route("/v1/batches/{id}", get(batches::show))
        .route("/v1/batches/{id}/cancel", post(batches::cancel))
        .route("/behave", put(behave))
        .route("/report", get(report))
        .layer(DefaultBodyLimit::max(1 << 30))
        .with_state(state.clone());
    let listener = tokio::net::TcpListener::bind(cli.listen).await?;
    println!("http://{}/v1", listener.local_addr()?);
    let listener = listener.tap_io(|connection| {
        // Without it answers are late, and nothing else.
        let _ = connection.set_nodelay(true);
    });
    tokio::spawn(watch(state.clone()));
    axum::serve(listener, router).await?;
    Ok(())
}

/// Notes for how long at most the machine had no time for this process: requests that arrived
/// meanwhile are counted late, and all at once.
async fn watch(state: Arc<State>) {
    const LOOK: Duration = Duration::from_millis(20);
    loop {
        let before = Instant::now();
        tokio::time::sleep(LOOK).await;
        state.books().stall(before.elapsed().saturating_sub(LOOK));
    }
}

async fn behave(Shared(state): Shared<Arc<State>>, Json(behaviour): Json<Behaviour>) {
    state.behave(behaviour);
}

async fn report(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let mut report = state.books().report();
    report["batches"] = state.batches().report();
    Json(report)
}

/// An answer in JSON.
fn says(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response
}

/// An error as vendors say it.
fn fails(status: u16, code: &str, message: &str) -> Response<Body> {
    says(
        status,
        &json!({"error": {"code": code, "message": message}}),
    )
}

/// What a request gets that goes wrong so; `done` is what it would have got. Nothing: it goes wrong
/// in another way.
async fn goes_wrong(what: &What, done: &Value) -> Option<Response<Body>> {
    Some(match what {
        What::Status {
            status,
            body,
            retry_after,
        } => {
            let mut response = Response::new(Body::from(body.clone()));
            *response.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
            if let Some(wait) = retry_after.and_then(|wait| wait.to_string().parse().ok()) {
                response.headers_mut().insert("retry-after", wait);
            }
            response
        }
        What::Quota => fails(429, "insufficient_quota", "You exceeded your quota"),
        What::Filter => fails(400, "content_filter", "The prompt was filtered"),
        What::Overflow => fails(400, "context_length_exceeded", "The prompt is too long"),
        What::Hang => std::future::pending().await,
        What::Cut => {
            let text = done.to_string();
            let half = Bytes::from(text[..text.floor_char_boundary(text.len() / 2)].to_owned());
            let cut = Err(std::io::Error::other("cut"));
            Response::new(Body::from_stream(stream::iter([Ok(half), cut])))
        }
        What::Html => Response::new(Body::from("<html>a proxy</html>")),
        _ => return None,
    })
}
