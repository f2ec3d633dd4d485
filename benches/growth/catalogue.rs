//! Gathering and extraction, by the size of the catalogue.

use super::curve::Curve;
use super::shared::population::Population;
use super::shared::support::command;
use super::shared::{backfill, peer, redis};

const USERS: u64 = 10_000;

pub fn by_size() {
    let mut curve = Curve {
        name: "catalogue",
        of: "items in the catalogue",
        costs: &[
            "gathering the terms of other items, ns an item",
            "of the same items, ns an item",
            "extraction, us a user",
            "file, MB",
            "opening, s",
            "resident memory of a worker, MB",
        ],
        plotted: 2,
        points: Vec::new(),
    };
    for items in [100_000, 1_000_000, 10_000_000] {
        let dataset = Population {
            users: USERS,
            items,
        }
        .dataset();
        let bench = |part: &str| {
            let said = peer::said(
                command("sojourn-worker")
                    .args(["bench", part, "--json"])
                    .arg(&dataset),
            );
            said.expect("the bench runs")[part].clone()
        };
        let (catalogue, extract) = (bench("catalogue"), bench("extract"));
        let found = backfill::run(&dataset, USERS, 1, &redis::start());
        let number = |value: &serde_json::Value| value.as_f64().expect("a number");
        curve.add(
            items as f64,
            vec![
                number(&catalogue["gather"]["cold"]),
                number(&catalogue["gather"]["warm"]),
                number(&extract["extract"]),
                number(&catalogue["open"]["bytes"]) / 1e6,
                number(&catalogue["open"]["seconds"]),
                found.worker_bytes as f64 / 1e6,
            ],
        );
    }
    curve.show();
}
