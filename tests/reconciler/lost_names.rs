//! Naming jobs that Redis has lost: their run restarts, or says so.

use std::time::Duration;

use redis::AsyncCommands;
use sojourn::naming::Namer;
use sojourn::queue::{Kind, Lane, Outcome, Work};
use sojourn_scheduler::letters::{Choice, Filter, Letters};
use sojourn_scheduler::record::RunState;
use sojourn_workers::naming::NamingWorker;
use tokio_util::sync::CancellationToken;

use crate::support::{self, Server, command, said};
use crate::{Trial, entries, extract, name};

#[tokio::test(flavor = "multi_thread")]
async fn naming_jobs_that_vanished_with_all_that_was_known_of_them_are_queued_again() {
    let server = Server::start();
    let (trial, _worker) = Trial::extracted(&server, 40).await;
    for keys in trial.partitions(Kind::Name) {
        trial.forget(&keys).await;
    }
    trial.wait_until_extracted(1, 8).await;
    let _worker = name(&server);
    trial.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_jobs_whose_entries_vanished_are_queued_again_and_names_that_are_there_are_kept() {
    let server = Server::start();
    let (trial, _worker) = Trial::extracted(&server, 60).await;
    let queue = trial.queues().await.name;
    let worker = NamingWorker::new(&trial.redis, Namer::Terms);
    let lease = Duration::from_secs(600);
    let mut connection = trial.redis.commands();
    let mut named = 0;
    for (partition, keys) in (0..).zip(trial.partitions(Kind::Name)) {
        let lane = keys.lane(Lane::Low);
        // The first is named, and nobody knows of the others any more.
        let first = queue.take("w", Lane::Low, partition, lease).await.unwrap();
        let Some(first) = first else { continue };
        let counts = worker
            .perform(&first, &CancellationToken::new(), support::contact())
            .await;
        let done = Outcome::Done(counts.unwrap());
        assert!(queue.settle("w", &first, &done).await.unwrap());
        named += 1;
        let others = entries(&trial.redis, &lane).await;
        if !others.is_empty() {
            let () = connection.xdel(&lane, &others).await.unwrap();
        }
    }
    assert!(named < 12, "there are jobs to be lost");
    let before = trial.wait_until_extracted(1, 12 - named).await;
    assert_eq!(before.count("naming_done"), 0, "{before:?}");
    let _naming = name(&server);
    let done = trial.assert_whole().await;
    assert_eq!(done.count("naming_done"), 12 - named, "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_jobs_vanish_every_time_ends_and_says_what_to_do() {
    let server = Server::start();
    let (trial, _worker) = Trial::extracted(&server, 20).await;
    for restarts in 0..=2 {
        trial.wait_until_extracted(restarts, 4).await;
        trial.lose_naming_jobs().await;
    }
    let done = trial.wait_until_over().await;
    assert_eq!(
        (done.record.state, done.lost),
        (RunState::Done, 4),
        "{done:?}"
    );
    let run = trial.run.as_str();
    let sojourn = |arguments: &[&str]| {
        command("sojourn")
            .args(arguments)
            .env("SOJOURN_REDIS", server.url())
            .output()
            .unwrap()
    };
    let output = sojourn(&["run", run]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains(&format!("sojourn repair {run}")), "{shown}");

    let _naming = name(&server);
    let repair = sojourn(&["repair", run, "--watch"]);
    assert!(repair.status.success(), "{}", said(&repair));
    trial.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_gives_a_run_all_the_restarts_that_it_may_make_by_itself() {
    let server = Server::start();
    let (trial, _worker) = Trial::extracted(&server, 20).await;
    trial.lose_naming_jobs().await;
    trial.wait_until_extracted(1, 4).await;
    for restarts in 2..=3 {
        trial.repair().await;
        trial.wait_until_extracted(restarts, 4).await;
    }
    for restarts in 4..=5 {
        trial.lose_naming_jobs().await;
        trial.wait_until_extracted(restarts, 4).await;
    }
    trial.lose_naming_jobs().await;
    let done = trial.wait_until_over().await;
    assert_eq!((done.record.restarts, done.lost), (5, 4), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_reopened_says_which_naming_jobs_were_lost_since() {
    let server = Server::start();
    let trial = Trial::begin(&server, 20, 5).await;
    trial.wait(|status| status.pending == 4).await;
    let extraction = trial.queues().await.extract;
    let mut dead = None;
    for partition in 0..extraction.partitions() {
        let lease = Duration::from_secs(600);
        dead = extraction
            .take("w", Lane::Low, partition, lease)
            .await
            .unwrap();
        if dead.is_some() {
            break;
        }
    }
    let given_up = Outcome::Dead {
        error: "no disk".into(),
    };
    let settled = extraction.settle("w", &dead.unwrap(), &given_up).await;
    assert!(settled.unwrap());
    let _worker = extract(&server);
    let naming = name(&server);
    let ended = trial.wait_until_over().await;
    assert_eq!((ended.dead(), ended.lost), (1, 0), "{ended:?}");
    drop(naming);

    let letters = Letters::open(&trial.redis).await.unwrap();
    let of_run = Choice::Like(Filter {
        run: Some(trial.run.clone()),
        ..Filter::default()
    });
    assert_eq!(letters.replay(&of_run).await.unwrap().replayed, 1);
    let reopened = trial.wait(|status| status.naming_pending == 1).await;
    assert_eq!(reopened.lost, 0, "{reopened:?}");
    trial.lose_naming_jobs().await;
    let ended = trial.wait_until_over().await;
    assert_eq!((ended.dead(), ended.lost), (0, 1), "{ended:?}");

    let _naming = name(&server);
    trial.repair().await;
    trial.assert_whole().await;
}
