//! The real programs with `--lane batch`.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::faulty::Faulty;
use crate::support::{self, Running, Server, command, ingest, said, wait_for_async};
use crate::{assert_paid_once, batches};

const USERS: u64 = 40;

/// Users with two journeys each, of which no two are alike.
fn dataset(folder: &Path) -> String {
    let mut items = String::from("item_id,title,description\n");
    let mut interactions = String::from("user_id,item_id,timestamp,weight\n");
    for user in 0..USERS {
        for n in 0..6 {
            items.push_str(&format!(
                "uke{user}-{n},Ukulele fingerstyle lesson {user} part {n},Fingerpicking chords\n\
                 hyd{user}-{n},Hydroponic lettuce tower {user} part {n},Nutrient solution pump\n"
            ));
            let time = 1_760_000_000 + n * 86_400 + user;
            interactions.push_str(&format!("u{user},uke{user}-{n},{time},1\n"));
            interactions.push_str(&format!("u{user},hyd{user}-{n},{},1\n", time + 40));
        }
    }
    std::fs::write(folder.join("items.csv"), items).unwrap();
    std::fs::write(folder.join("interactions.csv"), interactions).unwrap();
    let out = folder.join("dataset");
    let output = ingest(folder, &out, &["--users-per-shard", "10"]);
    assert!(output.status.success(), "{}", said(&output));
    out.display().to_string()
}

fn name(endpoint: &Faulty, server: &Server) -> Running {
    let url = endpoint.url();
    let arguments = [
        "name",
        "--lane",
        "batch",
        "--endpoint",
        &url,
        "--model",
        "fake",
    ];
    let times = [
        "--batch-gather",
        "0.5",
        "--batch-poll",
        "0.2",
        "--lease",
        "5",
    ];
    Running::start("sojourn-worker", &[&arguments[..], &times].concat(), server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_named_by_batches_whose_workers_are_killed_and_stopped_meanwhile() {
    let endpoint = Faulty::start(&json!({"batches": {"seconds": 3600}}));
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
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
    let sent = async |batches: usize| {
        wait_for_async("a batch", async || {
            let report = endpoint.report().await;
            (crate::batches(&report).len() >= batches).then_some(())
        })
        .await;
    };
    let mut killed = name(&endpoint, &server);
    sent(1).await;
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    // Its jobs come to the second after the lease time, and wait for the same batch.
    let mut stopped = name(&endpoint, &server);
    let followed = wait_for_async("the second worker", async || {
        let logs = std::fs::read_dir(server.folder.path()).unwrap();
        let logs = logs.map(|log| log.unwrap().path());
        let mut logs = logs.filter(|path| path.extension().is_some_and(|e| e == "log"));
        let says = |log| {
            let log = std::fs::read_to_string(log).unwrap();
            log.contains("questions are in a batch already")
        };
        logs.any(says).then_some(())
    });
    followed.await;
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
