//! The main job through the real processes.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use redis::AsyncCommands;
use serde_json::{Value, json as value};
use sojourn::store::JourneyReader;
use support::{
    Running, Server, command, json, said, shared_data, small_dataset, sojourn, wait_for,
};

/// A scheduler and workers on a server.
fn deployment(server: &Server) -> Vec<Running> {
    vec![
        Running::start("sojourn", &["serve"], server),
        Running::start("sojourn-worker", &["extract", "--lease", "2"], server),
        Running::start("sojourn-worker", &["name", "--lease", "2"], server),
    ]
}

/// `sojourn` on a server, to its end, with JSON output.
fn ask(server: &Server, arguments: &[&str]) -> Value {
    let output = command("sojourn")
        .args(arguments)
        .arg("--json")
        .env("SOJOURN_REDIS", server.url())
        .output()
        .expect("sojourn runs");
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    json(&output)
}

/// How a run stands, once the register knows it; however it ended.
fn status(server: &Server, run: &str) -> Option<Value> {
    let output = command("sojourn")
        .args(["run", run, "--json"])
        .env("SOJOURN_REDIS", server.url())
        .output()
        .expect("sojourn runs");
    (!output.stdout.is_empty()).then(|| json(&output))
}

/// Waits until so many jobs of a run are done.
fn wait_for_jobs(server: &Server, run: &str, done: u64) {
    wait_for("some jobs", || {
        let status = status(server, run)?;
        (status["counts"]["done"].as_u64() >= Some(done)).then_some(())
    });
}

/// Waits until a run is planned.
fn wait_for_plan(server: &Server, run: &str) {
    wait_for("the plan", || {
        (status(server, run)?["state"] == "running").then_some(())
    });
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn the_demo_finds_what_its_population_was_made_of() {
    let output = sojourn(&["demo", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let result = json(&output);
    assert_eq!(
        (&result["users"], &result["items"]),
        (&value!(2000), &value!(1320))
    );
    assert!(result["seconds"].as_f64().unwrap() > 0.0, "{result}");
    let server = support::server_program();
    let version = Command::new(server).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let redis = result["redis"].as_str().unwrap();
    let number = redis.split(' ').next_back().unwrap();
    assert!(version.contains(number), "{redis}: {version}");
    assert_eq!(result["journeys"], result["named"]);
    assert!(result["ari"].as_f64().unwrap() >= 0.8, "{result}");
    assert!(
        result["interactions"].as_u64().unwrap() > 40_000,
        "{result}"
    );
}

#[test]
fn the_demo_gives_the_same_result_every_time() {
    let demo = || {
        let result = json(&sojourn(&[
            "demo", "--users", "200", "--seed", "5", "--json",
        ]));
        [&result["journeys"], &result["ari"], &result["interactions"]].map(Value::to_string)
    };
    assert_eq!(demo(), demo());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_names_the_journeys_of_everybody_and_a_recompute_keeps_them() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 250, 20));
    let _processes = deployment(&server);

    let run = ask(&server, &["backfill", &dataset, "--watch"]);
    assert_eq!(
        (run["state"].as_str(), run["jobs"].as_u64()),
        (Some("done"), Some(13))
    );
    let count = |run: &Value, name: &str| run["counts"][name].as_u64().unwrap_or(0);
    assert_eq!((count(&run, "users"), count(&run, "done")), (250, 13));
    assert_eq!((count(&run, "journeys"), count(&run, "named")), (500, 500));

    let reader = JourneyReader::connect(&server.url()).await.unwrap();
    let before = reader.journeys("u7").await.unwrap().unwrap();
    assert_eq!(before.journeys.len(), 2, "{before:?}");
    let shown = ask(&server, &["show", "u7"]);
    assert_eq!(shown["journeys"].as_array().unwrap().len(), 2);

    let again = ask(&server, &["backfill", &dataset, "--watch"]);
    assert!(again["epoch"].as_u64() > run["epoch"].as_u64());
    let after = reader.journeys("u7").await.unwrap().unwrap();
    assert_eq!(
        after.journeys, before.journeys,
        "the same data gives the same journeys"
    );
    assert!(after.meta.epoch > before.meta.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_client_can_fill_a_cohort_and_ask_for_it_with_one_xadd() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 100, 10));
    let _processes = deployment(&server);
    let redis = server.connect().await;
    let mut connection = redis.commands();
    let () = connection
        .sadd("sj:cohort:new", &["u3", "u42", "stranger"])
        .await
        .unwrap();
    let fields = [
        ("kind", "recompute"),
        ("dataset", &dataset),
        ("cohort", "new"),
    ];
    let run: String = connection.xadd("sj:triggers", "*", &fields).await.unwrap();

    wait_for("the run", || self::status(&server, &run));
    let status = ask(&server, &["run", &run, "--watch"]);
    assert_eq!(status["state"], "done");
    assert_eq!(status["counts"]["users"], 2);
    let unknown = status["users_unknown"].as_u64().unwrap()
        + status["counts"]["users_unknown"].as_u64().unwrap();
    assert_eq!(unknown, 1, "{status}");
    let reader = JourneyReader::new(&redis);
    assert!(reader.journeys("u42").await.unwrap().is_some());
    assert!(
        reader.journeys("u4").await.unwrap().is_none(),
        "nobody else was touched"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_makes_no_sense_becomes_a_failed_run_that_says_why() {
    let server = Server::start();
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let redis = server.connect().await;
    let mut connection = redis.commands();
    let fields = [("kind", "recompute"), ("dataset", "/d")];
    let run: String = connection.xadd("sj:triggers", "*", &fields).await.unwrap();
    let failed = wait_for("the run", || {
        let listed = ask(&server, &["runs"]);
        listed
            .as_array()?
            .iter()
            .find(|listed| listed["id"] == run.as_str())
            .cloned()
    });
    assert_eq!(failed["state"], "failed");
    assert!(
        failed["error"].as_str().unwrap().contains("cohort"),
        "{failed}"
    );
}

#[test]
fn a_recompute_takes_its_users_from_a_file_or_by_their_last_interaction() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 60, 10));
    let _processes = deployment(&server);
    let users = folder.path().join("users.txt");
    std::fs::write(&users, "u1\nu2\n\nu59\n").unwrap();
    let arguments = ["recompute", &dataset, "--users", &text(&users), "--watch"];
    assert_eq!(ask(&server, &arguments)["counts"]["users"], 3);
    // The last interaction of user n is at 1760432000 + n + 40: 2025-10-14T08:54:00Z and n.
    let since = [
        "recompute",
        &dataset,
        "--active-since",
        "2025-10-14T08:54:50Z",
        "--watch",
    ];
    assert_eq!(ask(&server, &since)["counts"]["users"], 10);
}

