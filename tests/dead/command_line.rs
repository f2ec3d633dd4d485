//! `sojourn dead` and the real programs.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use redis::AsyncCommands;
use serde_json::{Value, json as value};
use sojourn::connection::Redis;
use sojourn::keys::Keys;
use sojourn::queue::{Kind, Lane, Queues};
use sojourn::store::JourneyReader;

use crate::llm::{Endpoint, Question, Turn};
use crate::support::{
    Running, Server, command, json, said, small_dataset, wait_for, wait_for_async,
};
use crate::{enqueue, give_up, run};

/// `sojourn` on a server, to its end.
fn sojourn(server: &Server, arguments: &[&str]) -> Output {
    command("sojourn")
        .args(arguments)
        .env("SOJOURN_REDIS", server.url())
        .output()
        .expect("sojourn runs")
}

/// Its JSON, when it ends with this code.
fn ask(server: &Server, arguments: &[&str], code: i32) -> Value {
    let output = sojourn(server, &[arguments, &["--json"]].concat());
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        said(&output)
    );
    json(&output)
}

/// Its text, when it ends well.
fn read(server: &Server, arguments: &[&str]) -> String {
    let output = sojourn(server, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Damages a shard, and returns what it was.
fn damage(dataset: &Path, shard: &str) -> (PathBuf, Vec<u8>) {
    let file = dataset.join("shards").join(shard);
    let whole = std::fs::read(&file).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&file, bytes).unwrap();
    (file, whole)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_damaged_file_killed_is_done_when_the_file_is_mended_and_nothing_counts_twice() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let folder_of_data = small_dataset(folder.path(), 60, 20);
    let dataset = folder_of_data.display().to_string();
    let (file, whole) = damage(&folder_of_data, "00001.parquet");
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
        Running::start("sojourn-worker", &["name"], &server),
    ];
    let ended = ask(&server, &["backfill", &dataset, "--watch"], 4);
    let count = |run: &Value, name: &str| run["counts"][name].as_u64().unwrap_or(0);
    assert_eq!(
        (count(&ended, "dead"), count(&ended, "users")),
        (1, 40),
        "{ended}"
    );
    let run = ended["id"].as_str().unwrap();
    let told = sojourn(&server, &["run", run]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.contains(&format!("sojourn dead list --run {run}")),
        "{told}"
    );

    let listed = ask(&server, &["dead", "list", "--run", run], 0);
    assert_eq!(listed["total"], 1, "{listed}");
    let letter = &listed["letters"][0];
    assert!(
        letter["error"]
            .as_str()
            .unwrap()
            .contains("shards/00001.parquet is damaged")
    );
    assert_eq!(
        letter["payload"],
        value!({"dataset": dataset, "shard": 1, "users": null})
    );
    assert_eq!(
        (&letter["run"], &letter["attempts"]),
        (&value!(run), &value!(1))
    );
    let id = letter["id"].as_str().unwrap().to_owned();
    let table = read(&server, &["dead", "list"]);
    assert!(
        table.contains(&id) && table.contains("1 letter, 1 shown"),
        "{table}"
    );
    let shown = read(&server, &["dead", "show", &id]);
    assert!(
        shown.contains("failures   1") && shown.contains("shard 1 of"),
        "{shown}"
    );

    std::fs::write(&file, whole).unwrap();
    let replayed = ask(&server, &["dead", "replay", &id], 0);
    let expected = value!({"replayed": 1, "runs": [run], "reopened": [run], "left": {}});
    assert_eq!(replayed, expected);
    let again = ask(&server, &["dead", "replay", &id], 0);
    assert_eq!(again["left"], value!({"not there (any more)": 1}));

    let ended = ask(&server, &["run", run, "--watch"], 0);
    for (name, expected) in [("users", 60), ("done", 3), ("dead", 0), ("journeys", 120)] {
        assert_eq!(count(&ended, name), expected, "{name}: {ended}");
    }
    for (name, expected) in [("journeys_to_name", 120), ("named", 120), ("replayed", 1)] {
        assert_eq!(count(&ended, name), expected, "{name}: {ended}");
    }
    let users: Vec<String> = (0..60).map(|user| format!("u{user}")).collect();
    let reader = JourneyReader::connect(&server.url()).await.unwrap();
    for (user, found) in users
        .iter()
        .zip(reader.journeys_of_many(&users).await.unwrap())
    {
        let found = found
            .unwrap()
            .unwrap_or_else(|| panic!("{user} has no results"));
        assert_eq!((found.journeys.len(), found.meta.run.as_str()), (2, run));
    }
    assert_eq!(read(&server, &["dead", "list"]), "no dead letters\n");
}

