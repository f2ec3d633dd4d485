//! A scheduler that is killed while it queues the jobs of a run.

use std::time::{Duration, Instant};

use crate::crew::{Crew, SCHEDULER, Shape};
use crate::figures::{Figures, seconds};
use crate::ordeal::Ordeal;
use crate::process::Site;
use crate::proxy::{Proxy, Weather};
use crate::run::Run;
use crate::{is_long, wait_long};

/// How many jobs of a run were queued so far.
fn planned(run: &Run<'_>) -> u64 {
    run.count("extract", "planned")
}

/// Kills the scheduler, starts another, and waits until that has queued more; returns how long that
/// took.
fn replace_scheduler(crew: &mut Crew, run: &Run<'_>, jobs: u64) -> Duration {
    crew.replace(SCHEDULER).kill();
    let died = Instant::now();
    let before = planned(run);
    assert!(
        before < jobs,
        "everything was queued when the scheduler died"
    );
    wait_long("another scheduler", || {
        (planned(run) > before).then_some(())
    });
    died.elapsed()
}

/// Kills schedulers of a run when so many of its jobs are queued, in some weather until then.
fn kill_schedulers(
    scenario: &'static str,
    ordeal: &Ordeal,
    shape: Shape,
    weather: Weather,
    when: &[u64],
) {
    let proxy = Proxy::before(&ordeal.server.nodes[0].socket());
    proxy.set(weather);
    let site = Site {
        url: proxy.url(),
        ..Site::on(&ordeal.server)
    };
    let mut crew = Crew::start(site, shape);
    let run = ordeal.backfill();
    let mut longest = Duration::ZERO;
    for &queued in when {
        wait_long("jobs that are queued", || {
            (planned(&run) >= queued).then_some(())
        });
        longest = longest.max(replace_scheduler(&mut crew, &run, ordeal.jobs()));
    }
    proxy.set(Weather::Clear);
    let figures = Figures::of(scenario)
        .add("times", when.len())
        .add("longest recovery", seconds(longest));
    ordeal.judge(&run, figures);
    assert_eq!(planned(&run), ordeal.jobs(), "each job was queued once");
    crew.assert_runs();
}

#[test]
fn a_scheduler_that_is_killed_while_workers_drain_the_queue_leaves_no_gap_and_no_duplicate() {
    let (users, times) = if is_long() { (6_000, 5) } else { (1_500, 1) };
    let ordeal = Ordeal::over(users, 2);
    // So few that it has to come back again and again.
    let serve_with = vec!["--queue-depth", "8"];
    let shape = Shape {
        serve_with,
        ..Shape::small(Duration::from_secs(3))
    };
    let when: Vec<u64> = (1..=times)
        .map(|n| ordeal.jobs() * n / (times + 1))
        .collect();
    kill_schedulers(
        "scheduler killed while it tops up",
        &ordeal,
        shape,
        Weather::Clear,
        &when,
    );
}

#[test]
fn a_scheduler_that_is_killed_in_the_middle_of_queueing_leaves_no_gap_and_no_duplicate() {
    let (jobs, when): (usize, &[u64]) = if is_long() {
        (8_000, &[1, 1000, 2000, 4000, 6000])
    } else {
        (1_600, &[1])
    };
    let ordeal = Ordeal::over(jobs, 1);
    // So late that there are seconds in which to kill it.
    let slow = Weather::Slow(Duration::from_millis(50));
    // So many that it queues everything in one go, some jobs in each call.
    let serve_with = vec!["--queue-depth", "1000000"];
    let shape = Shape {
        serve_with,
        ..Shape::small(Duration::from_secs(3))
    };
    kill_schedulers("scheduler killed in one go", &ordeal, shape, slow, when);
}
