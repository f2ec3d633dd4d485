//! Gathering the terms of histories from a catalogue, beside numpy, which gathers as many bytes from the
//! same file. Items are any of the catalogue's, 100 of them a history. The file is in memory, as a worker
//! that opens a catalogue has read all of it; cold and warm are the processor's caches.

use std::process::Command;

use super::table::{Row, Table};
use crate::shared::peer;
use crate::shared::population::Population;
use crate::shared::support::program;

const SIZES: [u64; 2] = [1_000_000, 10_000_000];

/// Bytes of an item's record: what is gathered of it.
const RECORD: &str = "84";

pub fn measure(table: &mut Table) {
    for items in SIZES {
        let dataset = Population {
            users: 10_000,
            items,
        }
        .dataset();
        let ours = peer::said(
            Command::new(program("sojourn-worker"))
                .args(["bench", "catalogue", "--json"])
                .arg(&dataset),
        );
        let theirs = peer::said(
            Command::new(peer::python())
                .arg(peer::file("benches/peers/gather.py"))
                .arg(dataset.join("catalogue.sjc"))
                .arg(RECORD),
        );
        let ours = ours.expect("the bench runs");
        let million = items / 1_000_000;
        for (which, told) in [
            ("cold", "different histories"),
            ("warm", "one history again"),
        ] {
            let per_second =
                |said: &serde_json::Value| 1e9 / said[which].as_f64().unwrap_or(f64::NAN);
            table.add(Row {
                what: format!("catalogue: {million} million items, {told}"),
                unit: "items",
                ours: per_second(&ours["catalogue"]["gather"]),
                competitor: "numpy, rows without terms".into(),
                theirs: theirs.as_ref().map(per_second).map_err(Clone::clone),
            });
        }
    }
}
