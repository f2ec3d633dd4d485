//! Naming workers that share a limit of their endpoint are killed, one after the other, as long as it
//! is used up: the endpoint's own books say whether it was kept to, and how much of it was used.
//!
//! Whoever is slow uses less of a limit, and no test may fail for that: only the long form asserts
//! how much is used.

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::faulty::{Faulty, distinct_dataset};
use crate::figures::{Figures, is_long, seconds};
use crate::process::{Process, Role, Site};
use crate::run::Run;
use crate::support::Server;
use crate::workforce::{Workforce, names_by_source};
use crate::{patience, seed};

/// Calls that each worker has under way, at most.
const CALLS: usize = 8;

/// One user's journeys are a question.
const PER_CALL: u64 = 2;

/// As often a worker is killed.
const KILL_EVERY: Duration = Duration::from_secs(3);

/// The first windows are not steady yet.
const WARM_UP: usize = 65;

/// What is measured after them, in seconds.
const MEASURED: usize = 180;

/// How long a request may take from a worker to the endpoint.
const TRANSIT: Duration = Duration::from_secs(1);

/// Tokens of a question, about, as the endpoint counts them; of an input limit, there are so many for
/// each call.
const QUESTION: u64 = 480;

/// A limit of an endpoint.
struct Limit {
    scenario: &'static str,
    /// What the endpoint calls it, and its place among those of the books.
    name: &'static str,
    place: usize,
    /// What the workers are told.
    options: String,
    per_minute: u64,
}

/// Calls that a limit has room for in a minute.
fn calls_per_minute() -> u64 {
    if is_long() { 3_000 } else { 1_200 }
}

/// Users of whom each is a call: for a little longer than a window, or than the time that is measured.
fn users() -> u64 {
    let lasts = if is_long() {
        WARM_UP + MEASURED + 25
    } else {
        64
    };
    calls_per_minute() * lasts as u64 / 60
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_keep_to_a_limit_of_requests() {
    let per_minute = calls_per_minute();
    let limit = Limit {
        scenario: "shared limit of requests",
        name: "requests",
        place: 0,
        options: format!("--requests-per-minute {per_minute}"),
        per_minute,
    };
    use_up(&limit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_keep_to_a_limit_of_input_tokens() {
    let per_minute = calls_per_minute() * QUESTION;
    let limit = Limit {
        scenario: "shared limit of input tokens",
        name: "input_tokens",
        place: 1,
        options: format!("--requests-per-minute 100000 --input-tokens-per-minute {per_minute}"),
        per_minute,
    };
    use_up(&limit).await;
}

/// Kills workers until nearly everybody is named; returns the books when the run is over.
async fn kill_until_over(
    run: &Run<'_>,
    endpoint: &Faulty,
    workers: &mut Workforce<'_>,
    chance: &mut StdRng,
) -> Value {
    let deadline = Instant::now() + patience();
    let mut next = Instant::now() + KILL_EVERY;
    while !run.is_over() {
        assert!(Instant::now() < deadline, "waited too long for the end");
        // How closely the end is noticed.
        tokio::time::sleep(Duration::from_millis(200)).await;
        if Instant::now() < next {
            continue;
        }
        let report = endpoint.report().await;
        let named = report["journeys"]["named"].as_u64().expect("a number");
        // The last jobs need not wait for the leases of the dead.
        if named > 0 && named < PER_CALL * users() * 9 / 10 {
            workers.replace_one(chance);
        }
        next += KILL_EVERY;
    }
    run.wait_until_done();
    endpoint.report().await
}

async fn use_up(limit: &Limit) {
    let seed = seed();
    let endpoint = Faulty::start(&json!({
        "latency": {"median_ms": 200, "sigma": 0.8},
        // It does not say what is left: who is told so keeps to a limit without knowing it.
        "limits": {limit.name: limit.per_minute, "headers": false},
    }));
    let server = Server::start_single_with(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dataset = distinct_dataset(folder.path(), users(), 10);
    let site = Site::on(&server);
    let _others = [
        Process::start(Role::Scheduler, &site, &[]),
        Process::start(Role::Extract, &site, &[]),
    ];
    let arguments = format!(
        "--endpoint {} --model fake --journeys-per-call {PER_CALL} --lease 10 {}",
        endpoint.url(),
        limit.options
    );
    let mut workers = Workforce::start(&server, CALLS, &arguments);
    let run = Run::backfill(&server, &dataset);
    let mut chance = StdRng::seed_from_u64(seed);
    let report = kill_until_over(&run, &endpoint, &mut workers, &mut chance).await;

    let most = report["most_in_a_minute"][limit.name].as_u64();
    let most = most.expect("a number");
    let stall = Duration::from_millis(report["longest_stall_ms"].as_u64().expect("a number"));
    let share = steady_share(&report, limit);
    let repeats = workers.judge(&report);
    let ledger = run.status()["ledger"]["calls"].as_u64().unwrap_or(0);
    let mut figures = Figures::of(limit.scenario)
        .add("seed", seed)
        .add("workers killed", workers.killed())
        .add("calls", &report["requests"])
        .add("in the ledger", ledger)
        .add(
            "most in a minute",
            format!("{most} of {}", limit.per_minute),
        )
        .add("over the limit", &report["over_limit"])
        .add("longest stall of the machine", seconds(stall))
        .add("calls that nobody waited for", &report["abandoned"])
        .add("calls paid for again", repeats.calls)
        .add("journeys paid for again", repeats.journeys);
    if let Some(share) = share {
        figures = figures.add(
            "used in the steady state",
            format!("{:.2} %", 100.0 * share),
        );
    }
    figures.show();

    let names = names_by_source(&server, users()).await;
    assert_eq!(names.get("llm"), Some(&(PER_CALL * users())), "{names:?}");
    assert_eq!(report["journeys"]["named"], PER_CALL * users());
    // What arrived while the machine had no time for the endpoint is counted late.
    let late = stall.saturating_sub(TRANSIT).as_secs_f64();
    let bound = limit.per_minute as f64 * (60.0 + late) / 60.0;
    assert!(most as f64 <= bound, "{most} of {}", limit.per_minute);
    if is_long() {
        let share = share.expect("it lasted long enough");
        assert!(share >= 0.97, "{share}");
    }
}

/// How much of the limit was used in the time that is measured, if there was such a time.
fn steady_share(report: &Value, limit: &Limit) -> Option<f64> {
    let amount = |second: &Value| second[limit.place].as_u64().unwrap_or(0);
    let seconds: Vec<u64> = report["seconds"].as_array()?.iter().map(amount).collect();
    let begun = seconds.iter().position(|&amount| amount > 0)?;
    let measured = seconds.get(begun + WARM_UP..begun + WARM_UP + MEASURED)?;
    let used: u64 = measured.iter().sum();
    Some(used as f64 * 60.0 / (limit.per_minute as f64 * MEASURED as f64))
}
