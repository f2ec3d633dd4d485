//! Which scheduler leads: in this process, and with real ones that are stopped and killed.

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::queue::{Kind, Lane, Queues};
use sojourn::run::RunId;
use sojourn_scheduler::cohort::{self, CohortError};
use sojourn_scheduler::inbox;
use sojourn_scheduler::leader::Candidate;
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::register::{Register, RegisterError};
use sojourn_scheduler::scheduler::{Scheduler, SchedulerOptions};
use support::run::{backfill, status, wait_for_status};
use support::{Running, Server, small_dataset, wait_for_async};
use tokio_util::sync::CancellationToken;

/// Lead of the schedulers. Short, and its renewal is late only when a busy machine holds one up for
/// two thirds of it.
const LEAD: Duration = Duration::from_secs(3);
const LEAD_SECONDS: &str = "3";

/// What a machine that is busy with other tests may add to a bound that is promised.
const SLACK: Duration = Duration::from_secs(10);

async fn leader(redis: &Redis) -> Option<String> {
    let key = redis.keys().leader();
    redis.commands().get(key).await.unwrap()
}

async fn wait_for_leader(redis: &Redis, other_than: Option<&str>) -> String {
    wait_for_async("a leader", async || {
        leader(redis)
            .await
            .filter(|holder| Some(holder.as_str()) != other_than)
    })
    .await
}

/// Everything in the register but who leads, which is renewed all the time.
async fn register(redis: &Redis) -> HashMap<String, Vec<u8>> {
    let mut connection = redis.commands();
    let keys: Vec<String> = connection.keys("sj:{runs}:*").await.unwrap();
    let mut dumped = HashMap::new();
    for key in keys {
        if key != redis.keys().leader() {
            let dump: Option<Vec<u8>> = redis::cmd("DUMP")
                .arg(&key)
                .query_async(&mut connection)
                .await
                .unwrap();
            dumped.extend(dump.map(|dump| (key, dump)));
        }
    }
    dumped
}

