//! Ingest, beside DuckDB and Polars that number items, divide users among as many shards, and sort
//! these. They know nothing of terms: so what Sojourn takes for the interactions alone is what is
//! compared, with the time for the same items and next to no interactions taken off.

use std::process::Command;

use super::table::{Row, Table};
use crate::shared::peer;
use crate::shared::population::{ITEMS, Population, users};

/// What others may take of memory, in MiB: `sojourn ingest` is content with less.
const MEMORY: &str = "4096";

pub fn measure(table: &mut Table) {
    let population = Population::usual();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("room on disk");
    let all = population.ingest(&folder.path().join("all"));
    let items_alone = Population {
        users: 100,
        items: ITEMS,
    };
    let items_alone = items_alone.ingest(&folder.path().join("items"));
    let shards = std::fs::read_dir(folder.path().join("all/shards"))
        .expect("shards")
        .count();
    let files = population.files();
    for engine in ["duckdb", "polars"] {
        let said = peer::said(
            Command::new(peer::python())
                .arg(peer::file("benches/peers/ingest.py"))
                .arg(engine)
                .arg(files.join("interactions/*.parquet"))
                .arg(files.join("items/*.parquet"))
                .arg(folder.path().join(engine))
                .args(["--shards", &shards.to_string(), "--memory", MEMORY]),
        );
        let number = |field: &str| {
            let said = said.as_ref().map_err(Clone::clone)?;
            said[field].as_f64().ok_or(format!("it says no {field}"))
        };
        let mut add = |what: &str, unit, amount: Result<f64, String>, ours: f64| {
            let theirs = amount
                .clone()
                .and_then(|amount| Ok(amount / number("seconds")?));
            table.add(Row {
                what: format!("ingest: {} users, {what}", users()),
                unit,
                ours: amount.unwrap_or(f64::NAN) / ours,
                competitor: engine.into(),
                theirs,
            });
        };
        let megabytes = || number("bytes_in").map(|bytes| bytes / 1e6);
        let interactions = (all - items_alone).as_secs_f64();
        add("interactions", "rows", number("rows"), interactions);
        add("interactions", "MB", megabytes(), interactions);
        add(
            "and the terms of all items",
            "rows",
            number("rows"),
            all.as_secs_f64(),
        );
    }
}
