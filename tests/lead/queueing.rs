//! What schedulers that follow each other queue.

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::queue::{Kind, Lane};
use sojourn_scheduler::inbox;

use crate::support::run::{backfill, status, wait_for_status};
use crate::support::{Running, Server, small_dataset, wait_for_async};
use crate::{LEAD, MANY, scheduler};

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

pub async fn assert_each_is_queued_once(redis: &Redis) {
    let expected: Vec<String> = (0..MANY).map(|shard| format!("{shard:05}")).collect();
    assert_eq!(queued(redis).await, expected);
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
        let mut killed = scheduler(&server, LEAD, "5000");
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
    let _last = scheduler(&server, LEAD, "5000");
    wait_for_async("all jobs", async || {
        (planned().await == MANY as u64).then_some(())
    })
    .await;
    assert_each_is_queued_once(&redis).await;
    let _workers =
        ["extract", "name"].map(|kind| Running::start("sojourn-worker", &[kind], &server));
    let done = wait_for_status(&redis, &run, |status| status.record.state.is_over()).await;
    let counts = ["jobs", "done", "users"].map(|name| done.count(name));
    assert_eq!(counts, [MANY as u64; 3], "{done:?}");
    assert_eq!((done.count("named"), done.dead()), (2 * MANY as u64, 0));
}
