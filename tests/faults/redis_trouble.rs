//! A Redis that is there and does not do what it should, each trouble in its own way.

use std::time::{Duration, Instant};

use redis::RedisResult;

use crate::crew::{Crew, Shape};
use crate::figures::Figures;
use crate::ordeal::Ordeal;
use crate::process::Site;
use crate::run::{Run, query};
use crate::state::lanes;
use crate::support::Server;
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

/// A run, and a server that is in trouble when some of it is done.
struct Trouble {
    ordeal: Ordeal,
    crew: Crew,
    run: String,
}

impl Trouble {
    fn half_way(server: &[&str]) -> Trouble {
        let ordeal = Ordeal::with(4_000, 10, server);
        let crew = Crew::start(Site::on(&ordeal.server), Shape::small(LEASE));
        let run = ordeal.backfill().id;
        let trouble = Trouble { ordeal, crew, run };
        trouble.run().wait_for_jobs(trouble.ordeal.jobs() / 4);
        assert!(!trouble.run().is_over());
        trouble
    }

    fn run(&self) -> Run<'_> {
        self.ordeal.run(&self.run)
    }

    fn server(&self) -> &Server {
        &self.ordeal.server
    }

    /// Does something again and again while the run goes on, at most so many times; returns how
    /// many.
    fn again_and_again(
        &self,
        every: Duration,
        times: usize,
        mut act: impl FnMut(&Server),
    ) -> usize {
        for done in 0..times {
            if self.run().is_over() {
                return done;
            }
            act(self.server());
            // Work goes on in between.
            std::thread::sleep(every);
        }
        times
    }

    /// Waits until workers and scheduler have noticed the trouble.
    fn wait_until_noticed(&self) {
        wait_long("workers that notice", || {
            (self.crew.that_said("waiting for Redis") == 3).then_some(())
        });
    }

    /// Waits until another job is done after the trouble; shows how long that took, and that the
    /// run is whole, every process still there, and that no job was to blame.
    fn judge(mut self, figures: Figures) {
        let begun = Instant::now();
        let done = self.run().count("extract", "done");
        self.run().wait_for_jobs(done + 1);
        let recovery = format!("{:.1} s", begun.elapsed().as_secs_f64());
        let run = self.ordeal.run(&self.run);
        let counts = self.ordeal.judge(&run, figures.add("recovery", recovery));
        self.crew.assert_runs();
        let failed = counts.get("retried") + counts.get("naming_retried");
        assert_eq!(failed, 0, "jobs failed");
    }
}

#[test]
fn connections_that_redis_closes_are_made_again() {
    let trouble = Trouble::half_way(&[]);
    let mut closed = 0;
    let times = trouble.again_and_again(Duration::from_millis(100), 15, |server| {
        let words = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
        closed += query::<u64>(server, &words).expect("the server answers");
    });
    assert!(closed > 0);
    let figures = Figures::of("client kill")
        .add("times", times)
        .add("connections", closed);
    trouble.judge(figures);
}

#[test]
fn scripts_that_redis_forgets_are_loaded_again() {
    let trouble = Trouble::half_way(&[]);
    let often = Duration::from_millis(20);
    let times = trouble.again_and_again(often, 100, |server| tell(server, &["SCRIPT", "FLUSH"]));
    trouble.judge(Figures::of("script flush").add("times", times));
}

#[test]
fn consumer_groups_that_are_gone_are_made_again() {
    let trouble = Trouble::half_way(&[]);
    let mut destroyed = 0;
    let times = trouble.again_and_again(Duration::from_millis(150), 10, |server| {
        for lane in ["extract", "name"].into_iter().flat_map(lanes) {
            let words = ["XGROUP", "DESTROY", &lane, "workers"];
            // A lane that nobody has looked at has no group.
            destroyed += query::<u64>(server, &words).unwrap_or(0);
        }
        let _: u64 = query(server, &["XGROUP", "DESTROY", "sj:triggers", "scheduler"]).unwrap_or(0);
    });
    assert!(destroyed > 0);
    trouble.judge(
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
    let mut trouble = Trouble::half_way(&slowly);
    trouble.ordeal.server.kill();
    trouble.ordeal.server.restart();
    let restarted = Instant::now();
    assert_refused(trouble.server(), &["DBSIZE"], "LOADING");
    trouble.wait_until_noticed();
    wait_long("the data", || {
        query::<u64>(trouble.server(), &["DBSIZE"]).ok()
    });
    let loading = format!("{:.1} s", restarted.elapsed().as_secs_f64());
    trouble.judge(Figures::of("loading").add("for", loading));
}

#[test]
fn a_redis_that_is_a_replica_for_a_while_is_waited_for() {
    let trouble = Trouble::half_way(&[]);
    // Nobody listens there, so it keeps its data and takes no writes.
    tell(trouble.server(), &["REPLICAOF", "127.0.0.1", "1"]);
    assert_refused(trouble.server(), &["SET", "x", "y"], "READONLY");
    trouble.wait_until_noticed();
    tell(trouble.server(), &["REPLICAOF", "NO", "ONE"]);
    trouble.judge(Figures::of("read-only"));
}

#[test]
fn a_redis_without_memory_is_waited_for() {
    let trouble = Trouble::half_way(&[]);
    tell(trouble.server(), &["CONFIG", "SET", "maxmemory", "1"]);
    assert_refused(trouble.server(), &["SET", "x", "y"], "OOM");
    let without = Duration::from_secs(if is_long() { 120 } else { 6 });
    // Some attempts at whatever is tried: the duration is what is tested.
    std::thread::sleep(without);
    tell(trouble.server(), &["CONFIG", "SET", "maxmemory", "0"]);
    trouble.judge(Figures::of("out of memory").add("seconds", without.as_secs()));
}
