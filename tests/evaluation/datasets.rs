//! Real users, and the next item.

use std::path::Path;

use sojourn_scheduler::demo::Population;

use crate::support::{ingest, said};
use crate::{eval, eval_json, mixed};

/// A population like the demo's, ingested; its users have interests that are clear.
fn population(folder: &Path) -> String {
    Population::generate(60, 1)
        .write(folder)
        .expect("room on disk");
    let out = folder.join("dataset");
    let output = ingest(folder, &out, &[]);
    assert!(output.status.success(), "{}", said(&output));
    out.display().to_string()
}

#[test]
fn figures_of_users_are_kept_and_come_into_the_report() {
    let (folder, out) = mixed("2");
    eval_json(&["journeys", &out]);
    let dataset = population(folder.path());
    let on = [
        &*dataset,
        "--name",
        "demo",
        "--out",
        &*out,
        "--least-items",
        "6",
    ];

    let users = eval_json(&[&["users"][..], &on].concat());
    assert_eq!(users["users"], 60);
    assert!(users["with_1_to_8"].as_f64() > Some(0.9), "{users}");
    for score in ["ids_kept", "members_kept", "in_any_order", "coverage"] {
        let mean = users[score]["mean"].as_f64().unwrap();
        assert!(mean > 0.5 && mean <= 1.0, "{score}: {mean}");
    }

    let next = eval_json(&[&["next"][..], &on].concat());
    let recall = |at: usize| {
        next["rankings"][at]["recall_at_10"]["mean"]
            .as_f64()
            .unwrap()
    };
    assert_eq!(next["rankings"][4]["by"], "popularity");
    assert!(
        recall(0) > recall(4),
        "what is about an interest is found by it: {next}"
    );

    let report = eval_json(&["report", &out]);
    // Not all of it: what is written and read again may differ in the last digit.
    for (kind, figures) in [("users", users), ("next", next)] {
        assert_eq!(report[kind][0][0], "demo");
        assert_eq!(report[kind][0][1]["users"], figures["users"]);
    }
    let markdown = std::fs::read_to_string(Path::new(&out).join("report.md")).unwrap();
    assert!(markdown.contains("## Real users") && markdown.contains("## The next item"));
}

#[test]
fn a_dataset_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let output = eval(&["users", "no/dataset", "--name", "x", "--out", &out]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("no/dataset"), "{}", said(&output));
}
