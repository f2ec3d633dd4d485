//! The lead as a lease: kept, lost, and taken again.

use std::process::Command;
use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sojourn_scheduler::inbox;
use sojourn_scheduler::leader::Candidate;
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::scheduler::{Scheduler, SchedulerOptions};
use tokio_util::sync::CancellationToken;

use crate::support::run::{backfill, status, wait_for_status};
use crate::support::{PATIENCE, Server, small_dataset};
use crate::{LEAD, leader, scheduler, wait_for_leader, wait_for_standby};

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
    tokio::time::timeout(PATIENCE, kept.lost())
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
    tokio::time::timeout(PATIENCE, kept.lost())
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
    let _first = scheduler(&server, LEAD, "64");
    let holder = wait_for_leader(&redis, None).await;
    let run = inbox::submit(&redis, &backfill(folder.path()))
        .await
        .unwrap();
    // Opening a pipe waits for whoever reads from it: the turn is in the middle of the manifest.
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::OpenOptions::new().write(true).open(pipe).unwrap()
    });
    let _held_up = opened.await.unwrap();
    let _second = scheduler(&server, LEAD, "64");
    wait_for_standby(&server).await;
    // Time has to pass for a lead to end: twice as much.
    let end = Instant::now() + 2 * LEAD;
    while Instant::now() < end {
        assert_eq!(leader(&redis).await.as_ref(), Some(&holder));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let held_up = status(&redis, &run).await.unwrap();
    assert_eq!(held_up.record.state, RunState::Planning);
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
