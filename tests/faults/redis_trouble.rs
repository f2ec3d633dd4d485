//! A Redis that is there and does not do what it should, each trouble in its own way.

use std::time::{Duration, Instant};

use redis::RedisResult;

use crate::crew::{EXTRACT, Shape};
use crate::figures::{Figures, seconds};
use crate::ordeal::Ordeal;
use crate::process::Role;
use crate::run::query;
use crate::state::{held, lanes};
use crate::support::Server;
use crate::under_way::UnderWay;
use crate::{is_long, wait_long};

/// Silence after which a job is taken over here.
const LEASE: Duration = Duration::from_secs(3);

/// Tells the server something that it must do.
fn tell(server: &Server, words: &[&str]) {
    let told: RedisResult<redis::Value> = query(server, words);
    told.unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

/// Asserts that a command is answered with an error of this code.
fn assert_refused(server: &Server, words: &[&str], code: &str) {
    let told: RedisResult<redis::Value> = query(server, words);
    let error = told.expect_err("a refusal");
    assert_eq!(error.code(), Some(code), "{error}");
}

/// A run, on a server that gets into trouble when some of it is done.
fn under_way(arguments: &[&str]) -> UnderWay {
    let server = || Server::start_single_with(arguments);
    UnderWay::start(Ordeal::on(server, 4_000, 10), Shape::small(LEASE))
}

/// Does something again and again while a run goes on, at most so many times; returns how many.
fn again_and_again(
    run: &UnderWay,
    every: Duration,
    times: usize,
    mut act: impl FnMut(&Server),
) -> usize {
    for done in 0..times {
        if run.run().is_over() {
            return done;
        }
        act(run.server());
        // Work goes on in between.
        std::thread::sleep(every);
    }
    times
}

/// Waits until another job is done after the trouble; shows how long that took, and that the run is
/// whole, every process still there, and that no job was to blame.
fn judge(mut run: UnderWay, figures: Figures) {
    let recovery = seconds(run.recovery());
    run.judge_without_failures(figures.add("recovery", recovery));
}

#[test]
fn connections_that_redis_closes_are_made_again() {
    let run = under_way(&[]);
    let mut closed = 0;
    let times = again_and_again(&run, Duration::from_millis(100), 15, |server| {
        let words = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
        closed += query::<u64>(server, &words).expect("the server answers");
    });
    assert!(closed > 0);
    let figures = Figures::of("client kill")
        .add("times", times)
        .add("connections", closed);
    judge(run, figures);
}

#[test]
fn scripts_that_redis_forgets_are_loaded_again() {
    let run = under_way(&[]);
    let often = Duration::from_millis(20);
    let times = again_and_again(&run, often, 100, |server| {
        tell(server, &["SCRIPT", "FLUSH"])
    });
    judge(run, Figures::of("script flush").add("times", times));
}

#[test]
fn consumer_groups_that_are_gone_are_made_again() {
    let run = under_way(&[]);
    let mut destroyed = 0;
    let times = again_and_again(&run, Duration::from_millis(150), 10, |server| {
        for lane in ["extract", "name"].into_iter().flat_map(lanes) {
            let words = ["XGROUP", "DESTROY", &lane, "workers"];
            // A lane that nobody has looked at has no group.
            destroyed += query::<u64>(server, &words).unwrap_or(0);
        }
        let _: u64 = query(server, &["XGROUP", "DESTROY", "sj:triggers", "scheduler"]).unwrap_or(0);
    });
    assert!(destroyed > 0);
    judge(
        run,
        Figures::of("group destroyed")
            .add("times", times)
            .add("groups", destroyed),
    );
}

#[test]
fn a_redis_that_reads_its_data_back_is_waited_for() {
    // What makes reading back slow: a pause at each key, and a look at clients in between.
    let slowly = [
        "--key-load-delay",
        "50",
        "--loading-process-events-interval-bytes",
        "65536",
    ];
    let mut run = under_way(&slowly);
    run.ordeal.server.kill();
    run.ordeal.server.restart();
    let restarted = Instant::now();
    assert_refused(run.server(), &["DBSIZE"], "LOADING");
    run.crew.wait_until_all_wait();
    wait_long("the data", || query::<u64>(run.server(), &["DBSIZE"]).ok());
    let loading = seconds(restarted.elapsed());
    judge(run, Figures::of("loading").add("for", loading));
}

#[test]
fn a_redis_that_is_a_replica_for_a_while_is_waited_for() {
    let run = under_way(&[]);
    // Nobody listens there, so it keeps its data and takes no writes.
    tell(run.server(), &["REPLICAOF", "127.0.0.1", "1"]);
    assert_refused(run.server(), &["SET", "x", "y"], "READONLY");
    run.crew.wait_until_all_wait();
    tell(run.server(), &["REPLICAOF", "NO", "ONE"]);
    judge(run, Figures::of("read-only"));
}

#[test]
fn a_redis_without_memory_is_waited_for() {
    let run = under_way(&[]);
    tell(run.server(), &["CONFIG", "SET", "maxmemory", "1"]);
    assert_refused(run.server(), &["SET", "x", "y"], "OOM");
    // Whoever has nothing to write at that moment, since all names were given, lacks nothing.
    run.crew.wait_until_wait(&[Role::Extract]);
    // What had written all of its results may still be settled; nothing else can be done.
    let held = held(run.server(), &run.crew.members[EXTRACT]).expect("the server answers");
    let before = run.run().count("extract", "done");
    let without = Duration::from_secs(if is_long() { 120 } else { 6 });
    // Some attempts at whatever is tried: the duration is what is tested.
    std::thread::sleep(without);
    let meanwhile = run.run().count("extract", "done") - before;
    tell(run.server(), &["CONFIG", "SET", "maxmemory", "0"]);
    let figures = Figures::of("out of memory")
        .add("seconds", without.as_secs())
        .add("jobs meanwhile", meanwhile);
    judge(run, figures);
    assert!(meanwhile <= held, "{meanwhile} jobs of {held} were done");
}
