//! Runs and lanes that are paused, in the queue and through the real processes.

mod support;

use std::process::Stdio;
use std::time::Duration;

use redis::AsyncCommands;
use serde_json::Value;
use sojourn::connection::Redis;
use sojourn::keys::PartitionKeys;
use sojourn::queue::{Enqueued, Kind, Lane, Lease, NewJob, Outcome, Queue, Renewal};
use sojourn::run::RunId;
use support::{Running, Server, command, json, said, small_dataset, wait_for};

const LEASE: Duration = Duration::from_secs(600);

fn run() -> RunId {
    RunId::parse("1763947200000-0").unwrap()
}

fn other() -> RunId {
    RunId::parse("1763947200001-0").unwrap()
}

fn jobs(ids: &[&str]) -> Vec<NewJob> {
    let job = |&id: &&str| NewJob {
        id: id.into(),
        payload: id.as_bytes().into(),
        size: None,
    };
    ids.iter().map(job).collect()
}

async fn queue(server: &Server) -> (Redis, Queue, PartitionKeys) {
    let redis = server.connect().await;
    let queue = Queue::new(redis.clone(), Kind::Extract, 1);
    let keys = redis.keys().partition(Kind::Extract, 0);
    (redis, queue, keys)
}

async fn enqueue(queue: &Queue, run: &RunId, ids: &[&str]) {
    let queued = queue.enqueue(run, Lane::Low, 0, &jobs(ids)).await;
    assert_eq!(queued.unwrap(), Enqueued::Queued);
}

async fn plan(queue: &Queue) -> Option<u64> {
    let (run, jobs) = (run(), jobs(&["planned"]));
    let planned = queue.enqueue_planned(&run, Lane::Low, 0, 0, &jobs).await;
    planned.unwrap()
}

async fn take(queue: &Queue) -> Option<Lease> {
    queue.take("w", Lane::Low, 0, LEASE).await.unwrap()
}

/// Takes everything that there is; returns the ids in the order in which they came.
async fn take_all(queue: &Queue) -> Vec<String> {
    let mut taken = Vec::new();
    while let Some(lease) = take(queue).await {
        taken.push(lease.job);
    }
    taken
}

fn later() -> Outcome {
    Outcome::Retry {
        after: Duration::from_secs(600),
        error: "busy".into(),
    }
}

#[tokio::test]
async fn a_paused_run_gives_nothing_out_finishes_what_is_held_and_goes_on_in_order() {
    let server = Server::start();
    let (_redis, queue, _) = queue(&server).await;
    enqueue(&queue, &run(), &["a", "b"]).await;
    enqueue(&queue, &other(), &["c"]).await;
    enqueue(&queue, &run(), &["d"]).await;
    let held = take(&queue).await.unwrap();
    queue.pause(&run(), Lane::Low).await.unwrap();
    assert_eq!(take_all(&queue).await, ["c"], "other runs go on");
    assert!(queue.standing(&run()).await.unwrap().paused);

    assert_eq!(queue.renew("w", &held).await.unwrap(), Renewal::Held);
    let done = Outcome::Done(vec![("users", 7)]);
    assert!(queue.settle("w", &held, &done).await.unwrap());
    let standing = queue.standing(&run()).await.unwrap();
    assert_eq!((standing.pending, standing.count("users")), (2, 7));

    // As whoever resumes a run may do that was cut short.
    for _ in 0..2 {
        queue.resume(&run(), Lane::Low).await.unwrap();
    }
    assert!(!queue.standing(&run()).await.unwrap().paused);
    assert_eq!(take_all(&queue).await, ["b", "d"]);
}

#[tokio::test]
async fn what_fails_follows_or_waits_while_its_run_is_paused_comes_when_it_goes_on() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    enqueue(&queue, &run(), &["waits", "fails", "returned"]).await;
    let [waits, fails, returned] = [(); 3].map(|()| take(&queue));
    let (waits, fails, returned) = (waits.await.unwrap(), fails.await, returned.await);
    assert!(queue.settle("w", &waits, &later()).await.unwrap());
    queue.pause(&run(), Lane::Low).await.unwrap();
    assert!(queue.settle("w", &fails.unwrap(), &later()).await.unwrap());
    let returned = returned.unwrap();
    let settled = queue.settle("w", &returned, &Outcome::Release).await;
    assert!(settled.unwrap());
    enqueue(&queue, &run(), &["follows"]).await;
    assert_eq!(plan(&queue).await, None, "the scheduler tries later");

    let mut connection = redis.commands();
    let waiting: u64 = connection.zcard(keys.retry(Lane::Low)).await.unwrap();
    assert_eq!((waiting, queue.depth(Lane::Low, 0).await.unwrap()), (0, 0));
    let ttl: i64 = connection.ttl(keys.parked(&run())).await.unwrap();
    assert!(ttl > 0, "nothing stays for ever");
    assert_eq!(queue.standing(&run()).await.unwrap().pending, 4);
    assert_eq!(queue.missing(&[run()]).await.unwrap().len(), 0);

    queue.resume(&run(), Lane::Low).await.unwrap();
    let mut taken = take_all(&queue).await;
    taken.sort();
    assert_eq!(taken, ["fails", "follows", "returned", "waits"]);
    assert_eq!(plan(&queue).await, Some(1));
    let parked: bool = connection.exists(keys.parked(&run())).await.unwrap();
    assert!(!parked);
}

