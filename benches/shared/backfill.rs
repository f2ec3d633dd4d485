//! A backfill by the real processes.

use std::path::Path;
use std::time::{Duration, Instant};

use super::process::{cpu, most_resident};
use super::support::{Running, Server, command, json};

/// How often it is asked how far the run is.
const LOOK: Duration = Duration::from_millis(200);

/// Who does it.
pub struct Crew {
    /// Worker processes.
    pub workers: usize,
    /// Threads of each; none: as many as there are cores.
    pub threads: Option<usize>,
    /// Where workers find Redis.
    pub url: String,
}

/// What it took.
pub struct Backfill {
    pub users_per_second: f64,
    /// CPU microseconds of a user: of all workers, and of Redis.
    pub workers: f64,
    pub redis: f64,
    /// The most memory that a worker had, and what Redis has in the end.
    pub worker_bytes: u64,
    pub redis_bytes: u64,
}

/// By some workers with all cores.
pub fn run(dataset: &Path, users: u64, workers: usize, server: &Server) -> Backfill {
    let crew = Crew {
        workers,
        threads: None,
        url: server.url(),
    };
    crew.run(dataset, users, server)
}

impl Crew {
    /// From the request until everybody's journeys are there.
    pub fn run(&self, dataset: &Path, users: u64, server: &Server) -> Backfill {
        // Nobody names the journeys, and that is not to hold them up.
        let backlog = users.to_string();
        let serve = ["serve", "--naming-backlog", &backlog];
        let _scheduler = Running::start("sojourn", &serve, server);
        let workers: Vec<Running> = (0..self.workers).map(|_| self.worker()).collect();
        let ask = |arguments: &[&str]| {
            let mut sojourn = command("sojourn");
            sojourn.args(arguments).args(["--json", "--quiet"]);
            sojourn.env("SOJOURN_REDIS", server.url());
            let output = sojourn.output().expect("sojourn runs");
            // A run is not known at once.
            output.status.success().then(|| json(&output))
        };
        let users_done = |run: &str| ask(&["run", run])?["counts"]["users"].as_u64();
        let pids = || workers.iter().map(|worker| worker.0.id());
        let busy = || pids().map(cpu).sum::<Duration>();
        let redis = server.nodes[0].pid();
        let (begun, workers_before, redis_before) = (Instant::now(), busy(), cpu(redis));
        let run = ask(&["backfill", &dataset.display().to_string()]).expect("it is asked for");
        let run = run["run"].as_str().expect("a run").to_owned();
        while users_done(&run) != Some(users) {
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
            worker_bytes: pids().map(most_resident).max().unwrap_or(0),
            redis_bytes: memory(server),
        }
    }

    fn worker(&self) -> Running {
        let mut worker = command("sojourn-worker");
        worker.arg("extract").env("SOJOURN_REDIS", &self.url);
        worker.stderr(std::process::Stdio::null());
        if let Some(threads) = self.threads {
            let threads = threads.to_string();
            worker.env("RAYON_NUM_THREADS", &threads);
            worker.env("TOKIO_WORKER_THREADS", &threads);
        }
        Running::spawn(worker)
    }
}

fn memory(server: &Server) -> u64 {
    let info: String = server.nodes[0].ask("INFO memory").expect("it answers");
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    used.and_then(|bytes| bytes.trim().parse().ok())
        .expect("bytes")
}
