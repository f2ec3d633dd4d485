//! Extraction jobs that Redis has lost: they are queued again from the plan.

use std::time::Duration;

use redis::AsyncCommands;
use sojourn::queue::{Kind, Lane, Outcome, Renewal};

use crate::support::Server;
use crate::{Trial, entries, extract, name};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_whose_entries_were_deleted_are_done_and_counted_once() {
    let server = Server::start();
    let trial = Trial::begin(&server, 40, 1).await;
    let mut connection = trial.redis.commands();
    trial.wait(|status| status.pending == 40).await;

    let lanes: Vec<String> = trial
        .partitions(Kind::Extract)
        .iter()
        .map(|keys| keys.lane(Lane::Low))
        .collect();
    let queue = trial.queues().await.extract;
    let lease = Duration::from_secs(600);
    let held = queue.take("w", Lane::Low, 0, lease).await.unwrap().unwrap();
    let silent = queue.take("w", Lane::Low, 0, lease).await.unwrap().unwrap();
    // Two that are leased and one that is ready, a whole lane, and a group with a leased job.
    let of_first = entries(&trial.redis, &lanes[0]).await;
    let () = connection.xdel(&lanes[0], &of_first[..3]).await.unwrap();
    let () = connection.del(&lanes[1]).await.unwrap();
    assert!(
        queue
            .take("w", Lane::Low, 2, lease)
            .await
            .unwrap()
            .is_some()
    );
    let () = connection
        .xgroup_destroy(&lanes[2], "workers")
        .await
        .unwrap();
    trial.wait(|status| status.count("requeued") >= 13).await;

    assert_eq!(queue.renew("w", &silent).await.unwrap(), Renewal::Lost);
    let done = Outcome::Done(vec![("users", 1)]);
    assert!(
        !queue.settle("w", &held, &done).await.unwrap(),
        "its entry is gone, and another has the job"
    );
    let _workers = (extract(&server), name(&server));
    let done = trial.assert_whole().await;
    assert_eq!(
        done.count("requeued"),
        13,
        "nothing that was there was queued again"
    );

    // Whatever attempt wrote a result, those of a run that restarts are later ones.
    trial.repair().await;
    let repaired = trial.assert_whole().await;
    assert_eq!(repaired.count("retried"), 0, "{repaired:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_forgot_everything_is_planned_again() {
    let server = Server::start();
    let trial = Trial::begin(&server, 40, 1).await;
    trial.wait(|status| status.pending == 40).await;
    trial.forget(&trial.partitions(Kind::Extract)[3]).await;
    trial.wait(|status| status.pending == 40).await;
    let _workers = (extract(&server), name(&server));
    trial.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_forgot_a_restart_is_told_of_it_again() {
    let server = Server::start();
    let trial = Trial::begin(&server, 40, 1).await;
    trial.wait(|status| status.pending == 40).await;
    trial.repair().await;
    trial.wait_until_restarted(1).await;
    trial.wait(|status| status.pending == 40).await;
    trial.forget(&trial.partitions(Kind::Extract)[3]).await;
    // Otherwise what it is given would count as attempts of before.
    trial.wait_until_restarted(1).await;
    trial.wait(|status| status.pending == 40).await;
    let _workers = (extract(&server), name(&server));
    let done = trial.assert_whole().await;
    assert_eq!(done.record.restarts, 1, "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_stayed_paused_while_its_run_goes_on_is_resumed() {
    let server = Server::start();
    let trial = Trial::begin(&server, 20, 1).await;
    trial.wait(|status| status.pending == 20).await;
    // As after a pause and a resume at the same moment, of which the resume reached the register last.
    let queue = trial.queues().await.extract;
    queue.pause(&trial.run, Lane::Low).await.unwrap();
    let _workers = (extract(&server), name(&server));
    trial.assert_whole().await;
}
