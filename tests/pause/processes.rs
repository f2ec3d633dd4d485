//! Runs and lanes that are paused by the command line, while real processes work.

use std::process::Stdio;

use redis::AsyncCommands;
use serde_json::Value;
use sojourn::queue::{Kind, Lane, Queues};
use sojourn::run::RunId;
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::register::Register;

use crate::support::{
    Running, Server, command, json, said, small_dataset, wait_for, wait_for_async,
};

/// `sojourn` on a server, to its end.
fn sojourn(server: &Server, arguments: &[&str]) -> std::process::Output {
    command("sojourn")
        .args(arguments)
        .env("SOJOURN_REDIS", server.url())
        .output()
        .expect("sojourn runs")
}

/// The same with JSON output; it must end well.
fn ask(server: &Server, arguments: &[&str]) -> Value {
    let output = sojourn(server, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    json(&output)
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

fn backfill(server: &Server, dataset: &str) -> String {
    let run = &ask(server, &["backfill", dataset])["run"];
    run.as_str().expect("an id").to_owned()
}

/// How a run stands, once the register knows it.
fn status(server: &Server, run: &str) -> Option<Value> {
    let output = sojourn(server, &["run", run, "--json"]);
    (!output.stdout.is_empty()).then(|| json(&output))
}

fn wait_for_state(server: &Server, run: &str, state: &str) {
    wait_for(state, || {
        (status(server, run)?["state"] == state).then_some(())
    });
}

/// More jobs than are done between two looks at them.
const MANY: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_paused_in_the_middle_stands_still_and_then_goes_on_to_its_end() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), MANY, 1));
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let _extract = Running::start("sojourn-worker", &["extract"], &server);
    let _name = Running::start("sojourn-worker", &["name"], &server);
    let run = backfill(&server, &dataset);
    wait_for("some jobs", || {
        (status(&server, &run)?["counts"]["done"].as_u64() >= Some(50)).then_some(())
    });
    let paused = ask(&server, &["pause", &run]);
    assert_eq!(
        (&paused["paused"], &paused["state"]),
        (&true.into(), &"paused".into())
    );
    let log = folder.path().join("watch.log");
    let watching = command("sojourn")
        .args(["run", &run, "--watch", "--json"])
        .env("SOJOURN_REDIS", server.url())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let says = |what: &str| std::fs::read_to_string(&log).unwrap().contains(what);
    wait_for("whoever watches to be told", || {
        says("paused").then_some(())
    });

    // What workers hold is finished; then nothing of the run is anywhere that they look at.
    let redis = server.connect().await;
    wait_for_async("empty lanes", async || {
        let mut depth = 0;
        for kind in [Kind::Extract, Kind::Name] {
            for partition in 0..4 {
                let lane = redis.keys().partition(kind, partition).lane(Lane::Low);
                let of_lane: u64 = redis.commands().xlen(lane).await.unwrap();
                depth += of_lane;
            }
        }
        (depth == 0).then_some(())
    })
    .await;
    let before = status(&server, &run).unwrap();
    assert!(
        before["counts"]["done"].as_u64() < Some(MANY as u64),
        "{before}"
    );
    // Another run goes on; when it is done, the scheduler has looked at both many times.
    let users = folder.path().join("users.txt");
    std::fs::write(&users, "u5\n").unwrap();
    let recompute = ["recompute", &dataset, "--users", &text(&users), "--watch"];
    assert_eq!(ask(&server, &recompute)["state"], "done");
    let after = status(&server, &run).unwrap();
    assert_eq!(
        after["counts"], before["counts"],
        "the paused one stands still"
    );

    assert_eq!(ask(&server, &["resume", &run])["state"], "running");
    let watched = watching.wait_with_output().unwrap();
    assert!(watched.status.success(), "{}", said(&watched));
    assert!(says("goes on"));
    let watched = json(&watched);
    let count = |name: &str| watched["counts"][name].as_u64().unwrap_or(0) as usize;
    // The user of the recompute has newer results.
    assert_eq!(count("users") + count("users_newer"), MANY, "{watched}");
    assert_eq!(count("done"), MANY, "{watched}");
    assert_eq!(
        count("named") + count("names_outdated"),
        count("journeys_to_name")
    );
    assert_eq!(
        ask(&server, &["pause", &run])["paused"],
        false,
        "it is over"
    );
    let left: Vec<String> = redis.commands().keys("*parked").await.unwrap();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_run_that_cannot_be_planned_yet_is_paused_and_waits_on_when_it_is_resumed() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("items.csv");
    let dataset = text(&small_dataset(folder.path(), 4, 2));
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let run = backfill(&server, &text(&file));
    wait_for_state(&server, &run, "planning");
    assert_eq!(ask(&server, &["pause", &run])["state"], "paused");
    let next = backfill(&server, &dataset);
    wait_for_state(&server, &next, "running");
    assert_eq!(status(&server, &run).unwrap()["state"], "paused");
    assert_eq!(ask(&server, &["resume", &run])["state"], "planning");
}

