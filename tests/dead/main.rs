//! Dead letters: what is kept of a job that was given up, and how it is done after all.

mod command_line;
mod letters;
mod reopened;
mod runs;

#[path = "../support/llm.rs"]
mod llm;
// Only that it holds back what is sent is of use here.
#[allow(dead_code)]
#[path = "../faults/proxy.rs"]
mod proxy;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use sojourn::connection::Redis;
use sojourn::queue::{Enqueued, Kind, Lane, Lease, Letter, NewJob, Outcome, Queue};
use sojourn::run::RunId;

const LEASE: Duration = Duration::from_secs(600);

/// A lease that is over at once, for taking jobs over.
const NO_LEASE: Duration = Duration::ZERO;

fn run() -> RunId {
    RunId::parse("1763947200000-0").unwrap()
}

/// A queue of one partition.
fn queue(redis: &Redis, kind: Kind) -> Queue {
    Queue::new(redis.clone(), kind, 1)
}

fn jobs(ids: &[&str]) -> Vec<NewJob> {
    let job = |&id: &&str| NewJob {
        id: id.into(),
        payload: id.into(),
        size: None,
    };
    ids.iter().map(job).collect()
}

async fn enqueue(queue: &Queue, run: &RunId, id: &str) {
    let enqueued = queue.enqueue(run, Lane::Low, 0, &jobs(&[id])).await;
    assert_eq!(enqueued.unwrap(), Enqueued::Queued);
}

async fn take(queue: &Queue, worker: &str, lease: Duration) -> Option<Lease> {
    queue.take(worker, Lane::Low, 0, lease).await.unwrap()
}

/// Takes the next job and gives it up.
async fn give_up(queue: &Queue, error: &str) {
    let lease = take(queue, "w", LEASE).await.expect("a job");
    let error = error.into();
    let dead = Outcome::Dead { error };
    assert!(queue.settle("w", &lease, &dead).await.unwrap());
}

/// All letters, newest first.
async fn letters(queue: &Queue) -> Vec<Letter> {
    let mut all: Vec<Letter> = Vec::new();
    loop {
        let before = all.last().map(|letter| letter.id);
        let page = queue.letters(0, before).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}
