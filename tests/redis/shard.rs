//! A cluster of which one shard is away, with nobody to take over.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sojourn::connection::{Redis, RedisOptions};
use sojourn::health::Contact;
use sojourn::queue::{
    Consumer, ConsumerOptions, Counts, Failure, Kind, Lane, Lease, NewJob, Queue, RetryPolicy, Work,
};
use sojourn::run::RunId;
use tokio_util::sync::CancellationToken;

use crate::slots::owner;
use crate::support::{PATIENCE, Server, wait_for_async};

const PARTITIONS: u32 = 8;

/// Jobs of each partition: with one timeout for each of them, a test would not end.
const JOBS: u32 = 40;

/// Seconds until a command to a shard that is away fails.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Short, as the client may send a request for a job twice when a connection breaks: what nobody knows
/// to hold then comes back.
const LEASE: Duration = Duration::from_secs(5);

/// Notes the jobs that are done.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<BTreeSet<String>>>);

impl Notes {
    fn of(&self, partition: u32) -> usize {
        let jobs = self.0.lock().unwrap();
        let prefix = format!("{partition}/");
        jobs.iter().filter(|job| job.starts_with(&prefix)).count()
    }
}

impl Work for Notes {
    async fn perform(
        &self,
        lease: &Lease,
        _: &CancellationToken,
        _: Contact,
    ) -> Result<Counts, Failure> {
        self.0.lock().unwrap().insert(lease.job.clone());
        Ok(vec![])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_other_shards_are_done_while_one_is_away_and_its_own_when_it_is_back() {
    // Otherwise no node serves anything while a slot has none, and one that is killed may lose jobs.
    let settings = [
        "--cluster-require-full-coverage",
        "no",
        "--appendfsync",
        "always",
    ];
    let mut server = Server::start_cluster_with(0, &settings);
    let mut options = RedisOptions::new(server.url());
    options.timeout = TIMEOUT;
    let redis = Redis::connect(&options).await.unwrap();
    let queue = Queue::new(redis, Kind::Extract, PARTITIONS);
    let run = RunId::parse("1763947200000-0").unwrap();
    for partition in 0..PARTITIONS {
        let jobs: Vec<NewJob> = (0..JOBS)
            .map(|number| NewJob {
                id: format!("{partition}/{number}"),
                payload: vec![],
                size: None,
            })
            .collect();
        let enqueued = queue.enqueue(&run, Lane::Low, partition, &jobs).await;
        enqueued.unwrap();
    }
    let owners: Vec<usize> = (0..PARTITIONS)
        .map(|partition| {
            let keyslot = format!("CLUSTER KEYSLOT extract:{partition}");
            owner(&server, server.nodes[0].ask(&keyslot).unwrap())
        })
        .collect();
    let dead = owners[0];
    let (away, others): (Vec<u32>, Vec<u32>) =
        (0..PARTITIONS).partition(|&partition| owners[partition as usize] == dead);
    assert!(!others.is_empty());

    server.nodes[dead].kill();
    let consumer = Consumer::new(
        queue.clone(),
        ConsumerOptions {
            concurrency: 1,
            lease: LEASE,
            drain: PATIENCE,
            retry: RetryPolicy::of(Kind::Extract),
        },
    );
    let (notes, health, stop) = (
        Notes::default(),
        consumer.health(),
        CancellationToken::new(),
    );
    let worker = tokio::spawn(consumer.run(Arc::new(notes.clone()), stop.clone()));
    wait_for_async("the jobs of other shards", async || {
        let done = |&partition: &u32| notes.of(partition) == JOBS as usize;
        others.iter().all(done).then_some(())
    })
    .await;
    assert!(away.iter().all(|&partition| notes.of(partition) == 0));
    let report = health.report();
    let waiting_for = report.waiting_for.expect("it waits for the shard");
    assert!(waiting_for.starts_with("SJ10"), "{waiting_for}");

    server.nodes[dead].restart();
    wait_for_async("all jobs", async || {
        let done = |partition| notes.of(partition) == JOBS as usize;
        (0..PARTITIONS).all(done).then_some(())
    })
    .await;
    wait_for_async("the report that nothing is waited for", async || {
        health.report().waiting_for.is_none().then_some(())
    })
    .await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    let standing = queue.standing(&run).await.unwrap();
    let counts = (standing.pending, standing.count("done"));
    assert_eq!(counts, (0, u64::from(PARTITIONS * JOBS)));
}
