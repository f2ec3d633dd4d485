//! `sojourn generate` as a process, and an ingest of what it has written.

use std::process::Output;

use sojourn::dataset::Manifest;
use sojourn::item::ItemIndex;

use crate::support::{Running, command, json, said, sojourn, wait_for};
use crate::workspace::{Workspace, all_histories, assert_says, block_on, open};

/// `sojourn generate` into a folder of a workspace.
fn generate(workspace: &Workspace, arguments: &[&str]) -> Output {
    let out = workspace.location("population");
    sojourn(&[&["generate", &out], arguments].concat())
}

/// What is said by a command that fails with this code, in one line.
#[track_caller]
fn refusal(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const SMALL: [&str; 6] = [
    "--users",
    "500",
    "--items",
    "5000",
    "--items-per-user",
    "50",
];

#[test]
fn a_generated_population_is_ingested_without_rejects_and_its_items_have_a_dozen_terms() {
    let workspace = Workspace::new();
    let generated = generate(
        &workspace,
        &[&SMALL[..], &["--json", "--seed", "3"]].concat(),
    );
    assert!(generated.status.success(), "{}", said(&generated));
    let summary = json(&generated);
    let interactions = summary["interactions"].as_u64().unwrap();
    assert!((24_500..=25_500).contains(&interactions), "{summary}");
    assert_eq!(summary["parameters"]["seed"], 3);
    let written = std::fs::read_to_string(workspace.path("population/population.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    for field in ["parameters", "topics", "interactions"] {
        assert_eq!(written[field], summary[field]);
    }

    // Without terms from elsewhere, so that an item's own can be counted.
    let salience = workspace.write("salience.toml", "related_share = 0.0\n");
    let (items, log, out) = (
        workspace.location("population/items"),
        workspace.location("population/interactions"),
        workspace.location("dataset"),
    );
    let from = ["ingest", "--items", &items, "--interactions", &log];
    let to = ["--out", &out, "--salience-params", &salience];
    let ingested = sojourn(&[&from[..], &to].concat());
    assert!(ingested.status.success(), "{}", said(&ingested));
    let counts = block_on(Manifest::load(&out)).unwrap().counts;
    assert!(counts.rejects.is_empty(), "{:?}", counts.rejects);
    assert_eq!((counts.items, counts.users), (5000, 500));
    assert_eq!(counts.interactions, interactions);
    assert_eq!((counts.out_of_order, counts.repeated_items), (0, 0));

    let dataset = open(&out, &workspace.path("cache")).unwrap();
    let terms = (0..5000).map(|item| dataset.catalogue().terms(ItemIndex(item)).count());
    let mean = terms.sum::<usize>() as f64 / 5000.0;
    assert!((12.0..16.0).contains(&mean), "{mean}");
    let histories = all_histories(&dataset);
    let longest = histories
        .iter()
        .map(|history| history.interactions.len())
        .max();
    assert!(longest > Some(200), "{longest:?}");
}

#[test]
fn the_seed_is_printed_and_nothing_if_it_is_to_be_quiet() {
    let workspace = Workspace::new();
    let output = generate(&workspace, &SMALL);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_says(
        &text,
        &["population", "seed 1", "5000 of 250 topics", "500 users"],
    );
    assert!(output.stderr.is_empty(), "{}", said(&output));
    let output = generate(&workspace, &[&SMALL[..], &["--force", "--quiet"]].concat());
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{}",
        said(&output)
    );
}

#[test]
fn what_cannot_be_generated_is_wrong_usage() {
    let workspace = Workspace::new();
    let message = refusal(&generate(&workspace, &["--users", "0"]), 2);
    assert_says(&message, &["error[SJ201]", "--users is 0", "at least 1"]);
    let message = refusal(&generate(&workspace, &["--items", "100"]), 2);
    assert_says(
        &message,
        &["error[SJ201]", "--items is 100", "at least 2000"],
    );
    assert!(workspace.outputs(&[]).is_empty());
}

#[test]
fn a_place_that_is_taken_is_left_as_it_is() {
    let workspace = Workspace::new();
    workspace.write("population/notes.txt", "mine");
    let message = refusal(&generate(&workspace, &SMALL), 2);
    assert_says(&message, &["error[SJ308]", "not empty", "--force"]);
    let message = refusal(
        &generate(&workspace, &[&SMALL[..], &["--force"]].concat()),
        2,
    );
    assert_says(
        &message,
        &["error[SJ308]", "holds notes.txt", "name another folder"],
    );
    assert_eq!(workspace.outputs(&[]), ["population"]);
    assert!(workspace.path("population/notes.txt").exists());
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let workspace = Workspace::new();
    workspace.write("population", "a file");
    let inside = workspace.location("population/in/it");
    let output = sojourn(&[&["generate", &inside][..], &SMALL].concat());
    let message = refusal(&output, 1);
    assert_says(&message, &["error[SJ309]", "cannot write", &inside]);
}

#[test]
fn a_signal_stops_it_and_nothing_is_left() {
    let workspace = Workspace::new();
    let out = workspace.location("population");
    let mut command = command("sojourn");
    command.args(["generate", &out, "--users", "4000000000", "--items", "5000"]);
    let mut running = Running::spawn(command);
    wait_for("its stage", || {
        (!workspace.outputs(&[]).is_empty()).then_some(())
    });
    assert_eq!(running.terminate().code(), Some(1));
    assert!(
        workspace.outputs(&[]).is_empty(),
        "{:?}",
        workspace.outputs(&[])
    );
}
