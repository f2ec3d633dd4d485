//! Ingest and a backfill, by the number of users.

use super::curve::Curve;
use super::shared::population::{ITEMS, ITEMS_PER_USER, Population};
use super::shared::{backfill, redis};

const WORKERS: usize = 2;

pub fn by_number() {
    let mut curve = Curve {
        name: "users",
        of: "users",
        costs: &[
            "workers, CPU us a user",
            "Redis, CPU us a user",
            "backfill, users/s",
            "ingest with a million items, s",
            "Redis, bytes a user",
            "resident memory of a worker, MB",
        ],
        plotted: 2,
        points: Vec::new(),
    };
    for users in [10_000, 100_000, 1_000_000] {
        let population = Population {
            users,
            items: ITEMS,
        };
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("room on disk");
        let dataset = folder.path().join("dataset");
        let ingest = population.ingest(&dataset);
        let found = backfill::run(&dataset, users, WORKERS, &redis::start());
        curve.add(
            users as f64,
            vec![
                found.workers,
                found.redis,
                found.users_per_second,
                ingest.as_secs_f64(),
                found.redis_bytes as f64 / users as f64,
                found.worker_bytes as f64 / 1e6,
            ],
        );
    }
    println!("{ITEMS_PER_USER} items a user, {WORKERS} workers:\n");
    curve.show();
}