fn send(signal: &str, process: &Running) {
    let sent = Command::new("kill")
        .args([signal, &process.0.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(sent.success());
}

/// Whether the log of a scheduler holds this. Logs are numbered by what was in the folder before.
fn logged(server: &Server, what: &str) -> usize {
    let logs = std::fs::read_dir(server.folder.path()).unwrap();
    let texts = logs.filter_map(|entry| {
        let path = entry.unwrap().path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        is_log.then(|| std::fs::read_to_string(path).unwrap())
    });
    texts.map(|text| text.matches(what).count()).sum()
}

fn scheduler(server: &Server, queue_depth: &str) -> Running {
    let arguments = [
        "serve",
        "--lead",
        LEAD_SECONDS,
        "--queue-depth",
        queue_depth,
    ];
    Running::start("sojourn", &arguments, server)
}

#[tokio::test]
async fn the_register_listens_to_the_scheduler_that_leads_and_to_no_other() {
    let server = Server::start();
    let redis = server.connect().await;
    let minute = Duration::from_secs(60);
    let [first, second] = [(); 2].map(|()| Candidate::new(&redis, minute));
    let run = RunId::parse("1763947200000-0").unwrap();
    let request = Ok(backfill(Path::new("/d")));
    let by = |candidate: &Candidate| Register::led_by(&redis, candidate.identity());
    let refused = |result: Result<bool, RegisterError>| {
        assert!(matches!(result, Err(RegisterError::LeadLost)), "{result:?}");
    };

    // Nobody leads, as when a lead has ended.
    refused(by(&first).create(&run, &request).await.map(|()| true));
    assert!(first.lead().await.unwrap());
    by(&first).create(&run, &request).await.unwrap();
    assert!(by(&first).start(&run, "d", 1, 1, 0).await.unwrap());

    // It was stopped, and another took over.
    let mut connection = redis.commands();
    let gone = RunId::parse("1-0").unwrap();
    let active = redis.keys().active_runs();
    let () = connection.sadd(active, gone.as_str()).await.unwrap();
    let () = connection
        .sadd(redis.keys().cohort("new"), "ann")
        .await
        .unwrap();
    first.resign().await.unwrap();
    assert!(second.lead().await.unwrap());
    let before = register(&redis).await;
    let late = by(&first);
    let next = RunId::parse("1763947200001-0").unwrap();
    refused(late.create(&next, &request).await.map(|()| true));
    refused(late.start(&run, "other", 2, 2, 0).await);
    refused(late.note_waiting(&run, "nothing").await.map(|()| true));
    let record = late.run(&run).await.unwrap();
    refused(late.begin_again(&record, 9).await);
    refused(late.end(&run, RunState::Done, None).await);
    refused(late.active_runs().await.map(|_| true));
    let copied = cohort::snapshot(&redis, &late, &run, "new").await;
    let lost = CohortError::Register(RegisterError::LeadLost);
    assert_eq!(copied.unwrap_err().to_string(), lost.to_string());
    assert_eq!(register(&redis).await, before);

    // The command line needs no lead.
    let queues = Queues::open(&redis).await.unwrap();
    let register = Register::new(&redis);
    assert!(register.pause(&run, &queues).await.unwrap());
    assert!(register.resume(&run, &queues).await.unwrap());
    assert!(register.cancel(&run, &queues).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_is_kept_while_something_takes_long_and_lost_to_whoever_has_it() {
    let server = Server::start();
    let redis = server.connect().await;
    let candidate = Candidate::new(&redis, LEAD);
    let kept = candidate.take_lead().await.unwrap().unwrap();
    let other = Candidate::new(&redis, LEAD);
    // Time has to pass for a lead to end: twice as much.
    let end = Instant::now() + 2 * LEAD;
    while Instant::now() < end {
        assert!(other.take_lead().await.unwrap().is_none());
        tokio::time::sleep(LEAD / 10).await;
    }
    let key = redis.keys().leader();
    let () = redis.commands().set(key, other.identity()).await.unwrap();
    tokio::time::timeout(SLACK, kept.lost())
        .await
        .expect("the lead is lost");
    assert_eq!(leader(&redis).await.as_deref(), Some(other.identity()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_ends_when_redis_does_not_answer() {
    let mut server = Server::start();
    let redis = server.connect().await;
    let candidate = Candidate::new(&redis, Duration::from_millis(300));
    let kept = candidate.take_lead().await.unwrap().unwrap();
    server.kill();
    tokio::time::timeout(SLACK, kept.lost())
        .await
        .expect("the lead is lost");
}

/// A scheduler whose turn is held up: the dataset is a folder whose manifest is a pipe that nobody
/// writes to.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_takes_longer_than_the_lead_does_not_cost_it() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join(sojourn::dataset::MANIFEST_FILE);
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let redis = server.connect().await;
    let arguments = ["serve", "--lead", LEAD_SECONDS];
    let _first = Running::start("sojourn", &arguments, &server);
    let holder = wait_for_leader(&redis, None).await;
    let run = inbox::submit(&redis, &backfill(folder.path()))
        .await
        .unwrap();
    // Opening a pipe waits for whoever reads from it: the turn is in the middle of the manifest.
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::OpenOptions::new().write(true).open(pipe).unwrap()
    });
    let _held_up = opened.await.unwrap();
    let _second = Running::start("sojourn", &arguments, &server);
    wait_for_async("a standby", async || {
        (logged(&server, "standing by") > 0).then_some(())
    })
    .await;
    // Time has to pass for a lead to end: twice as much.
    let end = Instant::now() + 2 * LEAD;
    while Instant::now() < end {
        assert_eq!(leader(&redis).await.as_ref(), Some(&holder));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let held_up = status(&redis, &run).await.unwrap();
    assert_eq!(held_up.record.state, RunState::Planning);
}

/// Jobs of the runs in which schedulers are stopped and killed.
const MANY: usize = 1500;

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_was_stopped_past_its_lead_changes_nothing_when_it_wakes() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), MANY, 1);
    let redis = server.connect().await;
    let first = scheduler(&server, "8");
    let stopped = wait_for_leader(&redis, None).await;
    let _second = scheduler(&server, "8");
    let _workers =
        ["extract", "name"].map(|kind| Running::start("sojourn-worker", &[kind], &server));
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    wait_for_status(&redis, &run, |status| status.count("done") >= 50).await;
    send("-STOP", &first);
    let since = Instant::now();
    let queued = status(&redis, &run).await.unwrap().count("planned");
    assert!(queued < MANY as u64, "it was in the middle");
    wait_for_leader(&redis, Some(&stopped)).await;
    wait_for_status(&redis, &run, |status| status.count("planned") > queued + 64).await;
    let recovered = since.elapsed();
    println!(
        "a stopped scheduler was replaced after {recovered:?}; two lead times are {:?}",
        2 * LEAD
    );
    assert!(recovered < 2 * LEAD + SLACK);

    let done = wait_for_status(&redis, &run, |status| status.record.state.is_over()).await;
    let before = register(&redis).await;
    send("-CONT", &first);
    wait_for_async("the stopped one to stand by", async || {
        (logged(&server, "lost the lead") > 0 && logged(&server, "standing by") > 1).then_some(())
    })
    .await;
    assert_eq!(register(&redis).await, before, "it changed nothing");
    assert_eq!(done.record.state, RunState::Done);
    let counts = ["jobs", "done", "users"].map(|name| done.count(name));
    assert_eq!(counts, [MANY as u64; 3], "{done:?}");
    assert_eq!((done.count("named"), done.dead()), (2 * MANY as u64, 0));
}

/// The ids of all extraction jobs that are queued.
async fn queued(redis: &Redis) -> Vec<String> {
    let mut ids = Vec::new();
    for partition in 0..4 {
        let lane = redis
            .keys()
            .partition(Kind::Extract, partition)
            .lane(Lane::Low);
        let entries: redis::streams::StreamRangeReply =
            redis.commands().xrange_all(lane).await.unwrap();
        ids.extend(
            entries
                .ids
                .iter()
                .map(|entry| entry.get::<String>("job").unwrap()),
        );
    }
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_killed_while_it_queues_leaves_no_gap_and_no_duplicate() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), MANY, 1);
    let redis = server.connect().await;
    let mut first = scheduler(&server, "64");
    let killed = wait_for_leader(&redis, None).await;
    let _second = scheduler(&server, "5000");
    wait_for_async("a standby", async || {
        (logged(&server, "standing by") > 0).then_some(())
    })
    .await;
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    // It queues until its depth is reached; there are no workers.
    wait_for_status(&redis, &run, |status| status.count("planned") >= 200).await;
    first.0.kill().unwrap();
    let since = Instant::now();
    wait_for_leader(&redis, Some(&killed)).await;
    wait_for_status(&redis, &run, |status| status.count("planned") > 4 * 64).await;
    let recovered = since.elapsed();
    println!(
        "a killed scheduler was replaced after {recovered:?}; two lead times are {:?}",
        2 * LEAD
    );
    assert!(recovered < 2 * LEAD + SLACK);
    wait_for_status(&redis, &run, |status| {
        status.count("planned") == MANY as u64
    })
    .await;
    let expected: Vec<String> = (0..MANY).map(|shard| format!("{shard:05}")).collect();
    assert_eq!(queued(&redis).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_that_are_killed_again_and_again_queue_every_job_once() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), MANY, 1);
    let redis = server.connect().await;
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    let planned = async || {
        status(&redis, &run)
            .await
            .map_or(0, |status| status.count("planned"))
    };
    let key = redis.keys().leader();
    for at_least in [1, 300, 600, 900] {
        let mut killed = scheduler(&server, "5000");
        // Wherever it is in the middle of it.
        wait_for_async("some jobs", async || {
            (planned().await >= at_least).then_some(())
        })
        .await;
        killed.0.kill().unwrap();
        killed.0.wait().unwrap();
        // The next need not wait for the end of the lead, which is tested elsewhere.
        let () = redis.commands().del(&key).await.unwrap();
    }
    let _last = scheduler(&server, "5000");
    wait_for_async("all jobs", async || {
        (planned().await == MANY as u64).then_some(())
    })
    .await;
    let expected: Vec<String> = (0..MANY).map(|shard| format!("{shard:05}")).collect();
    assert_eq!(queued(&redis).await, expected);
    let _workers =
        ["extract", "name"].map(|kind| Running::start("sojourn-worker", &[kind], &server));
    let done = wait_for_status(&redis, &run, |status| status.record.state.is_over()).await;
    let counts = ["jobs", "done", "users"].map(|name| done.count(name));
    assert_eq!(counts, [MANY as u64; 3], "{done:?}");
    assert_eq!((done.count("named"), done.dead()), (2 * MANY as u64, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_lost_the_lead_takes_it_again_when_it_is_free() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 20, 10);
    let redis = server.connect().await;
    let stop = CancellationToken::new();
    let options = SchedulerOptions {
        lead: Duration::from_millis(500),
        ..SchedulerOptions::default()
    };
    let scheduler = Scheduler::new(&redis, options).await.unwrap();
    let scheduling = tokio::spawn(scheduler.run(stop.clone()));
    let identity = wait_for_leader(&redis, None).await;
    let key = redis.keys().leader();
    let () = redis
        .commands()
        .pset_ex(&key, "another", 1000)
        .await
        .unwrap();
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    wait_for_status(&redis, &run, |status| status.pending == 2).await;
    assert_eq!(wait_for_leader(&redis, Some("another")).await, identity);
    stop.cancel();
    scheduling.await.unwrap();
    assert_eq!(leader(&redis).await, None, "it gave up the lead");
}
