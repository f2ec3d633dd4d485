//! apalis with its Redis storage beside Sojourn's queue: pushes tasks that do nothing, then does them
//! all, and prints one JSON object.
//!
//! usage: sojourn-bench-apalis REDIS_URL JOBS [--payload 200] [--batch 500] [--workers 4]
//!        [--backlog 7000]
//!
//! `--payload` is the size of a task's text in bytes. A task is consumed when Redis has its result.
//! `scripts/bench/install` builds .tools/apalis/release/sojourn-bench-apalis, `scripts/bench/check` tries
//! it. With `--backlog 8000` it fails, as [`NOTE`] says.
//!
//! apalis at its best, as far as we could find out, on two cores: 500 tasks in a push and in a fetch (100
//! to 2,000 are about as good; with the 10 that it has by default, pushes and fetches are less than half
//! as fast), four workers (two are somewhat slower, one more so), no locks, no events.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};
use serde_json::json;
use tokio::sync::watch;

const NOTE: &str = "apalis-redis 1.0.0 pushes every task as one that is scheduled for now, and a worker moves all \
    that are due with one call in a script, which takes 7,999 of them at most; beyond, every fetch fails. So tasks \
    were pushed and consumed in turns, no more waiting at once than the backlog; the times are the sums of all \
    turns. Tasks that are done stay in Redis, and were removed between turns without that being timed";

struct Settings {
    url: String,
    jobs: u64,
    payload: u64,
    /// Tasks in a push, and in a worker's fetch.
    batch: u64,
    workers: u64,
    backlog: u64,
}

impl Settings {
    fn of(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Settings> {
        const USAGE: &str = "usage: sojourn-bench-apalis REDIS_URL JOBS [--payload 200] [--batch 500] [--workers 4] \
            [--backlog 7000]";
        let number = |name: &str, value: Option<String>, least: u64| match value
            .as_deref()
            .map(str::parse)
        {
            Some(Ok(number)) if number >= least => Ok(number),
            _ => bail!("{name} is no number from {least} on; {USAGE}"),
        };
        let mut settings = Settings {
            url: arguments.next().context(USAGE)?,
            jobs: number("JOBS", arguments.next(), 1)?,
            payload: 200,
            batch: 500,
            workers: 4,
            backlog: 7_000,
        };
        while let Some(option) = arguments.next() {
            let value = arguments.next();
            match option.as_str() {
                "--payload" => settings.payload = number(&option, value, 0)?,
                "--batch" => settings.batch = number(&option, value, 1)?,
                "--workers" => settings.workers = number(&option, value, 1)?,
                "--backlog" => settings.backlog = number(&option, value, 1)?,
                _ => bail!("{option} is unknown; {USAGE}"),
            }
        }
        Ok(settings)
    }

    fn queue(&self) -> Config {
        Config::default()
            .queue(format!("sojourn-bench-{}", std::process::id()))
            .batch_size(self.batch as usize)
            // As its documentation advises for tasks that are shorter than a heartbeat: what a worker
            // has fetched is given to others all the same if the worker falls silent.
            .lock_tasks(false)
            // Nobody listens.
            .emit_events(false)
    }
}

async fn push(
    storage: &mut RedisStorage<String>,
    jobs: u64,
    settings: &Settings,
) -> anyhow::Result<Duration> {
    let payload = "x".repeat(settings.payload as usize);
    let begun = Instant::now();
    let mut left = jobs;
    while left > 0 {
        let batch = left.min(settings.batch);
        storage
            .push_bulk(vec![payload.clone(); batch as usize])
            .await?;
        left -= batch;
    }
    Ok(begun.elapsed())
}

/// Workers with a connection each do the tasks, until all are done and their results are written.
async fn consume(turn: u64, jobs: u64, settings: &Settings) -> anyhow::Result<Duration> {
    let mut storages = Vec::new();
    for _ in 0..settings.workers {
        let connection = apalis_redis::connect(settings.url.as_str()).await?;
        storages.push(RedisStorage::<String>::new(connection).with_config(settings.queue()));
    }
    let left = Arc::new(AtomicU64::new(jobs));
    let (all_done, end) = watch::channel(());
    let all_done = Arc::new(all_done);
    let begun = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for (number, storage) in storages.into_iter().enumerate() {
        let (left, all_done, mut end) = (left.clone(), all_done.clone(), end.clone());
        let worker = WorkerBuilder::new(format!("worker-{turn}-{number}"))
            .backend(storage)
            .build(move |_: String| {
                if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    all_done.send_replace(());
                }
                std::future::ready(())
            });
        let end = async move { end.changed().await.map_err(std::io::Error::other) };
        workers.spawn(worker.run_until(end));
    }
    while let Some(ended) = workers.join_next().await {
        ended?.context("a worker has failed")?;
    }
    Ok(begun.elapsed())
}

/// How many tasks have been done; what was kept of them is removed, so that no turn finds a fuller Redis
/// than the first.
async fn clear(storage: &mut RedisStorage<String>) -> anyhow::Result<u64> {
    let queue = storage.get_config().clone();
    let connection = storage.get_connection();
    let done = redis::cmd("SCARD")
        .arg(queue.done_jobs_set())
        .query_async(connection)
        .await?;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("{}:*", queue.queue))
        .query_async(connection)
        .await?;
    for keys in keys.chunks(1_000) {
        redis::cmd("UNLINK")
            .arg(keys)
            .query_async::<()>(connection)
            .await?;
    }
    Ok(done)
}

async fn measured() -> anyhow::Result<serde_json::Value> {
    let settings = Settings::of(std::env::args().skip(1))?;
    let connection = apalis_redis::connect(settings.url.as_str())
        .await
        .with_context(|| format!("no Redis at {}", settings.url))?;
    let mut storage = RedisStorage::<String>::new(connection).with_config(settings.queue());
    let (mut pushed, mut consumed, mut left, mut turn) =
        (Duration::ZERO, Duration::ZERO, settings.jobs, 0);
    while left > 0 {
        let jobs = left.min(settings.backlog);
        pushed += push(&mut storage, jobs, &settings).await?;
        consumed += consume(turn, jobs, &settings).await?;
        let done = clear(&mut storage).await?;
        ensure!(done == jobs, "{done} of {jobs} tasks were done");
        left -= jobs;
        turn += 1;
    }
    let per_second = |time: Duration| settings.jobs as f64 / time.as_secs_f64();
    Ok(json!({
        "jobs": settings.jobs,
        "payload": settings.payload,
        "batch": settings.batch,
        "workers": settings.workers,
        "backlog": settings.backlog,
        "pushed_per_second": per_second(pushed),
        "consumed_per_second": per_second(consumed),
        "version": "apalis-redis 1.0.0",
        "note": NOTE,
    }))
}

#[tokio::main]
async fn main() -> ExitCode {
    match measured().await {
        Ok(found) => println!("{found}"),
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