#[test]
fn a_cancelled_run_ends_and_the_workers_go_on_with_the_next() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 60, 1));
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let run = ask(&server, &["backfill", &dataset])["run"]
        .as_str()
        .unwrap()
        .to_owned();
    wait_for_plan(&server, &run);
    assert_eq!(ask(&server, &["cancel", &run])["cancelled"], true);
    assert_eq!(ask(&server, &["cancel", &run])["cancelled"], false);

    let _extract = Running::start("sojourn-worker", &["extract"], &server);
    let _name = Running::start("sojourn-worker", &["name"], &server);
    let next = ask(&server, &["backfill", &dataset, "--watch"]);
    assert_eq!(
        (next["state"].as_str(), next["counts"]["users"].as_u64()),
        (Some("done"), Some(60))
    );
    let output = command("sojourn")
        .args(["run", &run, "--json"])
        .env("SOJOURN_REDIS", server.url())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert_eq!(json(&output)["state"], "cancelled");
}

#[test]
fn a_cohort_goes_ahead_of_a_backfill() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 300, 1));
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let backfill = ask(&server, &["backfill", &dataset])["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let users = folder.path().join("users.txt");
    std::fs::write(&users, "u5\n").unwrap();
    let cohort = ask(&server, &["recompute", &dataset, "--users", &text(&users)]);
    let cohort = cohort["run"].as_str().unwrap().to_owned();
    wait_for_plan(&server, &backfill);
    wait_for_plan(&server, &cohort);

    let _extract = Running::start(
        "sojourn-worker",
        &["extract", "--concurrency", "1"],
        &server,
    );
    let done = |run: &str| status(&server, run).unwrap()["counts"]["done"].as_u64();
    wait_for("a job of the backfill", || done(&backfill));
    assert_eq!(done(&cohort), Some(1), "the cohort's job came first");
}

/// More jobs than are done between two looks at them.
const MANY: usize = 1500;

#[test]
fn killed_workers_lose_nothing_and_count_nothing_twice() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), MANY, 1));
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let run = ask(&server, &["backfill", &dataset])["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let workers = || {
        ["extract", "name"]
            .map(|kind| Running::start("sojourn-worker", &[kind, "--lease", "1"], &server))
    };
    for kill_after in [50, 250, 450] {
        let workers = workers();
        wait_for_jobs(&server, &run, kill_after);
        // Running kills without warning.
        drop(workers);
    }
    let before = status(&server, &run).unwrap();
    assert!(before["counts"]["done"].as_u64() < Some(MANY as u64));
    let _workers = workers();
    let status = ask(&server, &["run", &run, "--watch"]);
    let count = |name: &str| status["counts"][name].as_u64().unwrap_or(0) as usize;
    assert_eq!((count("users"), count("done")), (MANY, MANY), "{status}");
    for name in ["journeys", "journeys_to_name", "named"] {
        assert_eq!(count(name), 2 * MANY, "{name}: {status}");
    }
    assert_eq!((count("dead"), count("naming_dead")), (0, 0), "{status}");
}

