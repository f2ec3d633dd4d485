//! The real programs with `--lane batch`.

use std::process::Stdio;

use serde_json::json;
use sojourn::naming::Money;

use crate::faulty::{Faulty, distinct_dataset};
use crate::support::{self, Running, Server, command, said, wait_for_async};
use crate::{assert_paid_once, batches};

const USERS: u64 = 40;

fn name(endpoint: &Faulty, server: &Server) -> Running {
    let arguments = format!(
        "name --lane batch --endpoint {} --model fake --batch-gather 0.5 --batch-poll 0.2 --lease 5 \
         --price-input 2 --price-output 2",
        endpoint.url()
    );
    let arguments: Vec<&str> = arguments.split(' ').collect();
    Running::start("sojourn-worker", &arguments, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_named_by_batches_whose_workers_are_killed_and_stopped_meanwhile() {
    let endpoint = Faulty::start(&json!({"batches": {"seconds": 3600}}));
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = distinct_dataset(folder.path(), USERS, 10);
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
    ];
    let run = command("sojourn")
        .args(["backfill", &dataset, "--watch", "--json"])
        .env("SOJOURN_REDIS", server.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let logged = async |text: &str| {
        wait_for_async(text, async || {
            let logs = std::fs::read_dir(server.folder.path()).unwrap();
            let logs = logs.map(|log| log.unwrap().path());
            let mut logs = logs.filter(|path| path.extension().is_some_and(|e| e == "log"));
            let says = |log| std::fs::read_to_string(log).unwrap().contains(text);
            logs.any(says).then_some(())
        })
        .await;
    };
    let mut killed = name(&endpoint, &server);
    logged("sent a batch").await;
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    // Its jobs come to the second after the lease time, and wait for the same batch.
    let mut stopped = name(&endpoint, &server);
    logged("questions are in a batch already").await;
    assert!(stopped.terminate().success());
    endpoint.behave(&json!({})).await;
    let _last = name(&endpoint, &server);
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let run = support::json(&output);
    let count = |name: &str| run["counts"][name].as_u64().unwrap_or(0);
    let counts = (
        count("named"),
        count("names_fallback"),
        count("naming_dead"),
    );
    assert_eq!(counts, (2 * USERS, 0, 0), "{run}");
    let report = endpoint.report().await;
    assert_paid_once(&report, 2 * USERS);
    let billed = |kind: &str| report["billed"][kind].as_u64().unwrap();
    assert_eq!(run["ledger"]["calls"], report["answered"], "{run}");
    // Half of two for a million tokens, in billionths.
    let money = (billed("input_tokens") + billed("output_tokens")) * 1_000;
    let money = Money::from_nanos(money).to_string();
    assert_eq!(run["ledger"]["money"], money, "{run} {report}");
    for batch in batches(&report) {
        assert_eq!(batch["status"], "completed", "{report}");
    }
}

#[test]
fn batches_need_a_model() {
    let mut program = command("sojourn-worker");
    program.args(["name", "--lane", "batch", "--redis", "redis://127.0.0.1:1"]);
    let output = program.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("--lane batch needs"),
        "{}",
        said(&output)
    );
}
