//! Names by a language model, against an endpoint that misbehaves as real ones do.

mod answers;
mod budget;
mod endpoint;
mod fallback;
mod injections;
mod jobs;
mod limits;
mod moderation;
mod ordeal;
mod plan;
mod programs;
mod prompt;
mod quality;
mod sharing;
mod tuning;

#[path = "../support/faulty.rs"]
mod faulty;
#[path = "../support/figures.rs"]
mod figures;
#[path = "../support/journeys.rs"]
mod journeys;
#[path = "../support/llm.rs"]
mod llm;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/workforce.rs"]
mod workforce;

use std::num::NonZeroU32;
use std::time::Duration;

use journeys::user;
use llm::{Endpoint, Question, Turn, answers};
use sojourn::journey::{Journey, NameSource};
use sojourn::naming::{
    Account, LlmError, LlmNamer, LlmOptions, Name, Namer, NamingCounts, Patience, Unnamed,
};
use sojourn::run::RunId;

const KEY: &str = "sk-do-not-print-me";

fn options(endpoint: &Endpoint) -> LlmOptions {
    LlmOptions {
        endpoint: endpoint.url(),
        model: "fake".into(),
        api_key: Some(KEY.into()),
        journeys_per_call: 8,
        requests_per_minute: NonZeroU32::new(60_000).unwrap(),
        fallback: None,
    }
}

fn patience(call: Duration) -> Patience {
    Patience {
        call,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_secs(5),
    }
}

fn llm_namer(options: LlmOptions, call: Duration) -> LlmNamer {
    sojourn::settings::install_tls();
    LlmNamer::new(options)
        .unwrap()
        .with_patience(patience(call))
}

fn namer_with(options: LlmOptions, call: Duration) -> Namer {
    Namer::Llm(Box::new(llm_namer(options, call)))
}

fn namer(endpoint: &Endpoint) -> Namer {
    namer_with(options(endpoint), support::PATIENCE)
}

async fn name(
    namer: &Namer,
    users: &[Vec<Journey>],
) -> Result<(Vec<Vec<Name>>, NamingCounts), LlmError> {
    let unnamed: Vec<Unnamed<'_>> = users
        .iter()
        .map(|journeys| Unnamed {
            user: "ann",
            journeys: journeys.iter().collect(),
            taken: vec![],
        })
        .collect();
    namer.name(&unnamed, &account()).await
}

fn account() -> Account {
    let run = RunId::parse("1763947200000-0").unwrap();
    Account { run }
}

/// Names and sources of one user.
async fn named(endpoint: &Endpoint, journeys: Vec<Journey>) -> Vec<(String, NameSource)> {
    named_by(&namer(endpoint), journeys).await
}

async fn named_by(namer: &Namer, journeys: Vec<Journey>) -> Vec<(String, NameSource)> {
    let (names, _) = name(namer, &[journeys]).await.unwrap();
    let names = names.into_iter().flatten();
    names.map(|name| (name.name, name.source)).collect()
}

fn good(terms: &[&str]) -> Vec<(String, NameSource)> {
    terms
        .iter()
        .map(|term| (format!("{term} for Beginners"), NameSource::Llm))
        .collect()
}

/// Two journeys that one name would fit.
const UKULELES: [&str; 2] = ["Ukulele chords", "Ukulele songs"];

/// One name for all journeys of a question.
fn all(question: &Question, name: &str) -> Vec<(String, String)> {
    let same = |asked: &llm::Asked| (asked.id.clone(), name.to_owned());
    question.asked.iter().map(same).collect()
}

/// A script that does something else with the first question.
fn at_first(
    turn: impl Fn(&Question) -> Turn + Send + Sync + 'static,
) -> impl Fn(&Question) -> Turn + Send + Sync + 'static {
    move |question| match question.number {
        0 => turn(question),
        _ => answers(question),
    }
}