#[tokio::test]
async fn letters_are_chosen_by_run_kind_or_error_and_only_those_are_replayed_or_dropped() {
    let server = Server::start();
    let redis = server.connect().await;
    let queues = Queues::open(&redis).await.unwrap();
    for (job, error) in [
        ("a", "no disk"),
        ("b", "no disk"),
        ("c", "no\u{1b}[31mmemory"),
    ] {
        enqueue(&queues.extract, &run(), job).await;
        give_up(&queues.extract, error).await;
    }
    enqueue(&queues.name, &run(), "d").await;
    give_up(&queues.name, "no disk").await;

    let listed = ask(
        &server,
        &["dead", "list", "--error", "no disk", "--limit", "1"],
        0,
    );
    assert_eq!(
        (
            &listed["total"],
            listed["letters"].as_array().unwrap().len()
        ),
        (&value!(3), 1)
    );
    assert_eq!(
        listed["errors"],
        value!([{"error": "no disk", "letters": 3}])
    );
    // Their payloads are none.
    let unreadable = listed["letters"][0]["unreadable"].as_str().unwrap();
    assert!(unreadable.contains("newer version"), "{unreadable}");
    let table = read(&server, &["dead", "list"]);
    assert!(
        table.contains("3 x no disk") && table.contains("4 letters, 4 shown"),
        "{table}"
    );
    assert!(
        !table.contains('\u{1b}'),
        "errors cannot steer the terminal"
    );

    let nobody = ["dead", "replay", "--run", "1-0", "--error", "no disk"];
    assert_eq!(ask(&server, &nobody, 0)["replayed"], 0);
    let replayed = ask(&server, &["dead", "replay", "--kind", "name"], 0);
    assert_eq!(
        replayed["left"],
        value!({"of a run that is forgotten": 1}),
        "no register, no run"
    );
    let dropped = ["dead", "drop", "--kind", "extract", "--error", "no disk"];
    assert_eq!(ask(&server, &dropped, 0)["dropped"], 2);
    assert_eq!(
        read(&server, &["dead", "drop", "--all"]),
        "2 letters dropped\n"
    );
    assert_eq!(ask(&server, &["dead", "list"], 0)["total"], 0);
}

#[tokio::test]
async fn what_cannot_be_shown_replayed_or_dropped_is_said() {
    let server = Server::start();
    let refused = |arguments: &[&str]| {
        let output = sojourn(&server, arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["dead", "show", "name:0:1-0"]).contains("no dead letter name:0:1-0"));
    assert!(refused(&["dead", "show", "1-0"]).contains("sojourn dead list"));
    for command in ["replay", "drop"] {
        let all = refused(&["dead", command]);
        assert!(all.contains("--all"), "{all}");
    }
    let redis = server.connect().await;
    let dead = Keys::default().partition(Kind::Name, 2).dead();
    let foreign = [("hello", "w\u{7}rld")];
    let _: String = redis.commands().xadd(&dead, "5-0", &foreign).await.unwrap();
    let shown = read(&server, &["dead", "show", "name:2:5-0"]);
    assert!(shown.contains("not written by Sojourn"), "{shown}");
    assert!(shown.contains("hello = w\\x07rld"), "{shown}");
    let left = ask(&server, &["dead", "replay", "name:2:5-0"], 0)["left"].clone();
    assert_eq!(left, value!({"not written by Sojourn": 1}));
}

/// A naming worker against an endpoint, with further arguments.
fn naming(server: &Server, endpoint: &Endpoint, arguments: &[&str]) -> Running {
    let url = endpoint.url();
    let model = [
        "name",
        "--namer",
        "llm",
        "--endpoint",
        &url,
        "--model",
        "fake",
    ];
    let one = ["--lease", "1", "--concurrency", "1"];
    Running::start(
        "sojourn-worker",
        &[&model[..], &one, arguments].concat(),
        server,
    )
}

/// A run with one naming job and nobody to do it.
fn begin(server: &Server, folder: &Path) -> (String, [Running; 2]) {
    let dataset = small_dataset(folder, 10, 10).display().to_string();
    let processes = [
        Running::start("sojourn", &["serve"], server),
        Running::start("sojourn-worker", &["extract"], server),
    ];
    let run = ask(server, &["backfill", &dataset], 0)["run"]
        .as_str()
        .unwrap()
        .to_owned();
    (run, processes)
}

