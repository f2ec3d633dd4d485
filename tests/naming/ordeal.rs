//! Everything that goes wrong with an endpoint, at once and in storms, while workers are killed.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::faulty::{Faulty, distinct_dataset};
use crate::figures::{Figures, is_long};
use crate::support::{self, Running, Server, command, said};
use crate::workforce::{Workforce, names_by_source};

/// Journeys in one call, at most.
const PER_CALL: u64 = 4;

/// Calls that a worker has under way, at most.
const CALLS: usize = 4;

/// As often a worker is killed.
const KILL_EVERY: Duration = Duration::from_secs(2);

/// How long anything may take here: storms put jobs off for half a minute each.
fn patience() -> Duration {
    10 * support::PATIENCE
}

fn users() -> u64 {
    if is_long() { 5_000 } else { 300 }
}

/// What the provider takes in a minute: of it, there is enough.
fn limit() -> u64 {
    if is_long() { 6_000 } else { 1_200 }
}

fn behaviour(faults: &[Value]) -> Value {
    json!({
        "latency": {"median_ms": 100, "sigma": 0.8},
        "limits": {"requests": limit()},
        "faults": faults,
    })
}

/// Everything that is over with the question, each of it rarely.
fn now_and_then() -> Vec<Value> {
    let status = |status: u16| json!({"status": {"status": status}});
    let faults = [
        json!({"status": {"status": 429, "retry_after": 0.2}}),
        status(429),
        status(500),
        status(503),
        json!("cut"),
        json!("html"),
        json!("garbled"),
        json!("truncated"),
        json!("withheld"),
        json!("filter"),
        json!("overflow"),
        json!("swapped"),
        json!("missing"),
        json!("doubled"),
        json!("extra"),
        json!("refusal"),
        json!({"obeys": {"name": "HACKED"}}),
    ];
    faults
        .map(|what| json!({"what": what, "share": 0.02}))
        .into()
}

/// What strikes most questions for a while, and how many of them.
fn storms() -> [(&'static str, Value, u64); 4] {
    let status = |status: u16| json!({"status": {"status": status}});
    let asked_to_wait = json!({"status": {"status": 429, "retry_after": 1.0}});
    [
        ("429 with Retry-After", asked_to_wait, 20),
        ("429 without", status(429), 20),
        ("5xx", status(502), 20),
        ("hanging", json!("hang"), 8),
    ]
}

fn backfill(dataset: &str, server: &Server) -> Child {
    command("sojourn")
        .args(["backfill", dataset, "--watch", "--json"])
        .env("SOJOURN_REDIS", server.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills workers until the books say what is waited for.
async fn kill_until(
    workers: &mut Workforce<'_>,
    endpoint: &Faulty,
    chance: &mut StdRng,
    wanted: impl Fn(&Value) -> bool,
) {
    let deadline = Instant::now() + patience();
    let mut next = Instant::now() + KILL_EVERY;
    loop {
        let report = endpoint.report().await;
        if wanted(&report) {
            return;
        }
        assert!(Instant::now() < deadline, "waited too long: {report}");
        if Instant::now() >= next {
            workers.replace_one(chance);
            next += KILL_EVERY;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn named(report: &Value) -> u64 {
    report["journeys"]["named"].as_u64().unwrap()
}

fn faults(report: &Value) -> u64 {
    let faults = report["faults"].as_object().unwrap().values();
    faults.filter_map(Value::as_u64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_journey_is_lost_and_none_paid_twice_but_for_calls_of_killed_workers() {
    let seed = rand::random();
    let mut chance = StdRng::seed_from_u64(seed);
    let endpoint = Faulty::start(&behaviour(&now_and_then()));
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = distinct_dataset(folder.path(), users(), 10);
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
    ];
    let arguments = format!(
        "--endpoint {} --model fake --requests-per-minute {} --lease 10 --journeys-per-call {PER_CALL}",
        endpoint.url(),
        limit(),
    );
    let mut workers = Workforce::start(&server, CALLS, &arguments);
    let run = backfill(&dataset, &server);

    let storms = storms();
    let parts = storms.len() as u64 + 2;
    for (number, (_, what, strikes)) in storms.iter().enumerate() {
        let share = 2 * users() * (number as u64 + 1) / parts;
        kill_until(&mut workers, &endpoint, &mut chance, |report| {
            named(report) >= share
        })
        .await;
        let storm = json!({"what": what, "share": 0.9});
        endpoint.behave(&behaviour(&[storm])).await;
        let before = faults(&endpoint.report().await);
        kill_until(&mut workers, &endpoint, &mut chance, |report| {
            faults(report) >= before + strikes
        })
        .await;
        endpoint.behave(&behaviour(&now_and_then())).await;
    }
    // Whatever hangs goes on hanging: nobody waits for two minutes here, but all are killed.
    workers.replace_all();
    let most = 2 * users() * 9 / 10;
    kill_until(&mut workers, &endpoint, &mut chance, |report| {
        named(report) >= most
    })
    .await;

    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let run = support::json(&output);
    let report = endpoint.report().await;
    let repeats = workers.judge(&report);
    let names = names_by_source(&server, users()).await;
    Figures::of("naming ordeal")
        .add("seed", seed)
        .add("workers killed", workers.killed())
        .add("calls", &report["requests"])
        .add("faults", &report["faults"])
        .add("over the limit", &report["over_limit"])
        .add("calls that nobody waited for", &report["abandoned"])
        .add("calls paid for again", repeats.calls)
        .add("journeys paid for again", repeats.journeys)
        .add("names", format!("{names:?}"))
        .show();

    let count = |name: &str| run["counts"][name].as_u64().unwrap_or(0);
    let counts = (count("named"), count("naming_dead"));
    assert_eq!(counts, (2 * users(), 0), "{run}");
    let (by_model, by_terms) = (names.get("llm"), names.get("fallback"));
    let sum = by_model.unwrap_or(&0) + by_terms.unwrap_or(&0);
    assert_eq!(sum, 2 * users(), "{names:?}");
    assert_eq!(report["over_limit"], 0, "{report}");
}
