//! Runs one after the other, while workers come and go, for as long as one likes: nothing grows.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::crew::{Crew, Shape};
use crate::errand::Errand;
use crate::figures::Figures;
use crate::lifetimes::{Inventory, take_inventory};
use crate::population::Population;
use crate::process::{Process, Role, Site};
use crate::run::{Run, query};
use crate::support::Server;
use crate::{is_long, seed, wait_long};

const MEBIBYTE: u64 = 1 << 20;

/// What one run leaves behind in Redis for thirty days, at most: its hash, and eight of counts.
/// docs/guarantees.md says so.
const BYTES_PER_RUN: u64 = 8 * 1024;

/// What a consumer weighs in the groups of eight lanes, at most. Those of killed workers are
/// forgotten after an hour.
const BYTES_PER_WORKER: u64 = 4 * 1024;

/// By how much what does not grow may differ between the first and the last third of the rounds.
/// Allocators keep some, and buffers come and go.
const SLACK: u64 = 2 * MEBIBYTE;

/// By how much the memory of a process may differ: what its threads hold of the allocator differs.
const RESIDENT_SLACK: u64 = 24 * MEBIBYTE;

/// What was there after a round.
struct Round {
    inventory: Inventory,
    /// What Redis uses beyond its keys.
    beyond_keys: u64,
    used: u64,
    /// Of the scheduler, and of the heaviest worker of each kind.
    resident: [u64; 3],
}

impl Round {
    fn look(server: &Server, crew: &Crew) -> Round {
        let inventory = take_inventory(server);
        let memory: String = query(server, &["INFO", "memory"]).expect("the server answers");
        let used = memory
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        let used: u64 = used.expect("used_memory").trim().parse().expect("a number");
        let keys: u64 = inventory.values().map(|weight| weight.bytes).sum();
        let heaviest = |role: Role| {
            let of_role = crew.members.iter().filter(|member| member.role == role);
            of_role.map(Process::resident).max().unwrap_or(0)
        };
        Round {
            inventory,
            beyond_keys: used.saturating_sub(keys),
            used,
            resident: [Role::Scheduler, Role::Extract, Role::Name].map(heaviest),
        }
    }
}

/// Half of the values are above it.
fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// Medians of the first and of the last third.
fn thirds(rounds: &[Round], what: impl Fn(&Round) -> u64) -> (u64, u64) {
    let third = (rounds.len() / 3).max(1);
    let of = |rounds: &[Round]| median(rounds.iter().map(&what));
    (of(&rounds[..third]), of(&rounds[rounds.len() - third..]))
}

/// Workers that come and go.
struct Turnover {
    crew: Crew,
    /// Those that were asked to end.
    leaving: Vec<Process>,
    /// How many were sent away.
    gone: usize,
}

impl Turnover {
    /// Kills a worker, or asks it to end; another comes in its place.
    fn replace_one(&mut self, chance: &mut StdRng) {
        let number = chance.random_range(self.crew.workers());
        let mut old = self.crew.replace(number);
        if chance.random() {
            old.kill();
        } else {
            old.ask_to_end();
            self.leaving.push(old);
        }
        self.gone += 1;
    }

    /// Waits until those that were asked to end have, and well.
    fn wait_for_leaving(&mut self) {
        for mut process in self.leaving.drain(..) {
            let (status, _) = process.wait();
            // One that has just started may not listen to signals yet: that was a kill.
            let well = status.success() || status.signal().is_some();
            assert!(well, "{status}: {}", process.said());
        }
    }
}

/// One errand, to the end of its run, while workers come and go.
fn round(
    server: &Server,
    population: &Population,
    errand: Errand,
    turnover: &mut Turnover,
    chance: &mut StdRng,
) {
    let run = errand.ask(server, population, chance, |chance| {
        turnover.replace_one(chance);
    });
    // At least one change in each round, and more of them in longer ones.
    loop {
        turnover.replace_one(chance);
        let next = Instant::now() + Duration::from_secs(2);
        wait_long("the end of the run", || {
            (run.is_over() || Instant::now() >= next).then_some(())
        });
        if run.is_over() {
            break;
        }
    }
    turnover.wait_for_leaving();
    let status = run.status();
    let dead = ["dead", "naming_dead"].map(|count| status["counts"][count].as_u64().unwrap_or(0));
    assert_eq!(dead, [0, 0], "{status}");
}

