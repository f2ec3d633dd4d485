//! The queue with jobs that do nothing, beside BullMQ and apalis: one process each, on one server.
//! Sojourn's jobs are a shard or a call each, of which a worker does a few in a second; every one is
//! taken, held and settled by itself, and who takes it is fenced.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sojourn::connection::{Redis, RedisOptions};
use sojourn::health::Contact;
use sojourn::queue::{
    Consumer, ConsumerOptions, Counts, Failure, Kind, Lane, Lease, NewJob, Queue, RetryPolicy, Work,
};
use sojourn::run::RunId;
use tokio_util::sync::CancellationToken;

use super::table::{Row, Table};
use crate::shared::peer;
use crate::shared::redis;

const JOBS: u64 = 50_000;

/// Bytes of a job, as much as the job of a shard has.
const PAYLOAD: usize = 200;

/// Jobs in one call.
const AT_ONCE: usize = 500;

/// Jobs that are worked on at once.
const CONCURRENCY: usize = 100;

pub fn measure(table: &mut Table) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_server, url) = redis::start_on_port(folder.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (pushed, consumed) = runtime.block_on(sojourn(&url));
    let of = |program: &mut Command| {
        peer::said(
            program
                .arg(&url)
                .args([&JOBS.to_string(), "--payload", &PAYLOAD.to_string()]),
        )
    };
    let apalis = of(&mut Command::new(peer::file(
        ".tools/apalis/release/sojourn-bench-apalis",
    )));
    let bullmq = of(Command::new("node").arg(peer::file("benches/peers/queue/bullmq/index.mjs")));
    for (competitor, said) in [("BullMQ", bullmq), ("apalis-redis", apalis)] {
        for (what, ours, field) in [
            ("pushed", pushed, "pushed_per_second"),
            ("done", consumed, "consumed_per_second"),
        ] {
            let theirs = said.as_ref().map_err(Clone::clone);
            table.add(Row {
                what: format!("queue: jobs {what}"),
                unit: "jobs",
                ours,
                competitor: competitor.into(),
                theirs: theirs.and_then(|said| said[field].as_f64().ok_or(format!("no {field}"))),
            });
        }
    }
}

/// Jobs pushed, and done, in a second.
async fn sojourn(url: &str) -> (f64, f64) {
    let redis = Redis::connect(&RedisOptions::new(url))
        .await
        .expect("it answers");
    let queue = Queue::new(redis, Kind::Extract, 1);
    let run = RunId::parse("1763947200000-0").expect("a run");
    let job = |number| NewJob {
        id: format!("{number}"),
        payload: vec![b'x'; PAYLOAD],
        size: None,
    };
    let jobs: Vec<NewJob> = (0..JOBS).map(job).collect();
    let begun = Instant::now();
    for jobs in jobs.chunks(AT_ONCE) {
        queue
            .enqueue(&run, Lane::Low, 0, jobs)
            .await
            .expect("they are queued");
    }
    let pushed = begun.elapsed();

    let options = ConsumerOptions {
        concurrency: CONCURRENCY,
        lease: Duration::from_secs(600),
        drain: Duration::from_secs(60),
        retry: RetryPolicy::of(Kind::Extract),
    };
    let stop = CancellationToken::new();
    let consumer = Consumer::new(queue.clone(), options);
    let begun = Instant::now();
    let worker = tokio::spawn(consumer.run(Arc::new(Nothing), stop.clone()));
    while queue.standing(&run).await.expect("it answers").pending > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let consumed = begun.elapsed();
    stop.cancel();
    let summary = worker.await.expect("it ends").expect("it works");
    assert_eq!(summary.done, JOBS);
    (
        JOBS as f64 / pushed.as_secs_f64(),
        JOBS as f64 / consumed.as_secs_f64(),
    )
}

struct Nothing;

impl Work for Nothing {
    async fn perform(
        &self,
        _: &Lease,
        _: &CancellationToken,
        _: Contact,
    ) -> Result<Counts, Failure> {
        Ok(Counts::new())
    }
}
