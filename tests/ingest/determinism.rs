//! The same input gives the same dataset, whatever else differs.

use std::process::Command;

use crate::population::{Event, Form, events, events_as, items_as, items_csv};
use crate::workspace::{Workspace, run};

/// Names the folder in which the child works.
const CHILD_FOLDER: &str = "SOJOURN_TEST_CHILD_FOLDER";

/// A fixed order that is not the order of anything.
fn shuffled(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|event| {
        let text = format!("{}/{}/{}", event.user, event.item, event.seconds);
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    });
    events
}

#[test]
fn shuffled_rows_give_the_same_dataset() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write("sorted.csv", crate::population::events_csv());
    workspace.write(
        "shuffled.csv",
        events_as(Form::Csv(b','), &shuffled(events())),
    );
    let mut lines: Vec<Vec<u8>> = items_as(Form::Jsonl)
        .split_inclusive(|&b| b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    lines.reverse();
    workspace.write("reversed.jsonl", lines.concat());
    let sorted = run(workspace.options("items.csv", "sorted.csv")).unwrap();
    let mut options = workspace.options("reversed.jsonl", "shuffled.csv");
    options.force = true;
    let other = run(options).unwrap();
    assert_eq!(sorted.id, other.id);
    assert_eq!(sorted.shards, other.shards);
    assert_eq!(sorted.counts.out_of_order, 0);
}

#[test]
fn another_memory_budget_gives_the_same_dataset() {
    // 60 bytes a row and more in the sorter: far above the 16 MiB that the smallest budget holds.
    const ROWS: u32 = 500_000;
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    let mut log = String::from("user_id,item_id,timestamp\n");
    for row in 0..ROWS {
        let scattered = row.wrapping_mul(2_654_435_761);
        let user = scattered % 5_000;
        log += &format!("user-{user},i{:02},{}\n", row % 12, scattered);
    }
    workspace.write("log.csv", log);
    let ids = [1, 1 << 30].map(|memory| {
        let mut options = workspace.options("items.csv", "log.csv");
        options.force = true;
        options.memory = memory;
        let manifest = run(options).unwrap();
        assert_eq!(manifest.counts.interactions, u64::from(ROWS));
        manifest.id
    });
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn another_number_of_threads_gives_the_same_dataset() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write("log.csv", crate::population::events_csv());
    let ids = ["1", "2", "7"].map(|threads| {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "determinism::child", "--ignored", "--nocapture"])
            .env("RAYON_NUM_THREADS", threads)
            .env(CHILD_FOLDER, workspace.path(""))
            .output()
            .unwrap();
        assert!(
            child.status.success(),
            "{}",
            String::from_utf8_lossy(&child.stderr)
        );
        std::fs::read_to_string(workspace.path("id")).unwrap()
    });
    assert_eq!(ids[0].len(), 16);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// The number of threads is a matter of the whole process, so it takes one of its own.
#[test]
#[ignore = "run by another_number_of_threads_gives_the_same_dataset"]
fn child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER).map(std::path::PathBuf::from) else {
        return;
    };
    let at = |name: &str| folder.join(name).display().to_string();
    let mut options =
        sojourn::ingest::IngestOptions::new(&at("items.csv"), &at("log.csv"), &at("dataset"));
    options.force = true;
    std::fs::write(folder.join("id"), run(options).unwrap().id).unwrap();
}

#[test]
fn equal_content_has_one_id_and_other_content_another() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write("log.csv", crate::population::events_csv());
    let first = run(workspace.options("items.csv", "log.csv")).unwrap();
    let mut options = workspace.options("items.csv", "log.csv");
    options.out = workspace.location("elsewhere");
    let second = run(options).unwrap();
    assert_eq!(first.id, second.id);
    assert_eq!(first.id, first.content_id());

    let mut other = events();
    other[0].weight += 1.0;
    workspace.write("other.csv", events_as(Form::Csv(b','), &other));
    let mut options = workspace.options("items.csv", "other.csv");
    options.force = true;
    assert_ne!(run(options).unwrap().id, first.id);
}
