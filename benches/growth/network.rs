//! A backfill, by the number of worker processes, and by how far Redis is away.

use std::time::Duration;

use super::curve::Curve;
use super::proxy::{Proxy, Weather};
use super::shared::population::{ITEMS, Population};
use super::shared::{backfill, redis};

const USERS: u64 = 100_000;

/// To Redis and back, in milliseconds. 0: without the proxy that makes the others.
const ROUND_TRIPS: [u64; 3] = [0, 1, 10];

pub fn by_workers_and_delay() {
    let dataset = Population {
        users: USERS,
        items: ITEMS,
    }
    .dataset();
    let mut curve = Curve {
        name: "workers",
        of: "worker processes of one thread",
        costs: &[
            "users/s",
            "1 ms to Redis and back, users/s",
            "10 ms, users/s",
        ],
        plotted: 3,
        points: Vec::new(),
    };
    for workers in [1, 2] {
        let speed = |milliseconds: u64| {
            let server = redis::start();
            let proxy = Proxy::before(&server.nodes[0].socket());
            proxy.set(Weather::Slow(Duration::from_micros(500 * milliseconds)));
            let url = match milliseconds {
                0 => server.url(),
                _ => proxy.url(),
            };
            let crew = backfill::Crew {
                workers,
                threads: Some(1),
                url,
            };
            crew.run(&dataset, USERS, &server).users_per_second
        };
        curve.add(workers as f64, ROUND_TRIPS.map(speed).to_vec());
    }
    curve.show();
}