/// Whether this process holds a job of a kind.
async fn holds(redis: &Redis, kind: Kind, process: u32) -> bool {
    for partition in 0..4 {
        let lane = redis.keys().partition(kind, partition).lane(Lane::Low);
        // There may be no group yet.
        let leased: Result<Vec<(String, String, u64, u64)>, _> = redis::cmd("XPENDING")
            .arg(&[&lane, "workers", "-", "+", "10"])
            .query_async(&mut redis.commands())
            .await;
        let ours = format!("{process}-");
        if leased
            .unwrap_or_default()
            .iter()
            .any(|(_, worker, ..)| worker.starts_with(&ours))
        {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_ends_as_a_letter_that_says_so_and_can_be_replayed() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let redis = server.connect().await;
    let (run, _processes) = begin(&server, folder.path());
    let hangs = Endpoint::start(|_: &Question| Turn::Hangs);
    for _ in 0..2 {
        let mut victim = naming(&server, &hangs, &[]);
        let process = victim.0.id();
        wait_for_async("the job to be held", async || {
            assert!(victim.0.try_wait().unwrap().is_none(), "the worker runs");
            holds(&redis, Kind::Name, process).await.then_some(())
        })
        .await;
        // Running kills without warning.
        drop(victim);
    }
    let last = naming(&server, &hangs, &["--max-crashes", "2"]);
    let ended = ask(&server, &["run", &run, "--watch"], 4);
    drop(last);
    assert_eq!(ended["counts"]["naming_dead"], 1, "{ended}");
    let listed = ask(&server, &["dead", "list", "--kind", "name"], 0);
    let letter = &listed["letters"][0];
    assert_eq!(
        letter["error"],
        "SJ403: 2 workers died or fell silent while they held this job"
    );
    let counts = ["failures", "crashes", "attempts"].map(|name| letter[name].as_u64());
    assert_eq!(counts, [Some(0), Some(2), Some(3)], "{letter}");
    assert_eq!(letter["payload"], value!({"users": 10, "journeys": 20}));

    // It was the endpoint. With a better one, the job is done after all.
    let replayed = ask(&server, &["dead", "replay", "--run", &run], 0);
    assert_eq!(replayed["reopened"], value!([run]));
    let terms = ["name", "--max-crashes", "2", "--lease", "1"];
    let _last = Running::start("sojourn-worker", &terms, &server);
    let ended = ask(&server, &["run", &run, "--watch"], 0);
    assert_eq!(ended["counts"]["named"], 20, "{ended}");
    assert_eq!(ended["counts"]["naming_dead"], 0, "{ended}");
}

#[test]
fn a_worker_gives_a_job_up_after_as_many_failures_as_it_was_told() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let (run, _processes) = begin(&server, folder.path());
    let nonsense = Endpoint::start(|_: &Question| Turn::Completes(value!({"hello": "world"})));
    let _worker = naming(&server, &nonsense, &["--max-failures", "1"]);
    let ended = ask(&server, &["run", &run, "--watch"], 4);
    assert_eq!(ended["counts"]["naming_dead"], 1, "{ended}");
    let listed = ask(
        &server,
        &["dead", "list", "--error", "(after 1 attempts)"],
        0,
    );
    assert_eq!(listed["letters"][0]["failures"], 1, "{listed}");
}

#[test]
fn on_a_private_redis_replayed_jobs_are_done_with_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = small_dataset(folder.path(), 20, 10);
    let dataset = data.display().to_string();
    let (file, whole) = damage(&data, "00000.parquet");
    let private = |arguments: &[&str]| {
        let mut program = command("sojourn");
        let output = program
            .args(arguments)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        (output.status.code(), said(&output), output)
    };
    let (code, told, _) = private(&["backfill", &dataset]);
    assert_eq!(code, Some(4), "{told}");
    std::fs::write(&file, whole).unwrap();
    let (code, told, _) = private(&["dead", "replay", "--all", "--dataset", &dataset]);
    assert!(code == Some(0) && told.contains("1 job replayed"), "{told}");
    assert!(told.contains("with the next run on this dataset"), "{told}");
    // A run takes its processes with it when it ends, whatever else they were doing.
    let first = wait_for("the first run to end", || {
        let (code, told, _) = private(&["backfill", &dataset]);
        assert_eq!(code, Some(0), "{told}");
        let (_, told, runs) = private(&["runs", "--dataset", &dataset, "--json"]);
        let runs = json(&runs);
        let first = runs.as_array().and_then(|runs| runs.last());
        let first = first.unwrap_or_else(|| panic!("{told}"));
        (first["state"] == "done").then(|| first["id"].as_str().unwrap().to_owned())
    });
    let (code, told, _) = private(&["run", &first, "--dataset", &dataset]);
    assert_eq!(code, Some(0), "{told}");
}
