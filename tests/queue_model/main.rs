//! The queue on a real server against a model of it in plain Rust: any operations, by several
//! workers, in any order, with what former holders say long after they have lost their jobs.
//!
//! `PROPTEST_CASES` says how many sequences there are, `PROPTEST_RNG_SEED` which. With `SOJOURN_SOAK`
//! they are many, and others each time.

/// Ends with a difference unless both are equal.
macro_rules! same {
    ($found:expr, $expected:expr, $($what:tt)*) => {
        let (found, expected) = (&$found, &$expected);
        if found != expected {
            let what = format!($($what)*);
            return Err(Difference(format!("{what}: the queue says {found:?}, the model {expected:?}")));
        }
    };
}

mod comparison;
mod model;
mod trial;

#[path = "../support/mod.rs"]
mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use sojourn::queue::{Lane, Queue, QueueError};
use support::Server;
use trial::Trial;

/// Sequences when nobody says how many: a few seconds' worth.
const CASES: u32 = 128;

/// Sequences of a soak: some minutes' worth.
const SOAK_CASES: u32 = 20_000;

/// Seed when nobody says which: the same sequences every time.
const SEED: u64 = 3;

/// Operations in a sequence, at most.
const OPERATIONS: usize = 80;

/// Something that happens to the queue. Numbers pick from what there is at that moment, the newest
/// first.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// The scheduler queues so many further jobs of a run; `behind` is by how much its cursor is
    /// wrong.
    Plan {
        run: usize,
        lane: Lane,
        jobs: usize,
        behind: u64,
    },
    /// A job that follows from another is queued, perhaps again.
    Follow { run: usize, lane: Lane, job: usize },
    /// A worker takes a job that nobody holds.
    Take { worker: usize, lane: Lane },
    /// All leases of a lane have run out, and a worker takes a job.
    TakeOver { worker: usize, lane: Lane },
    /// A worker waits for a new job in either lane.
    Wait { worker: usize },
    /// Somebody who has or had a lease renews it.
    Renew { lease: usize },
    /// Somebody who has or had a lease ends it.
    Settle { lease: usize, end: End },
    /// A worker dies, and another starts in its place.
    Crash { worker: usize },
    /// Waiting times are over.
    TimePasses,
    /// Workers without a job are forgotten.
    Tidy,
    /// A run is cancelled.
    Cancel { run: usize },
    /// A dead letter, which may be gone, is replayed.
    Replay { letter: usize },
    /// A dead letter, which may be gone, is dropped.
    Drop { letter: usize },
    // Further operations on runs (to pause and to resume one, to compare its pending set with the
    // queue) go here, into `operation`, `Trial::apply`, and a method each of `Trial` and `Model`.
}

/// How a lease ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Done,
    RetryAtOnce,
    RetryLater,
    Postpone,
    Dead,
    Quarantine,
    Release,
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::High), Just(Lane::Low)]
}

fn end() -> impl Strategy<Value = End> {
    use End::{Dead, Done, Postpone, Quarantine, Release, RetryAtOnce, RetryLater};
    proptest::sample::select(vec![
        Done,
        RetryAtOnce,
        RetryLater,
        Postpone,
        Dead,
        Quarantine,
        Release,
    ])
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let (run, worker, newest) = (0..2usize, 0..3usize, 0..6usize);
    prop_oneof![
        6 => (run.clone(), lane(), 0..3usize, prop_oneof![3 => Just(0), 1 => 1..3u64])
            .prop_map(|(run, lane, jobs, behind)| Plan { run, lane, jobs, behind }),
        3 => (run.clone(), lane(), 0..3usize).prop_map(|(run, lane, job)| Follow { run, lane, job }),
        10 => (worker.clone(), lane()).prop_map(|(worker, lane)| Take { worker, lane }),
        5 => (worker.clone(), lane()).prop_map(|(worker, lane)| TakeOver { worker, lane }),
        2 => worker.clone().prop_map(|worker| Wait { worker }),
        2 => newest.clone().prop_map(|lease| Renew { lease }),
        14 => (newest.clone(), end()).prop_map(|(lease, end)| Settle { lease, end }),
        2 => worker.prop_map(|worker| Crash { worker }),
        2 => Just(TimePasses),
        1 => Just(Tidy),
        1 => run.prop_map(|run| Cancel { run }),
        5 => newest.clone().prop_map(|letter| Replay { letter }),
        1 => newest.prop_map(|letter| Drop { letter }),
    ]
}

/// What differs between the queue and the model.
#[derive(Debug)]
pub struct Difference(pub String);

impl From<QueueError> for Difference {
    fn from(error: QueueError) -> Difference {
        Difference(error.to_string())
    }
}

impl From<redis::RedisError> for Difference {
    fn from(error: redis::RedisError) -> Difference {
        Difference(error.to_string())
    }
}

async fn run(
    queue: &Queue,
    redis: &sojourn::connection::Redis,
    operations: &[Operation],
) -> Result<(), Difference> {
    let mut trial = Trial::begin(queue, redis).await?;
    for (number, &operation) in operations.iter().enumerate() {
        let step = async {
            trial.apply(operation).await?;
            trial.compare().await
        };
        step.await.map_err(|Difference(what)| {
            Difference(format!("after operation {number}, {operation:?}: {what}"))
        })?;
    }
    let end = trial.drain().await;
    end.map_err(|Difference(what)| Difference(format!("when everything was done: {what}")))
}

#[test]
fn the_queue_does_what_its_model_does_whatever_happens() {
    let is_set = |variable: &str| std::env::var_os(variable).is_some();
    // What the environment says is in the default.
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let (cases, seed) = match is_set("SOJOURN_SOAK") {
        true => (SOAK_CASES, rand::random()),
        false => (CASES, SEED),
    };
    if !is_set("PROPTEST_CASES") {
        config.cases = cases;
    }
    if !is_set("PROPTEST_RNG_SEED") {
        config.rng_seed = RngSeed::Fixed(seed);
    }
    let (cases, seed) = (config.cases, config.rng_seed);
    println!("{cases} sequences of up to {OPERATIONS} operations, PROPTEST_RNG_SEED={seed}");

    let server = Server::start_with(&["--appendonly", "no"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let redis = runtime.block_on(server.connect());
    let queue = Queue::new(redis.clone(), sojourn::queue::Kind::Extract, 1);
    let ran = TestRunner::new(config).run(&vec(operation(), 1..=OPERATIONS), |operations| {
        let ran = runtime.block_on(run(&queue, &redis, &operations));
        ran.map_err(|Difference(what)| TestCaseError::fail(what))
    });
    if let Err(error) = ran {
        panic!("PROPTEST_CASES={cases} PROPTEST_RNG_SEED={seed}: {error}");
    }
}