#[test]
fn a_lane_that_is_paused_is_shown_and_holds_up_the_runs_of_that_lane_only() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 60, 5));
    let users = folder.path().join("users.txt");
    std::fs::write(&users, "u5\n").unwrap();
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let _extract = Running::start("sojourn-worker", &["extract"], &server);
    let _name = Running::start("sojourn-worker", &["name"], &server);
    let lanes = ask(&server, &["pause", "--lane", "low", "--kind", "extract"]);
    let lane = serde_json::json!([{"kind": "extract", "lane": "low"}]);
    assert_eq!(lanes["paused_lanes"], lane);

    let run = backfill(&server, &dataset);
    let recompute = ["recompute", &dataset, "--users", &text(&users), "--watch"];
    assert_eq!(
        ask(&server, &recompute)["state"],
        "done",
        "the other lane is open"
    );
    wait_for_state(&server, &run, "running");
    let waiting = status(&server, &run).unwrap();
    assert_eq!(waiting["paused_lanes"], lane);
    assert_eq!(waiting["counts"]["done"].as_u64().unwrap_or(0), 0);
    let listed = ask(&server, &["runs"]);
    let of = |id: &str| {
        let runs = listed.as_array().unwrap().iter();
        runs.clone()
            .find(|listed| listed["id"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(of(&run)["paused_lanes"], lane);
    for arguments in [vec!["runs"], vec!["run", &run]] {
        let output = sojourn(&server, &arguments);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains("extract low"), "{arguments:?}: {shown}");
    }

    let lanes = ask(&server, &["resume", "--all"]);
    assert_eq!(lanes["paused_lanes"], serde_json::json!([]));
    let ended = ask(&server, &["run", &run, "--watch"]);
    assert_eq!(
        (&ended["state"], &ended["paused_lanes"]),
        (&"done".into(), &serde_json::json!([]))
    );
}

#[test]
fn a_cancel_of_a_lane_ends_the_runs_of_that_lane_and_one_of_everything_all() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 10, 5));
    let users = folder.path().join("users.txt");
    std::fs::write(&users, "u5\n").unwrap();
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let [first, second] = [(); 2].map(|()| backfill(&server, &dataset));
    let recompute = ask(&server, &["recompute", &dataset, "--users", &text(&users)]);
    let recompute = recompute["run"].as_str().unwrap().to_owned();
    for run in [&first, &second, &recompute] {
        wait_for_state(&server, run, "running");
    }
    assert_eq!(ask(&server, &["pause", &second])["paused"], true);
    let ended = ask(&server, &["cancel", "--lane", "low"])["cancelled"].clone();
    let mut ended: Vec<&str> = ended
        .as_array()
        .unwrap()
        .iter()
        .flat_map(Value::as_str)
        .collect();
    ended.sort();
    assert_eq!(ended, [&first, &second]);
    assert_eq!(status(&server, &recompute).unwrap()["state"], "running");
    let ended = ask(&server, &["cancel", "--all"])["cancelled"].clone();
    assert_eq!(ended, serde_json::json!([recompute]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_was_cut_short_is_mended_by_saying_it_again() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 10, 5));
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let run = backfill(&server, &dataset);
    wait_for_state(&server, &run, "running");
    let redis = server.connect().await;
    let id = RunId::parse(&run).unwrap();
    wait_for("all jobs to be queued", || {
        (status(&server, &run).unwrap()["counts"]["jobs"] == 2).then_some(())
    });
    // As far as the command comes that dies after its first step.
    let register = Register::new(&redis);
    let ended = register.end(&id, RunState::Cancelled, None).await.unwrap();
    assert!(ended);
    let queue = Queues::open(&redis).await.unwrap().extract;
    assert_eq!(queue.standing(&id).await.unwrap().pending, 2);
    let again = ask(&server, &["cancel", "--all"]);
    assert_eq!(again["cancelled"], serde_json::json!([]));
    assert_eq!(queue.standing(&id).await.unwrap().pending, 0);
}