#[tokio::test]
async fn a_long_queue_is_paused_and_resumed_in_slices_and_each_job_is_there_once() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    let mut all = Vec::new();
    for slice in 0..7 {
        let ids: Vec<String> = (0..200).map(|n| format!("{slice}-{n:03}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let of = if slice == 3 { other() } else { run() };
        enqueue(&queue, &of, &ids).await;
        if slice != 3 {
            all.extend(ids.iter().map(|&id| id.to_owned()));
        }
    }
    // So many that they are read in slices, too.
    for _ in 0..600 {
        let lease = take(&queue).await.unwrap();
        assert!(queue.settle("w", &lease, &later()).await.unwrap());
    }
    for _ in 0..2 {
        queue.pause(&run(), Lane::Low).await.unwrap();
    }
    assert_eq!(queue.depth(Lane::Low, 0).await.unwrap(), 200);
    let mut connection = redis.commands();
    let waiting: u64 = connection.zcard(keys.retry(Lane::Low)).await.unwrap();
    let parked: u64 = connection.xlen(keys.parked(&run())).await.unwrap();
    assert_eq!((waiting, parked), (0, 1200));
    queue.resume(&run(), Lane::Low).await.unwrap();
    let mut taken = take_all(&queue).await;
    taken.retain(|id| !id.starts_with("3-"));
    taken.sort();
    assert_eq!(taken, all);
}

#[tokio::test]
async fn a_paused_run_can_be_cancelled_and_a_cancelled_one_does_not_go_on() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    enqueue(&queue, &run(), &["a", "b"]).await;
    let held = take(&queue).await.unwrap();
    queue.pause(&run(), Lane::Low).await.unwrap();
    assert_eq!(queue.cancel(&run()).await.unwrap(), 2);
    let parked: bool = redis.commands().exists(keys.parked(&run())).await.unwrap();
    assert!(!parked);
    assert_ne!(queue.renew("w", &held).await.unwrap(), Renewal::Held);
    for _ in 0..2 {
        queue.resume(&run(), Lane::Low).await.unwrap();
        queue.pause(&run(), Lane::Low).await.unwrap();
    }
    assert!(!queue.standing(&run()).await.unwrap().paused);
    let queued = queue.enqueue(&run(), Lane::Low, 0, &jobs(&["c"])).await;
    assert_eq!(queued.unwrap(), Enqueued::Cancelled, "for ever");
    assert_eq!(take_all(&queue).await, [""; 0]);
}

#[tokio::test]
async fn a_run_that_is_over_is_not_opened_by_a_resume() {
    let server = Server::start();
    let (_redis, queue, _) = queue(&server).await;
    assert!(queue.close(&run()).await.unwrap());
    queue.resume(&run(), Lane::Low).await.unwrap();
    let late = queue.enqueue(&run(), Lane::Low, 0, &jobs(&["a"])).await;
    assert_eq!(late.unwrap(), Enqueued::Over);
}

#[tokio::test]
async fn a_run_that_is_cancelled_or_paused_stays_so_when_it_is_closed_and_reopened() {
    let server = Server::start();
    let (_redis, queue, _) = queue(&server).await;
    queue.pause(&run(), Lane::Low).await.unwrap();
    queue.cancel(&other()).await.unwrap();
    for run in [run(), other()] {
        assert!(!queue.close(&run).await.unwrap());
        queue.reopen(&run).await.unwrap();
    }
    assert_eq!(plan(&queue).await, None);
    assert!(queue.standing(&run()).await.unwrap().paused);
    let late = queue.enqueue(&other(), Lane::Low, 0, &jobs(&["a"])).await;
    assert_eq!(late.unwrap(), Enqueued::Cancelled);
}

