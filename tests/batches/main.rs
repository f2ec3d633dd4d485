//! Names by the provider's batches: a real endpoint process, a real Redis.

mod crashes;
mod doubts;
mod money;
mod outcomes;
mod programs;

#[path = "../support/faulty.rs"]
mod faulty;
#[path = "../support/journeys.rs"]
mod journeys;
#[path = "../support/mod.rs"]
mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use faulty::Faulty;
use journeys::user;
use serde_json::Value;
use sojourn::connection::Redis;
use sojourn::journey::NameSource;
use sojourn::naming::{Account, BatchOptions, LlmError, LlmNamer, LlmOptions, Namer, Unnamed};
use sojourn::run::RunId;

/// Short, since nobody takes a day here; the lease is long enough for a busy machine to make a batch
/// of a few questions, where a test does not say otherwise.
const TIMES: BatchOptions = BatchOptions {
    gather: Duration::from_millis(100),
    poll: Duration::from_millis(50),
    lease: Duration::from_secs(60),
    settling: Duration::from_millis(100),
};

fn namer(endpoint: &Faulty, redis: &Redis, times: BatchOptions) -> Namer {
    let options = LlmOptions {
        endpoint: endpoint.url(),
        model: "fake".into(),
        api_key: None,
        journeys_per_call: 8,
        requests_per_minute: NonZeroU32::new(60_000).unwrap(),
        fallback: None,
    };
    Namer::Llm(Box::new(
        LlmNamer::by_batches(options, redis, times).unwrap(),
    ))
}

/// Names of one user with their sources.
async fn name(namer: &Namer, terms: &[&str]) -> Result<Vec<(String, NameSource)>, LlmError> {
    let journeys = user(terms);
    let unnamed = Unnamed {
        user: "ann",
        journeys: journeys.iter().collect(),
        taken: vec![],
    };
    let (names, _) = namer.name(&[unnamed], &account()).await?;
    let names = names.into_iter().flatten();
    Ok(names.map(|name| (name.name, name.source)).collect())
}

fn account() -> Account {
    let run = RunId::parse("1763947200000-0").unwrap();
    Account { run }
}

/// The model names them, as it names everything.
async fn assert_named(namer: &Namer, terms: &[&str]) {
    assert_eq!(name(namer, terms).await.unwrap(), good(terms));
}

fn good(terms: &[&str]) -> Vec<(String, NameSource)> {
    terms
        .iter()
        .map(|term| (format!("{term} for Beginners"), NameSource::Llm))
        .collect()
}

/// The batches of a report.
fn batches(report: &Value) -> &[Value] {
    report["batches"]["batches"].as_array().unwrap()
}

/// Each of so many journeys was named once, by batches, and none by a call.
fn assert_paid_once(report: &Value, journeys: u64) {
    assert_eq!(report["journeys"]["named"], journeys, "{report}");
    assert_eq!(report["journeys"]["named_again"], 0, "{report}");
    assert_eq!(report["requests"], 0, "{report}");
}