#[test]
fn runs_and_workers_that_come_and_go_leave_nothing_behind() {
    let minutes = std::env::var("SOJOURN_SOAK_MINUTES").ok();
    let minutes: f64 = minutes.map_or(30.0, |text| text.parse().expect("a number of minutes"));
    let lasts = if is_long() {
        Duration::from_secs_f64(60.0 * minutes)
    } else {
        Duration::from_secs(10)
    };
    let seed = seed();
    let mut chance = StdRng::seed_from_u64(seed);
    let population = Population::new(2_000, 20);
    let server = Server::start_single_with(&[]);
    let shape = Shape {
        extract: 2,
        name: 2,
        ..Shape::small(Duration::from_secs(2))
    };
    let mut turnover = Turnover {
        crew: Crew::start(Site::on(&server), shape),
        leaving: Vec::new(),
        gone: 0,
    };

    // What stays is there after the first runs: results of everybody, groups, scripts.
    Run::backfill(&server, &population.dataset).wait_until_done();
    let begun = Instant::now();
    let (mut rounds, mut errands) = (Vec::new(), BTreeMap::new());
    while begun.elapsed() < lasts || rounds.len() < Errand::ALL.len() {
        // Each of them once, and then any.
        let first = Errand::ALL.get(rounds.len()).copied();
        let errand = first.unwrap_or_else(|| Errand::by_chance(&mut chance));
        *errands.entry(errand).or_default() += 1;
        round(&server, &population, errand, &mut turnover, &mut chance);
        rounds.push(Round::look(&server, &turnover.crew));
    }
    turnover.crew.assert_runs();
    let workers = turnover.gone;
    show(seed, begun.elapsed(), &rounds, &errands, workers);

    let (first, last) = (&rounds[0].inventory, &rounds[rounds.len() - 1].inventory);
    let runs = rounds.len() as u64;
    for (kind, weight) in last {
        let before = first.get(kind).copied().unwrap_or_default();
        let grown = weight.bytes.saturating_sub(before.bytes);
        let allowed = match kind.as_str() {
            "runs" | "counts of runs" => runs * BYTES_PER_RUN,
            "sj:{*}:high" | "sj:{*}:low" => workers as u64 * BYTES_PER_WORKER,
            "sj:{runs}:index" => runs * 256,
            "pending sets" | "queued sets" | "parked jobs" | "sj:{*}:paused" => 0,
            // The one that the last recompute was about.
            "cohorts" => 16 * 1024,
            // Names and journeys of the same users, in other words.
            _ => before.bytes / 50 + 4096,
        };
        assert!(
            grown <= allowed,
            "{kind} has grown by {grown} bytes, {allowed} at most"
        );
    }
    let (before, after) = thirds(&rounds, |round| round.beyond_keys);
    assert!(
        after <= before + SLACK,
        "beyond keys: {before} bytes, then {after}"
    );
    for (number, role) in [Role::Scheduler, Role::Extract, Role::Name]
        .into_iter()
        .enumerate()
    {
        let (before, after) = thirds(&rounds, |round| round.resident[number]);
        assert!(
            after <= before + RESIDENT_SLACK,
            "{role:?}: {before} bytes, then {after}"
        );
    }
}

/// Shows how everything has grown.
fn show(
    seed: u64,
    took: Duration,
    rounds: &[Round],
    errands: &BTreeMap<Errand, u32>,
    workers: usize,
) {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / MEBIBYTE as f64);
    let grown = |what: &dyn Fn(&Round) -> u64| {
        let (before, after) = thirds(rounds, what);
        format!("{} then {}", mib(before), mib(after))
    };
    let mut figures = Figures::of("soak")
        .add("seed", seed)
        .add("minutes", format!("{:.1}", took.as_secs_f64() / 60.0))
        .add("runs", rounds.len())
        .add("of which", format!("{errands:?}"))
        .add("workers sent away", workers)
        .add("used_memory", grown(&|round| round.used))
        .add("beyond keys", grown(&|round| round.beyond_keys))
        .add("scheduler", grown(&|round| round.resident[0]))
        .add("extraction", grown(&|round| round.resident[1]))
        .add("naming", grown(&|round| round.resident[2]));
    let (first, last) = (&rounds[0].inventory, &rounds[rounds.len() - 1].inventory);
    for (kind, weight) in last {
        let before = first.get(kind).copied().unwrap_or_default();
        figures.row(format!(
            "{kind:<20} {:>6} keys {:>10} bytes after the first round, {:>6} keys {:>10} bytes after the last",
            before.keys, before.bytes, weight.keys, weight.bytes
        ));
    }
    figures.show();
}
