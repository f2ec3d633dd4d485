//! What is shown of an ingest while it goes on, and that it can be stopped.

use std::sync::Arc;

use sojourn::ingest::{IngestError, IngestOptions, IngestProgress, Phase};
use tokio_util::sync::CancellationToken;

use crate::population::{self, Form, Packing, events_as, items_as, items_csv, pack};
use crate::workspace::{Workspace, run, run_with};

#[test]
fn every_phase_knows_its_steps_and_does_all_of_them() {
    let log = population::events();
    let rows = (population::ITEMS + log.len()) as u64;
    for (form, packing, name) in [
        (Form::Csv(b','), Packing::Plain, "csv"),
        (Form::Jsonl, Packing::Gzip, "jsonl.gz"),
        (Form::Parquet, Packing::Plain, "parquet"),
        (Form::Parquet, Packing::Zstd, "parquet.zst"),
    ] {
        let workspace = Workspace::new();
        let (items, events) = (format!("items.{name}"), format!("log.{name}"));
        workspace.write(&items, pack(items_as(form), packing));
        workspace.write(&events, pack(events_as(form, &log), packing));
        let mut options = workspace.options(&items, &events);
        options.window = Some(3);
        let progress = Arc::new(IngestProgress::default());
        run_with(options, &progress).unwrap();

        let size = |name: &str| workspace.path(name).metadata().unwrap().len();
        let expected = [
            (Phase::Items, size(&items), "bytes"),
            (Phase::Terms, population::ITEMS as u64, "items"),
            (Phase::Places, population::ITEMS as u64, "items"),
            (Phase::Interactions, size(&events), "bytes"),
            (Phase::Windows, log.len() as u64, "interactions"),
            (Phase::Shards, log.len() as u64, "interactions"),
            (Phase::Salience, population::ITEMS as u64, "items"),
            (Phase::Catalogue, population::ITEMS as u64, "items"),
            (Phase::Related, population::ITEMS as u64, "items"),
            (Phase::Upload, 0, "bytes"),
        ];
        for (phase, steps, unit) in expected {
            assert_eq!(
                progress.position(phase),
                (steps, steps),
                "{name}: {phase:?}"
            );
            assert_eq!(phase.unit(), unit);
        }
        assert_eq!((progress.phase(), progress.rows()), (Phase::Related, rows));
    }
}

/// An ingest of a log that takes a while, cancelled when it has come as far as `phase`.
fn stopped_in(phase: Phase, name: &str, log: &[u8]) {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write(name, log);
    let options: IngestOptions = workspace.options("items.csv", name);
    let stop = CancellationToken::new();
    let progress = Arc::new(IngestProgress::until(stop.clone()));
    let watched = progress.clone();
    let watcher = std::thread::spawn(move || {
        while (watched.phase() as u8) < phase as u8 {
            std::thread::yield_now();
        }
        stop.cancel();
    });
    let ended = run_with(options, &progress);
    watcher.join().unwrap();
    assert!(matches!(ended, Err(IngestError::Stopped)), "{ended:?}");
    assert_eq!(workspace.outputs(&["items.csv", name]), [""; 0]);
}

#[test]
fn an_ingest_that_is_stopped_leaves_nothing() {
    let row = |row: u32| format!("u{},i{:02},{row}\n", row % 5_000, row % 12);
    let rows: String = (0..400_000).map(row).collect();
    let log = format!("user_id,item_id,timestamp\n{rows}").into_bytes();
    stopped_in(Phase::Interactions, "log.csv", &log);
    stopped_in(Phase::Shards, "log.csv", &log);
}

#[test]
fn an_ingest_that_is_stopped_before_it_begins_does_not_begin() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    let stop = CancellationToken::new();
    stop.cancel();
    let options = workspace.options("items.csv", "items.csv");
    let ended = run_with(options, &Arc::new(IngestProgress::until(stop)));
    assert!(matches!(ended, Err(IngestError::Stopped)), "{ended:?}");
    let unstopped = run(workspace.options("items.csv", "nothing.csv"));
    assert!(!matches!(unstopped, Err(IngestError::Stopped)));
}
