//! One scheduler takes over from another that was stopped or killed.

use std::process::Command;
use std::time::{Duration, Instant};

use sojourn_scheduler::inbox;
use sojourn_scheduler::record::RunState;

use crate::queueing::assert_each_is_queued_once;
use crate::support::run::{backfill, status, wait_for_status};
use crate::support::{Running, Server, small_dataset, wait_for_async};
use crate::{MANY, logged, register, scheduler, wait_for_leader, wait_for_standby};

/// Lead where the time of a takeover is measured. It should take one lead and a quarter at most, and is
/// promised within two: a busy machine may add what is between them, more than ten seconds, and a standby
/// that comes after another lead is too late.
const LONG_LEAD: Duration = Duration::from_secs(15);

fn assert_in_time(since: Instant) {
    let recovered = since.elapsed();
    println!("replaced after {recovered:?} with a lead of {LONG_LEAD:?}");
    assert!(recovered < 2 * LONG_LEAD, "{recovered:?}");
}

fn send(signal: &str, process: &Running) {
    let sent = Command::new("kill")
        .args([signal, &process.0.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(sent.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_was_stopped_past_its_lead_changes_nothing_when_it_wakes() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), MANY, 1);
    let redis = server.connect().await;
    let first = scheduler(&server, LONG_LEAD, "8");
    let stopped = wait_for_leader(&redis, None).await;
    let _second = scheduler(&server, LONG_LEAD, "8");
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
    assert_in_time(since);

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

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_killed_while_it_queues_leaves_no_gap_and_no_duplicate() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), MANY, 1);
    let redis = server.connect().await;
    let mut first = scheduler(&server, LONG_LEAD, "64");
    let killed = wait_for_leader(&redis, None).await;
    let _second = scheduler(&server, LONG_LEAD, "5000");
    wait_for_standby(&server).await;
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    // It queues until its depth is reached; there are no workers.
    wait_for_status(&redis, &run, |status| status.count("planned") >= 200).await;
    first.0.kill().unwrap();
    let since = Instant::now();
    wait_for_leader(&redis, Some(&killed)).await;
    wait_for_status(&redis, &run, |status| status.count("planned") > 4 * 64).await;
    assert_in_time(since);
    wait_for_status(&redis, &run, |status| {
        status.count("planned") == MANY as u64
    })
    .await;
    assert_each_is_queued_once(&redis).await;
}
