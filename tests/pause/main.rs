//! Runs and lanes that are paused, in the queue and through the real processes.

mod lanes;
mod memory;
mod processes;
mod runs;

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use sojourn::connection::Redis;
use sojourn::keys::PartitionKeys;
use sojourn::queue::{Enqueued, Kind, Lane, Lease, NewJob, Outcome, Queue};
use sojourn::run::RunId;
use support::Server;

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
