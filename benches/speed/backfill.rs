//! A backfill by the real processes, beside what its parts would allow: if nothing had to be done for a
//! user but to gather the terms, to cluster, and to write, each as fast as it is measured alone, with
//! all cores busy. Redis is on the same machine.

use super::table::{Row, Table};
use super::writing;
use crate::shared::backfill::run;
use crate::shared::population::{Population, users};
use crate::shared::support::command;
use crate::shared::{peer, redis};

/// Worker processes; each clusters on all cores.
const WORKERS: usize = 2;

pub fn measure(table: &mut Table) {
    let dataset = Population::usual().dataset();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = peer::said(
        command("sojourn-worker")
            .args([
                "bench",
                "extract",
                "--json",
                "--threads",
                &cores.to_string(),
            ])
            .arg(&dataset),
    );
    let parts = &parts.expect("the bench runs")["extract"];
    let part = |name: &str| parts[name].as_f64().expect("a number");
    let written = {
        let server = redis::start();
        writing::written(&dataset, &server)
    };
    let found = run(&dataset, users(), WORKERS, &redis::start());
    let write = written.writer + written.server;
    let bounds = [
        (
            "its parts: gather, cluster, write",
            part("gather") + part("cluster") + write,
        ),
        ("its parts: extract, write", part("extract") + write),
    ];
    for (competitor, time) in bounds {
        table.add(Row {
            what: format!("backfill: {WORKERS} workers, {cores} cores"),
            unit: "users",
            ours: found.users_per_second,
            competitor: competitor.into(),
            theirs: Ok(cores as f64 * 1e6 / time),
        });
    }
    eprintln!(
        "us of a user: gather {:.0}, cluster {:.0}, extract {:.0}, write {:.0} and Redis {:.0}; \
         in the backfill: workers {:.0}, Redis {:.0}",
        part("gather"),
        part("cluster"),
        part("extract"),
        written.writer,
        written.server,
        found.workers,
        found.redis
    );
}