#[tokio::test]
async fn a_job_that_was_held_when_its_run_was_cancelled_is_not_tried_again() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    enqueue(&queue, &run(), &["a"]).await;
    let held = take(&queue).await.unwrap();
    // Between the first and the second step of a cancel.
    let state = ("state", "cancelled");
    let mut connection = redis.commands();
    let () = connection
        .hset(keys.run(&run()), state.0, state.1)
        .await
        .unwrap();
    assert!(queue.settle("w", &held, &later()).await.unwrap());
    let waiting: u64 = connection.zcard(keys.retry(Lane::Low)).await.unwrap();
    assert_eq!((waiting, queue.depth(Lane::Low, 0).await.unwrap()), (0, 0));
}

#[tokio::test]
async fn a_paused_lane_gives_nothing_out_and_the_other_lane_goes_on() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    enqueue(&queue, &run(), &["held", "due", "ready"]).await;
    let held = take(&queue).await.unwrap();
    let due = take(&queue).await.unwrap();
    let at_once = Outcome::Retry {
        after: Duration::ZERO,
        error: "busy".into(),
    };
    assert!(queue.settle("w", &due, &at_once).await.unwrap());
    queue.pause_lane(Lane::Low).await.unwrap();
    assert_eq!(queue.paused_lanes().await.unwrap(), [Lane::Low]);
    assert_eq!(take_all(&queue).await, [""; 0]);
    let waiting: u64 = redis.commands().zcard(keys.retry(Lane::Low)).await.unwrap();
    assert_eq!(waiting, 1, "what waits for another attempt goes on waiting");

    // A wait hears of the lane that is open, and not of the other.
    assert_eq!(queue.take("w", Lane::High, 0, LEASE).await.unwrap(), None);
    let waiting = queue.wait("w", 0, Duration::from_secs(2));
    let (run_id, urgent) = (run(), jobs(&["urgent"]));
    let (waited, _) = tokio::join!(waiting, queue.enqueue(&run_id, Lane::High, 0, &urgent));
    let waited: Vec<String> = waited.unwrap().into_iter().map(|lease| lease.job).collect();
    assert_eq!(waited, ["urgent"]);
    queue.pause_lane(Lane::High).await.unwrap();
    let waited = queue.wait("w", 0, Duration::from_millis(1)).await.unwrap();
    assert_eq!(waited, [], "both are paused");

    assert_eq!(queue.renew("w", &held).await.unwrap(), Renewal::Held);
    assert!(
        queue
            .settle("w", &held, &Outcome::Done(vec![]))
            .await
            .unwrap()
    );
    queue.resume_lane(Lane::Low).await.unwrap();
    assert_eq!(take_all(&queue).await, ["ready", "due"]);
}

#[tokio::test]
async fn a_worker_that_waits_at_a_lane_while_it_is_paused_gets_nothing_of_it() {
    let server = Server::start();
    let (_redis, queue, _) = queue(&server).await;
    // Makes the groups.
    for lane in Lane::ALL {
        assert_eq!(queue.take("w", lane, 0, LEASE).await.unwrap(), None);
    }
    let waiting = queue.wait("w", 0, Duration::from_secs(2));
    let pausing = async {
        queue.pause_lane(Lane::Low).await.unwrap();
        enqueue(&queue, &run(), &["a"]).await;
    };
    let (waited, ()) = tokio::join!(waiting, pausing);
    assert_eq!(waited.unwrap(), []);
    queue.resume_lane(Lane::Low).await.unwrap();
    let lease = take(&queue).await.unwrap();
    assert_eq!((lease.job.as_str(), lease.failures), ("a", 0));
    assert_eq!(lease.crashes, 0, "nobody was silent");
}

#[tokio::test]
async fn a_server_without_memory_still_lets_a_run_be_paused_and_resumed() {
    let server = Server::start();
    let (redis, queue, _) = queue(&server).await;
    enqueue(&queue, &run(), &["a", "b", "c"]).await;
    let put_off = take(&queue).await.unwrap();
    assert!(queue.settle("w", &put_off, &later()).await.unwrap());
    let () = redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .query_async(&mut redis.commands())
        .await
        .unwrap();
    queue.pause(&run(), Lane::Low).await.unwrap();
    assert_eq!(take_all(&queue).await, [""; 0]);
    queue.resume(&run(), Lane::Low).await.unwrap();
    assert_eq!(take_all(&queue).await, ["a", "b", "c"]);
}

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
    support::wait_for_async("empty lanes", async || {
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
