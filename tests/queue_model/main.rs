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
mod control;
mod entry;
mod loss;
mod model;
mod operation;
mod planning;
mod run;
mod trial;

#[path = "../support/figures.rs"]
mod figures;
#[path = "../support/mod.rs"]
mod support;

use std::cell::Cell;
use std::time::Instant;

use figures::{Figures, is_long};
use operation::{Operation, operation};
use proptest::collection::vec;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use sojourn::queue::{Queue, QueueError};
use support::Server;
use trial::Trial;

/// Sequences when nobody says how many: a few seconds' worth.
const CASES: u32 = 64;

/// Sequences of a soak: some minutes' worth.
const SOAK_CASES: u32 = 3_000;

/// Seed when nobody says which: the same sequences every time.
const SEED: u64 = 3;

/// Operations in a sequence, at most.
const OPERATIONS: usize = 160;

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

async fn try_out(
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
    let (cases, seed) = match is_long() {
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

    let server = Server::start_with(&["--appendonly", "no"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let redis = runtime.block_on(server.connect());
    let queue = Queue::new(redis.clone(), sojourn::queue::Kind::Extract, 1);
    let begun = Instant::now();
    let (sequences, applied) = (Cell::new(0), Cell::new(0));
    let ran = TestRunner::new(config).run(&vec(operation(), 1..=OPERATIONS), |operations| {
        sequences.set(sequences.get() + 1);
        applied.set(applied.get() + operations.len());
        let ran = runtime.block_on(try_out(&queue, &redis, &operations));
        ran.map_err(|Difference(what)| TestCaseError::fail(what))
    });
    if let Err(error) = ran {
        panic!("PROPTEST_CASES={cases} PROPTEST_RNG_SEED={seed}: {error}");
    }
    Figures::of("queue against its model")
        .add("PROPTEST_RNG_SEED", seed)
        .add("seconds", begun.elapsed().as_secs())
        .add("sequences", sequences.get())
        .add("operations", applied.get())
        .add("differences", 0)
        .show();
}