#[test]
fn a_worker_that_is_asked_to_stop_hands_back_and_ends_well() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 200, 1));
    let mut scheduler = Running::start("sojourn", &["serve"], &server);
    let mut worker = Running::start("sojourn-worker", &["extract", "--drain", "2"], &server);
    let mut name = Running::start("sojourn-worker", &["name", "--drain", "2"], &server);
    let run = ask(&server, &["backfill", &dataset])["run"]
        .as_str()
        .unwrap()
        .to_owned();
    wait_for_jobs(&server, &run, 6);
    for process in [&mut worker, &mut name, &mut scheduler] {
        assert!(process.terminate().success());
    }
    let _processes = deployment(&server);
    let status = ask(&server, &["run", &run, "--watch"]);
    assert_eq!(
        (status["state"].as_str(), status["counts"]["users"].as_u64()),
        (Some("done"), Some(200))
    );
    assert_eq!(status["counts"]["dead"].as_u64().unwrap_or(0), 0);
}

#[test]
fn a_redis_that_dies_during_the_run_is_waited_for() {
    let mut server = Server::start_with(&["--appendfsync", "always"]);
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), MANY, 1));
    let _processes = deployment(&server);
    let run = ask(&server, &["backfill", &dataset])["run"]
        .as_str()
        .unwrap()
        .to_owned();
    wait_for_jobs(&server, &run, 6);
    let log = folder.path().join("watch.log");
    let watching = command("sojourn")
        .args(["run", &run, "--watch", "--json"])
        .env("SOJOURN_REDIS", server.url())
        .env("SOJOURN_LOG", "sojourn_scheduler=debug")
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let says = |what: &str| std::fs::read_to_string(&log).unwrap().contains(what);
    wait_for("a look at the run", || {
        says("looked at a run").then_some(())
    });
    server.kill();
    wait_for("a look at nothing", || {
        says("waiting for Redis").then_some(())
    });
    server.restart();
    let before = status(&server, &run).unwrap();
    assert!(before["counts"]["done"].as_u64() < Some(MANY as u64));
    let watched = watching.wait_with_output().unwrap();
    assert!(watched.status.success(), "{}", said(&watched));
    assert!(says("Redis is back"));
    let counts = &json(&watched)["counts"];
    assert_eq!(counts["users"], MANY, "{counts}");
    assert_eq!(counts["named"], 2 * MANY, "{counts}");
    assert_eq!(counts["dead"].as_u64().unwrap_or(0), 0, "{counts}");
}

#[test]
fn without_a_redis_a_dataset_gets_a_private_one_that_keeps_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&small_dataset(folder.path(), 30, 10));
    let output = sojourn(&["backfill", &dataset, "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(json(&output)["counts"]["named"], 60);
    let shown = sojourn(&["show", "u3", "--dataset", &dataset]);
    assert!(shown.status.success(), "{}", said(&shown));
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("u3: 2 journeys") && shown.contains("kulele"),
        "{shown}"
    );
}

#[test]
fn films_rated_by_twenty_one_thousand_people_become_journeys() {
    let Some(data) = shared_data("movietweetings") else {
        return;
    };
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = text(&folder.path().join("dataset"));
    let output = sojourn(&[
        "ingest",
        "--items",
        &text(&data.join("items.jsonl.gz")),
        "--interactions",
        &text(&data.join("interactions.csv.gz")),
        "--map",
        "tags=genres+wiki_genres,weight=rating",
        "--out",
        &dataset,
        "--json",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let ingested = json(&output);
    assert_eq!(
        (
            ingested["counts"]["users"].as_u64(),
            ingested["counts"]["items"].as_u64()
        ),
        (Some(21_081), Some(12_611))
    );
    let _processes = deployment(&server);
    let run = ask(&server, &["backfill", &dataset, "--watch"]);
    let count = |name: &str| run["counts"][name].as_u64().unwrap_or(0);
    assert_eq!((count("users"), count("dead")), (21_081, 0));
    assert_eq!(count("named"), count("journeys"));
    assert!(count("users_with_journeys") > 2_500, "{run}");
}
