//! `sojourn plan` against what workers then do.

use std::process::Output;

use serde_json::Value;
use sojourn::naming::TokenCounter;

use crate::llm::{Endpoint, Question, answers};
use crate::programs::{backfill, naming_program};
use crate::support::{self, Running, Server, command, said, small_dataset};

/// Users of the dataset, all with the same two journeys, five in a shard.
const USERS: usize = 40;

/// The model that the workers of tests ask.
const MODEL: &str = "fake";

/// Several journeys in a call, so that what is packed together counts.
const PACKED: [&str; 2] = ["--journeys-per-call", "8"];

fn plan(dataset: &str, model: &str, more: &[&str]) -> Output {
    command("sojourn")
        .args(["plan", dataset, "--model", model])
        .args(PACKED)
        .args(more)
        .output()
        .unwrap()
}

/// The counts of a plan.
fn counts(dataset: &str, more: &[&str]) -> Value {
    let output = plan(dataset, MODEL, &[more, &["--json"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    support::json(&output)
}

fn dataset(folder: &tempfile::TempDir) -> String {
    small_dataset(folder.path(), USERS, 5).display().to_string()
}

/// Tokens of a question as it arrived, as the vendor's guide says: four around each message, three to
/// begin the answer, and the schema.
fn tokens(question: &Question) -> u64 {
    let counter = TokenCounter::of(MODEL);
    let messages = question.body["messages"].as_array().unwrap().iter();
    let contents = messages.map(|message| message["content"].as_str().unwrap());
    let schema = question.body["response_format"].to_string();
    contents.map(|text| 4 + counter.count(text)).sum::<u64>() + 3 + counter.count(&schema)
}

#[test]
fn a_plan_says_how_often_workers_then_ask_and_with_how_many_tokens() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    let plan = counts(&dataset, &["--cache-days", "0"]);
    assert_eq!(
        (&plan["journeys"], &plan["shared"]),
        (&80.into(), &0.into())
    );
    let mut name = naming_program(&endpoint, &server);
    name.args(["--cache-days", "0"]).args(PACKED);
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
        Running(name.spawn().unwrap()),
    ];
    let output = backfill(&dataset, &server).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let asked = endpoint.questions();
    assert_eq!(plan["calls"], asked.len());
    let sent: u64 = asked.iter().map(tokens).sum();
    assert_eq!(plan["tokens_in"], sent);
    // What is there has a name, whatever may be shared.
    let url = ["--redis", &server.url()];
    let plan = counts(&dataset, &[&url[..], &["--cache-days", "0"]].concat());
    assert_eq!((&plan["journeys"], &plan["calls"]), (&0.into(), &0.into()));
}

#[test]
fn a_plan_leaves_out_what_is_shared_and_leaves_no_trace() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    let shared = |more: &[&str]| {
        let plan = counts(&dataset, more);
        ["journeys", "shared", "calls"].map(|count| plan[count].as_u64().unwrap())
    };
    // Five users are in each of eight jobs; the first has enough of them, or the second.
    assert_eq!(shared(&[]), [80, 78, 1]);
    assert_eq!(shared(&["--share-after", "5"]), [80, 78, 1]);
    assert_eq!(shared(&["--share-after", "6"]), [80, 68, 3]);
    let url = ["--redis", &server.url()];
    let size = || -> u64 {
        let sizes = server.nodes.iter().map(|node| node.ask::<u64>("DBSIZE"));
        sizes.map(Result::unwrap).sum()
    };
    let before = size();
    assert_eq!(shared(&url), [80, 78, 1]);
    assert_eq!(size(), before);
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
        Running(naming_program(&endpoint, &server).spawn().unwrap()),
    ];
    let output = backfill(&dataset, &server).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for node in &server.nodes {
        let results: Vec<String> = node.ask("KEYS *:journeys").unwrap();
        for key in results {
            let _: i64 = node.ask(&format!("DEL {key}")).unwrap();
        }
    }
    assert_eq!(shared(&url), [80, 80, 0]);
    // Nobody has moderated those names.
    let moderated = [&url[..], &["--moderated"]].concat();
    assert_eq!(shared(&moderated), [80, 78, 1]);
}

#[test]
fn what_was_not_looked_at_is_taken_to_be_like_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    let all = counts(&dataset, &["--cache-days", "0"]);
    let some = counts(&dataset, &["--cache-days", "0", "--shards", "2"]);
    assert_eq!(
        (&some["sampled_shards"], &all["sampled_shards"]),
        (&2.into(), &8.into())
    );
    for count in ["journeys", "calls", "tokens_same"] {
        assert_eq!(some[count], all[count], "{count}");
    }
}

#[test]
fn a_plan_says_what_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    let text = |model: &str, more: &[&str]| {
        let output = plan(&dataset, model, more);
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = text("gpt-4o-mini", &[]);
    assert!(plain.contains("as gpt-4o-mini does"), "{plain}");
    assert!(plain.contains("unknown without --price-input"), "{plain}");
    let prices = ["--price-input", "0.15", "--price-output", "0.60"];
    let other = text("qwen2.5-7b", &prices);
    assert!(other.contains("an ESTIMATE"), "{other}");
    assert!(other.contains("  money      0.00"), "{other}");
    let output = plan(&dataset, MODEL, &prices[..2]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}
