//! A network that is slow, that cuts connections, and that loses what it carries without a word.

use std::time::{Duration, Instant};

use crate::crew::Shape;
use crate::figures::{Figures, seconds};
use crate::ordeal::Ordeal;
use crate::process::Site;
use crate::proxy::{Proxy, Weather};
use crate::under_way::UnderWay;
use crate::{is_long, wait_long};

/// Silence after which a job is taken over here. Longer than a slow renewal takes.
const LEASE: Duration = Duration::from_secs(4);

/// How long processes wait for the answer to a command here. Longer than a slow round trip.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Within what time a process notices that nobody answers: two seconds more where the command
/// blocks.
const NOTICED: Duration = Duration::from_secs(5);

/// What comes on top of that: a pause that has grown to five seconds, the lease of a job whose
/// hand-over was lost, and a busy machine.
const MARGIN: Duration = Duration::from_secs(30);

/// A run whose processes reach their Redis over a bad network, and that network.
fn under_way(users: usize) -> (UnderWay, Proxy) {
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
    (UnderWay::start_at(site, ordeal, shape), proxy)
}

#[test]
fn a_network_that_takes_a_second_for_a_round_trip_is_slow_and_nothing_else() {
    // A part of the run: every look at a queue takes seconds like that.
    let slow_for = Duration::from_secs(if is_long() { 120 } else { 8 });
    let (mut run, proxy) = under_way(2_000);
    let done = |run: &UnderWay| ["extract", "name"].map(|kind| run.run().count(kind, "done"));
    let before = done(&run);
    proxy.set(Weather::Slow(Duration::from_millis(500)));
    // The duration is what is tested.
    std::thread::sleep(slow_for);
    let meanwhile = wait_long("a job of each worker", || {
        let [extract, name] = done(&run);
        let [extract, name] = [extract - before[0], name - before[1]];
        (extract > 0 && name > 0).then_some([extract, name])
    });
    run.assert_under_way();
    proxy.set(Weather::Clear);
    let figures = Figures::of("round trips of a second")
        .add("seconds", slow_for.as_secs())
        .add("jobs meanwhile", meanwhile[0])
        .add("naming jobs meanwhile", meanwhile[1]);
    run.judge_without_failures(figures);
}

#[test]
fn connections_that_are_cut_again_and_again_are_made_again() {
    let times = if is_long() { 300 } else { 20 };
    let (mut run, proxy) = under_way(6_000);
    let mut cut = 0;
    for _ in 0..times {
        cut += proxy.cut();
        // Some commands get through in between, as over a bad line.
        std::thread::sleep(Duration::from_millis(100));
    }
    let recovery = run.recovery();
    let figures = Figures::of("connections cut")
        .add("times", times)
        .add("connections", cut)
        .add("recovery", seconds(recovery));
    run.judge(figures);
}

/// Loses what is sent for a moment; connections that lost something stay dead.
fn lose(scenario: &'static str, weather: Weather) {
    let (mut run, proxy) = under_way(4_000);
    let connections = proxy.accepted();
    let begun = Instant::now();
    proxy.set(weather);
    // Longer than anybody waits for an answer, so that new connections lose something, too.
    std::thread::sleep(NOTICED + Duration::from_secs(1));
    proxy.set(Weather::Clear);
    run.recovery();
    let recovery = begun.elapsed();
    run.crew.wait_until_all_wait();
    let made = proxy.accepted() - connections;
    let figures = Figures::of(scenario).add("new connections", made).add(
        "recovery",
        format!("{} of {:?}", seconds(recovery), NOTICED + MARGIN),
    );
    run.judge(figures);
    assert!(recovery <= NOTICED + MARGIN, "{recovery:?}");
}

#[test]
fn connections_that_are_open_on_one_side_only_are_noticed_and_made_again() {
    lose("connections half-open", Weather::Silent);
}

#[test]
fn replies_that_never_arrive_lose_nothing_and_count_nothing_twice() {
    lose("replies lost", Weather::Mute);
}
