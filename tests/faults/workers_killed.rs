//! Workers that are killed, one after the other, while a backfill is under way.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::crew::{Crew, Shape};
use crate::figures::{Figures, seconds};
use crate::ordeal::Ordeal;
use crate::process::{Process, Site};
use crate::run::Run;
use crate::state::held;
use crate::support::Server;
use crate::{is_long, seed};

/// Silence after which a job is taken over here.
const LEASE: Duration = Duration::from_secs(3);

/// Within what time what a dead worker held must be with others: a lease time of silence, another for
/// a worker that is free to come by, and the rest for a busy machine.
const RECOVERY: Duration = Duration::from_secs(16);

/// What killing did.
#[derive(Default)]
struct Killed {
    workers: u64,
    jobs: u64,
    /// From the death of a worker that held something until it held nothing.
    recoveries: Vec<Duration>,
}

/// Kills a worker at random, and starts another in its place, again and again until the run is over.
fn kill_until_over(
    server: &Server,
    run: &Run<'_>,
    crew: &mut Crew,
    every: Duration,
    chance: &mut StdRng,
) -> Killed {
    let mut killed = Killed::default();
    let mut mourned: Vec<(Process, Instant)> = Vec::new();
    let mut next = Instant::now() + every;
    loop {
        mourned.retain(|(worker, died)| {
            let recovered = held(server, worker) == Some(0);
            if recovered {
                killed.recoveries.push(died.elapsed());
            }
            !recovered
        });
        let is_over = run.is_over();
        if is_over && mourned.is_empty() {
            return killed;
        }
        if !is_over && Instant::now() >= next {
            let mut dead = crew.replace(chance.random_range(crew.workers()));
            dead.kill();
            let died = Instant::now();
            killed.workers += 1;
            let jobs = held(server, &dead).expect("the server answers");
            killed.jobs += jobs;
            if jobs > 0 {
                mourned.push((dead, died));
            }
            next = Instant::now() + every;
        }
        // How closely recoveries are measured.
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn workers_that_are_killed_at_random_lose_nothing_and_count_nothing_twice() {
    kill_workers("workers killed", || Server::start_single_with(&[]));
}

pub fn kill_workers(scenario: &'static str, server: impl FnOnce() -> Server) {
    let (users, users_per_shard, every) = if is_long() {
        (100_000, 200, Duration::from_secs(2))
    } else {
        (20_000, 100, Duration::from_millis(500))
    };
    let seed = seed();
    let ordeal = Ordeal::on(server, users, users_per_shard);
    let shape = Shape {
        extract: 2,
        name: 2,
        ..Shape::small(LEASE)
    };
    let mut crew = Crew::start(Site::on(&ordeal.server), shape);
    let run = ordeal.backfill();
    let begun = Instant::now();
    let mut chance = StdRng::seed_from_u64(seed);
    let killed = kill_until_over(&ordeal.server, &run, &mut crew, every, &mut chance);
    let took = begun.elapsed();
    crew.assert_runs();

    let longest = killed.recoveries.iter().max().copied().unwrap_or_default();
    let figures = Figures::of(scenario)
        .add("seed", seed)
        .add("seconds", took.as_secs())
        .add("killed", killed.workers)
        .add("jobs they held", killed.jobs)
        .add(
            "longest recovery",
            format!("{} of {:?}", seconds(longest), RECOVERY),
        );
    ordeal.judge(&run, figures);
    assert!(
        killed.jobs > 0,
        "nobody was killed at work: {}",
        killed.workers
    );
    assert!(longest <= RECOVERY, "{:?}", killed.recoveries);
}
