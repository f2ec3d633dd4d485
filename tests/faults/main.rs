//! Nothing is lost and nothing counts twice, shown by breaking things: real processes and real
//! servers are killed, stopped, cut off and starved while a run is under way, and what comes of it
//! is compared with an undisturbed run on another server.
//!
//! `make test` runs the short forms. `make soak` sets `SOJOURN_SOAK=1` for the long ones, and
//! `SOJOURN_SOAK_MINUTES` says how long workers come and go. Every scenario writes a line of
//! figures into `target/faults/`.

// What breaks things, and what is looked at.
mod crew;
mod errand;
mod lifetimes;
mod ordeal;
mod population;
mod process;
mod proxy;
mod results;
mod run;
mod state;
mod under_way;

// What is broken.
mod cluster;
mod network;
mod redis_killed;
mod redis_trouble;
mod scheduler_killed;
mod shared_limits;
mod shutdown;
mod sleepers;
mod soak;
mod workers_killed;

#[path = "../support/faulty.rs"]
mod faulty;
#[path = "../support/figures.rs"]
mod figures;
#[path = "../support/llm.rs"]
mod llm;
#[path = "../support/slots.rs"]
mod slots;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/workforce.rs"]
mod workforce;

use std::time::{Duration, Instant};

use figures::is_long;

/// How long a run may take before a scenario gives up. Long forms take minutes.
fn patience() -> Duration {
    if is_long() {
        Duration::from_secs(1800)
    } else {
        2 * support::PATIENCE
    }
}

/// Waits until `look` finds something, for as long as a run may take.
fn wait_long<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        // Other processes are waited for; there is nothing to be woken by.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The seed of what is left to chance: that of the environment, else a new one. It is in the
/// figures, so that a scenario can be played again.
fn seed() -> u64 {
    let named = std::env::var("SOJOURN_SEED").ok();
    named.map_or_else(rand::random, |seed| {
        seed.parse().expect("SOJOURN_SEED is a number")
    })
}
