//! `sojourn plan` against what workers then do, and for populations that nobody has.

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

fn for_users(more: &[&str]) -> Output {
    let mut plan = command("sojourn");
    plan.arg("plan").args(more);
    plan.output().unwrap()
}

/// A plan for users, by what is assumed.
fn capacity(more: &[&str]) -> Value {
    let output = for_users(&[more, &["--json"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    support::json(&output)
}

#[test]
fn a_plan_for_users_needs_no_dataset_and_shows_what_it_assumes() {
    let output = for_users(&["--users", "300000000", "--assume", "hours=2,replicas=2"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "  hours                       2  hours that finding everybody's journeys may take (given)",
        "  replicas                    2  replicas of each shard (given)",
        "  busy                      0.7  share of its time that a core is planned to be busy (assumed)",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{text}");
    }
    let plan = |hours| capacity(&["--users", "300000000", "--assume", hours]);
    let (fast, slow) = (plan("hours=1"), plan("hours=4"));
    let cores = |plan: &Value| plan["extraction"]["cores"].as_u64().unwrap();
    assert!(cores(&fast) > 3 * cores(&slow), "{fast} {slow}");
    assert_eq!(
        fast["redis"]["shards_by_memory"],
        slow["redis"]["shards_by_memory"]
    );
    assert_eq!(fast["assumptions"]["hours"]["source"], "given");
    let outlooks =
        ["outlook", "outlook_unshared"].map(|name| fast["naming"][name]["calls"].as_u64());
    assert!(outlooks[0] < outlooks[1], "{fast}");
    let alone = capacity(&["--users", "300000000", "--cache-days", "0"]);
    assert_eq!(alone["naming"]["outlook"]["calls"].as_u64(), outlooks[1]);
    assert!(alone["naming"]["outlook_unshared"].is_null(), "{alone}");
}

#[test]
fn a_plan_for_users_takes_them_to_be_like_those_of_a_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    let of_all = counts(&dataset, &[]);
    let of_many = counts(
        &dataset,
        &["--users", "4000", "--assume", "catalogue_items=7"],
    );
    let outlook = &of_many["naming"]["outlook"];
    for count in ["journeys", "shared", "calls", "tokens_in", "tokens_out"] {
        let (one, many) = (of_all[count].as_u64(), outlook[count].as_u64());
        assert_eq!(one.map(|count| count * 100), many, "{count}");
    }
    let assumed = |name: &str| {
        let figure = &of_many["assumptions"][name];
        (
            figure["value"].as_f64().unwrap(),
            figure["source"].as_str().unwrap(),
        )
    };
    assert_eq!(assumed("journeys_per_user"), (2.0, "of the dataset"));
    assert_eq!(assumed("shared_names"), (78.0 / 80.0, "of the dataset"));
    assert_eq!(assumed("catalogue_items"), (7.0, "given"));
    assert_eq!(assumed("hours"), (1.0, "assumed"));
}

#[test]
fn what_is_played_through_comes_out_the_same_each_time() {
    let played = || capacity(&["--users", "1", "--simulate", "32x8"])["simulation"].clone();
    let simulation = played();
    assert_eq!(simulation, played());
    let cases = simulation.as_array().unwrap();
    let rate = |case: &Value| case["outcome"]["users_per_second"].as_f64().unwrap();
    let bound = |case: &Value, by: &str| case["bounds"][by].as_f64().unwrap();
    for case in cases {
        let least = ["workers", "redis", "waiting"].map(|by| bound(case, by));
        let least = least.into_iter().fold(f64::INFINITY, f64::min);
        assert!(rate(case) < 1.05 * least, "{case}");
    }
    // The first have few workers, and the seventh so many that Redis decides.
    assert!(
        rate(&cases[0]) > 0.95 * bound(&cases[0], "workers"),
        "{}",
        cases[0]
    );
    assert!(
        rate(&cases[6]) > 0.93 * bound(&cases[6], "redis"),
        "{}",
        cases[6]
    );
}

#[test]
fn a_plan_of_nothing_is_refused_with_what_is_missing() {
    for (more, said_of_it) in [
        (&[][..], "--users N"),
        (&["data/none"], "--model is missing"),
        (
            &["data/none", "--model", MODEL, "--assume", "hours=2"],
            "are for a plan with --users",
        ),
        (
            &["--users", "1", "--assume", "days=2"],
            "no assumption is called",
        ),
        (
            &["--users", "1", "--assume", "busy=7"],
            "busy must be a number",
        ),
        (&["--users", "1", "--simulate", "many"], "WORKERSxSHARDS"),
        (&["--users", "1", "--price-input", "1"], "--price-output"),
    ] {
        let output = for_users(more);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", said(&output));
        assert!(stderr.contains(said_of_it), "{more:?}: {stderr}");
    }
}
