//! Other ways of clustering, by Python's libraries.

use std::process::{Command, Output};

use crate::support::{root, said};
use crate::{eval_json, mixed, score};

/// scripts/journeys/baselines.py with these methods.
fn baselines(out: &str, methods: &[&str]) -> Output {
    let python = root().join(".tools/journeys/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: run scripts/journeys/install",
        python.display()
    );
    Command::new(python)
        .arg(root().join("scripts/journeys/baselines.py"))
        .arg(root().join(".tools/models"))
        .arg(out)
        .args(methods)
        .output()
        .expect("Python runs")
}

#[test]
fn every_baseline_groups_every_mix() {
    let (_folder, out) = mixed("2");
    eval_json(&["journeys", &out]);
    let methods = ["cooccurrence", "ward", "hdbscan", "tfidf", "textclust"];
    let output = baselines(&out, &methods);
    assert!(output.status.success(), "{}", said(&output));
    let report = eval_json(&["report", &out]);
    for method in methods {
        let ari = score(&report, method, "easy", 0, "ari");
        // Interests as clear as these are found by whatever groups at all.
        assert!(ari > 0.3, "{method}: {ari}");
    }
    let told = report["mixes"]["methods"].as_array().unwrap().iter();
    let told: Vec<&str> = told
        .filter(|method| method["told_k"] == true)
        .filter_map(|method| method["name"].as_str())
        .collect();
    assert_eq!(told, ["tfidf"]);
}

#[test]
fn a_method_that_is_not_known_is_told_those_that_are() {
    let output = baselines("nowhere", &["umap"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("umap") && said(&output).contains("hdbscan"),
        "{}",
        said(&output)
    );
}
