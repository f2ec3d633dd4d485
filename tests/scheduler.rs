//! The scheduler in this process, on a real server, without workers.

mod support;

use std::path::Path;
use std::time::Duration;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::queue::{Enqueued, Lane, NewJob, Outcome, Queue, Queues};
use sojourn::run::RunId;
use sojourn_scheduler::cohort::{self, CohortError};
use sojourn_scheduler::inbox::{self, Inbox};
use sojourn_scheduler::leader::Candidate;
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::register::Register;
use sojourn_scheduler::scheduler::{Scheduler, SchedulerOptions};
use support::run::{backfill, wait_for_status};
use support::{Server, small_dataset};
use tokio_util::sync::{CancellationToken, DropGuard};

const NOW: Duration = Duration::from_millis(1);

/// A scheduler that runs until the guard is dropped.
async fn start(redis: &Redis, options: SchedulerOptions) -> DropGuard {
    let stop = CancellationToken::new();
    let scheduler = Scheduler::new(redis, options).await.unwrap();
    tokio::spawn(scheduler.run(stop.clone()));
    stop.drop_guard()
}

#[tokio::test]
async fn a_request_comes_again_until_it_is_finished() {
    let server = Server::start();
    let redis = server.connect().await;
    let request = backfill(Path::new("/d"));
    let mut inbox = Inbox::new(&redis);
    assert_eq!(inbox.receive(NOW).await.unwrap(), []);
    let run = inbox::submit(&redis, &request).await.unwrap();
    assert!(inbox::holds(&redis, &run).await.unwrap());
    for _ in 0..2 {
        let received = inbox.receive(NOW).await.unwrap();
        assert_eq!(received[0].request, Ok(request.clone()));
    }
    // A successor finds it, too, and then it is gone for both.
    let mut successor = Inbox::new(&redis);
    assert_eq!(successor.receive(NOW).await.unwrap()[0].run, run);
    successor.finish(&run).await.unwrap();
    assert_eq!(successor.receive(NOW).await.unwrap(), []);
    assert_eq!(inbox.receive(NOW).await.unwrap(), []);
    assert!(!inbox::holds(&redis, &run).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_read_before_redis_died_is_entered_when_it_is_back() {
    let mut server = Server::start_with(&["--appendfsync", "always"]);
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 20, 10);
    let redis = server.connect().await;
    let _scheduler = start(&redis, SchedulerOptions::default()).await;
    let first = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    wait_for_status(&redis, &first, |status| status.record.jobs == 2).await;

    // Read, as by a scheduler whose reply was lost, under the name that every scheduler has.
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    let mut lost = Inbox::new(&redis);
    // Whoever of the two was first: the entry has been read, or is in the register already.
    lost.receive(NOW).await.unwrap();
    server.kill();
    server.restart();
    wait_for_status(&redis, &run, |status| status.record.jobs == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_no_text_fails_and_those_beside_it_are_served() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 20, 10);
    let redis = server.connect().await;
    let bad: String = redis
        .commands()
        .xadd("sj:triggers", "*", &[(&b"kind"[..], &b"\xff\xfe"[..])])
        .await
        .unwrap();
    let good = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    let _scheduler = start(&redis, SchedulerOptions::default()).await;
    let bad = RunId::parse(&bad).unwrap();
    let failed = wait_for_status(&redis, &bad, |status| status.record.state.is_over()).await;
    assert_eq!(failed.record.state, RunState::Failed);
    assert!(failed.record.error.unwrap().contains("UTF-8"));
    wait_for_status(&redis, &good, |status| status.pending == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_dataset_cannot_be_read_waits_and_holds_up_no_other() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 20, 10);
    let file = folder.path().join("items.csv");
    let redis = server.connect().await;
    let mut urgent = backfill(&file);
    urgent.lane = Lane::High;
    let stuck = inbox::submit(&redis, &urgent).await.unwrap();
    let good = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    let _scheduler = start(&redis, SchedulerOptions::default()).await;
    wait_for_status(&redis, &good, |status| status.pending == 2).await;
    let status = wait_for_status(&redis, &stuck, |status| status.record.waiting.is_some()).await;
    assert_eq!(status.record.state, RunState::Planning);
    let waiting = status.record.waiting.unwrap();
    assert!(waiting.contains("items.csv"), "{waiting}");
}

#[tokio::test(flavor = "multi_thread")]
async fn extraction_waits_while_too_many_names_do() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 20, 10);
    let redis = server.connect().await;
    let queues = Queues::open(&redis).await.unwrap();
    let other = RunId::parse("1763947200000-0").unwrap();
    let job = |id: &str| NewJob {
        id: id.into(),
        payload: Vec::new(),
        size: None,
    };
    let names: &Queue = &queues.name;
    for (partition, id) in [(0, "a"), (1, "b")] {
        let queued = names
            .enqueue(&other, Lane::Low, partition, &[job(id)])
            .await;
        assert_eq!(queued.unwrap(), Enqueued::Queued);
    }
    let options = SchedulerOptions {
        naming_backlog: 2,
        ..SchedulerOptions::default()
    };
    let _scheduler = start(&redis, options).await;
    let waits = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    let mut urgent = backfill(&dataset);
    urgent.lane = Lane::High;
    let goes = inbox::submit(&redis, &urgent).await.unwrap();
    // The other lane is not concerned; when its jobs are there, the first run was looked at.
    wait_for_status(&redis, &goes, |status| status.pending == 2).await;
    let status = wait_for_status(&redis, &waits, |status| status.record.jobs == 2).await;
    assert_eq!(status.pending, 0);

    let lease = names.take("n", Lane::Low, 0, NOW).await.unwrap().unwrap();
    let done = Outcome::Done(vec![]);
    assert!(names.settle("n", &lease, &done).await.unwrap());
    wait_for_status(&redis, &waits, |status| status.pending == 2).await;
}

