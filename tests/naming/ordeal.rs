//! Everything that goes wrong with an endpoint at once, while workers are killed.

use std::process::{Child, Stdio};

use serde_json::json;

use crate::faulty::{Faulty, distinct_dataset};
use crate::support::{self, Running, Server, command, said, wait_for_async};

const USERS: u64 = 150;

/// What the provider takes in a minute.
const LIMIT: u64 = 600;

/// Journeys in one call, at most.
const PER_CALL: u64 = 8;

/// Calls that a worker has under way, at most.
const CALLS: u64 = 4;

fn worker(endpoint: &Faulty, server: &Server) -> Running {
    let arguments = format!(
        "name --endpoint {} --model fake --requests-per-minute {LIMIT} --lease 3 --concurrency \
         {CALLS} --journeys-per-call {PER_CALL}",
        endpoint.url()
    );
    let arguments: Vec<&str> = arguments.split(' ').collect();
    Running::start("sojourn-worker", &arguments, server)
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

#[tokio::test(flavor = "multi_thread")]
async fn no_journey_is_lost_and_none_paid_twice_but_for_calls_of_killed_workers() {
    let share = |what: serde_json::Value| json!({"what": what, "share": 0.02});
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
    let endpoint = Faulty::start(&json!({
        "latency": {"median_ms": 100, "sigma": 0.8},
        "limits": {"requests": LIMIT},
        "faults": faults.map(share),
    }));
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = distinct_dataset(folder.path(), USERS);
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
    ];
    let _workers = [(); 3].map(|()| worker(&endpoint, &server));
    let mut killed = worker(&endpoint, &server);
    let run = backfill(&dataset, &server);
    wait_for_async("some names", async || {
        let report = endpoint.report().await;
        (report["journeys"]["named"].as_u64()? > USERS / 3).then_some(())
    })
    .await;
    killed.0.kill().unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let run = support::json(&output);
    let count = |name: &str| run["counts"][name].as_u64().unwrap_or(0);
    let counts = (count("named"), count("naming_dead"));
    assert_eq!(counts, (2 * USERS, 0), "{run}");
    let report = endpoint.report().await;
    assert_eq!(report["over_limit"], 0, "{report}");
    let again = report["journeys"]["named_again"].as_u64().unwrap();
    assert!(again <= CALLS * PER_CALL, "{report}");
}
