//! How cost grows: with users, with the length of histories, the size of the catalogue, journeys, worker
//! processes, and the way to Redis. Prints a table for each, and writes plots to docs/growth.
//!
//! `make growth` builds the programs first and measures all of it, which takes an hour and 8 GB for
//! Redis; `cargo bench --bench growth -- history` measures some.

mod catalogue;
mod curve;
mod history;
mod network;
mod users;

// It can do worse than being far away.
#[allow(dead_code)]
#[path = "../../tests/faults/proxy.rs"]
mod proxy;
#[path = "../shared/mod.rs"]
mod shared;

/// Measures something, prints and plots it.
type Measure = fn();

const CURVES: [(&str, Measure); 5] = [
    ("history", history::by_length),
    ("journeys", history::by_interests),
    ("catalogue", catalogue::by_size),
    ("users", users::by_number),
    ("workers", network::by_workers_and_delay),
];

fn main() {
    for (curve, measure) in CURVES {
        if shared::is_asked(curve) {
            measure();
        }
    }
}