#[tokio::test]
async fn a_cohort_is_copied_once_however_many_schedulers_plan_it() {
    let server = Server::start();
    let redis = server.connect().await;
    let run = RunId::parse("1763947200000-0").unwrap();
    let key = redis.keys().cohort("new");
    let mut connection = redis.commands();
    let () = connection.sadd(&key, &["b", "a"]).await.unwrap();
    let more = async {
        for number in 0..200 {
            let () = redis
                .commands()
                .sadd(&key, format!("u{number}"))
                .await
                .unwrap();
        }
    };
    let register = Register::new(&redis);
    let copy = || cohort::snapshot(&redis, &register, &run, "new");
    let (first, second, ()) = tokio::join!(copy(), copy(), more);
    let first = first.unwrap();
    assert_eq!(second.unwrap(), first);
    assert_eq!(copy().await.unwrap(), first);
    assert!(first.is_sorted() && first.len() >= 2);
    let left: Vec<String> = connection.keys("sj:{runs}:*").await.unwrap();
    assert_eq!(left, [redis.keys().run_users(&run)], "no copy is left over");
}

#[tokio::test]
async fn a_cohort_that_is_empty_or_no_set_says_so() {
    let server = Server::start();
    let redis = server.connect().await;
    let run = RunId::parse("1763947200000-0").unwrap();
    let register = Register::new(&redis);
    let snapshot = async || cohort::snapshot(&redis, &register, &run, "new").await;
    let empty = snapshot().await.unwrap_err();
    assert!(empty.to_string().contains("SADD sj:cohort:new"), "{empty}");
    let key = redis.keys().cohort("new");
    let () = redis.commands().set(&key, "text").await.unwrap();
    let error = snapshot().await.unwrap_err();
    assert!(matches!(error, CohortError::NoSet { .. }), "{error}");
}

#[tokio::test]
async fn an_uploaded_cohort_goes_away_by_itself() {
    let server = Server::start();
    let redis = server.connect().await;
    let name = cohort::upload(&redis, &["a", "b"]).await.unwrap();
    let ttl: i64 = redis
        .commands()
        .ttl(redis.keys().cohort(&name))
        .await
        .unwrap();
    assert!((86_000..=86_400).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn one_leads_until_it_resigns() {
    let server = Server::start();
    let redis = server.connect().await;
    let lead = Duration::from_secs(600);
    let [first, second] = [(); 2].map(|()| Candidate::new(&redis, lead));
    assert!(first.lead().await.unwrap());
    assert!(!second.lead().await.unwrap());
    second.resign().await.unwrap();
    assert!(first.lead().await.unwrap(), "nobody resigns for another");
    first.resign().await.unwrap();
    assert!(second.lead().await.unwrap());
}
