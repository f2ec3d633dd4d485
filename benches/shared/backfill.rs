//! A backfill by the real processes.

use std::path::Path;
use std::time::{Duration, Instant};

use super::cpu::cpu;
use super::support::{Running, Server, command, json};

/// How often it is asked how far the run is.
const LOOK: Duration = Duration::from_millis(200);

/// What a backfill took.
pub struct Backfill {
    pub users_per_second: f64,
    /// CPU microseconds of a user: of all workers, and of Redis.
    pub workers: f64,
    pub redis: f64,
}

/// From the request until everybody's journeys are there.
pub fn run(dataset: &Path, users: u64, workers: usize, server: &Server) -> Backfill {
    let _scheduler = Running::start("sojourn", &["serve"], server);
    let start = |_| Running::start("sojourn-worker", &["extract"], server);
    let workers: Vec<Running> = (0..workers).map(start).collect();
    let ask = |arguments: &[&str]| {
        let mut sojourn = command("sojourn");
        sojourn.args(arguments).args(["--json", "--quiet"]);
        sojourn.env("SOJOURN_REDIS", server.url());
        json(&sojourn.output().expect("sojourn runs"))
    };
    let busy = || {
        workers
            .iter()
            .map(|worker| cpu(worker.0.id()))
            .sum::<Duration>()
    };
    let redis = server.nodes[0].pid();
    let (begun, workers_before, redis_before) = (Instant::now(), busy(), cpu(redis));
    let run = ask(&["backfill", &dataset.display().to_string()]);
    let run = run["run"].as_str().expect("a run").to_owned();
    while ask(&["run", &run])["counts"]["users"].as_u64() != Some(users) {
        assert!(
            begun.elapsed() < Duration::from_secs(3600),
            "it does not end"
        );
        std::thread::sleep(LOOK);
    }
    let per_user = |time: Duration| time.as_secs_f64() * 1e6 / users as f64;
    Backfill {
        users_per_second: users as f64 / begun.elapsed().as_secs_f64(),
        workers: per_user(busy() - workers_before),
        redis: per_user(cpu(redis) - redis_before),
    }
}
