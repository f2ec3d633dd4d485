//! A network that is slow, that cuts connections, and that loses what it carries without a word.

use std::time::{Duration, Instant};

use crate::crew::{Crew, Shape};
use crate::figures::Figures;
use crate::is_long;
use crate::ordeal::Ordeal;
use crate::process::Site;
use crate::proxy::{Proxy, Weather};
use crate::run::Run;

/// Silence after which a job is taken over here. Longer than a slow renewal takes.
const LEASE: Duration = Duration::from_secs(4);

/// How long processes wait for the answer to a command here. Longer than a slow round trip.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Within what time a process notices that nobody answers: two seconds more where the command
/// blocks.
const NOTICED: Duration = Duration::from_secs(5);

/// What comes on top of that: a pause that has grown to five seconds, the lease of a job whose
/// hand-over was lost, and a busy machine.
const MARGIN: Duration = Duration::from_secs(15);

/// A run whose processes reach their Redis over a bad network.
struct Journey {
    ordeal: Ordeal,
    proxy: Proxy,
    crew: Crew,
    run: String,
}

impl Journey {
    /// In the middle of the run.
    fn half_way(users: usize) -> Journey {
        let ordeal = Ordeal::over(users, 10);
        let proxy = Proxy::before(&ordeal.server.nodes[0].socket());
        let site = Site {
            url: proxy.url(),
            ..Site::on(&ordeal.server)
        };
        let shape = Shape {
            redis_timeout: TIMEOUT,
            ..Shape::small(LEASE)
        };
        let crew = Crew::start(site, shape);
        let run = ordeal.backfill().id;
        let journey = Journey {
            ordeal,
            proxy,
            crew,
            run,
        };
        journey.run().wait_for_jobs(journey.ordeal.jobs() / 4);
        assert!(!journey.run().is_over());
        journey
    }

    fn run(&self) -> Run<'_> {
        self.ordeal.run(&self.run)
    }

    /// Waits until another job is done; returns how long that took.
    fn recovery(&self) -> Duration {
        let done = self.run().count("extract", "done");
        let begun = Instant::now();
        self.run().wait_for_jobs(done + 1);
        begun.elapsed()
    }

    /// Waits for the end of the run, and asserts that nothing is lost or counted twice and every
    /// process still runs.
    fn judge(mut self, figures: Figures) {
        self.ordeal.judge(&self.ordeal.run(&self.run), figures);
        self.crew.assert_runs();
    }
}

#[test]
fn a_network_that_takes_a_second_for_a_round_trip_is_slow_and_nothing_else() {
    // A part of the run: every look at a queue takes seconds like that.
    let slow_for = Duration::from_secs(if is_long() { 120 } else { 8 });
    let journey = Journey::half_way(2_000);
    let before = journey.run().count("extract", "done");
    journey.proxy.set(Weather::Slow(Duration::from_millis(500)));
    // The duration is what is tested.
    std::thread::sleep(slow_for);
    let done = journey.run().count("extract", "done") - before;
    journey.proxy.set(Weather::Clear);
    let figures = Figures::of("round trips of a second")
        .add("seconds", slow_for.as_secs())
        .add("jobs meanwhile", done);
    journey.judge(figures);
}

#[test]
fn connections_that_are_cut_again_and_again_are_made_again() {
    let times = if is_long() { 300 } else { 20 };
    let journey = Journey::half_way(6_000);
    let mut cut = 0;
    for _ in 0..times {
        cut += journey.proxy.cut();
        // Some commands get through in between, as over a bad line.
        std::thread::sleep(Duration::from_millis(100));
    }
    let recovery = journey.recovery();
    let figures = Figures::of("connections cut")
        .add("times", times)
        .add("connections", cut)
        .add("recovery", format!("{:.1} s", recovery.as_secs_f64()));
    journey.judge(figures);
}

/// Loses what is sent for a moment; connections that lost something stay dead.
fn lose(scenario: &'static str, weather: Weather) {
    let journey = Journey::half_way(4_000);
    let connections = journey.proxy.accepted();
    let begun = Instant::now();
    journey.proxy.set(weather);
    // Longer than anybody waits for an answer, so that new connections lose something, too.
    std::thread::sleep(NOTICED + Duration::from_secs(1));
    journey.proxy.set(Weather::Clear);
    journey.recovery();
    let recovery = begun.elapsed();
    let made = journey.proxy.accepted() - connections;
    let waited = journey.crew.that_said("waiting for Redis");
    let figures = Figures::of(scenario).add("new connections", made).add(
        "recovery",
        format!("{:.1} s of {:?}", recovery.as_secs_f64(), NOTICED + MARGIN),
    );
    journey.judge(figures);
    assert!(recovery <= NOTICED + MARGIN, "{recovery:?}");
    assert!(waited >= 2, "both workers say what they wait for");
}

#[test]
fn connections_that_are_open_on_one_side_only_are_noticed_and_made_again() {
    lose("connections half-open", Weather::Silent);
}

#[test]
fn replies_that_never_arrive_lose_nothing_and_count_nothing_twice() {
    lose("replies lost", Weather::Mute);
}
