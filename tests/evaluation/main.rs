//! `sojourn eval` for journeys, from collections to the report.

#[path = "../support/mod.rs"]
mod support;

mod baselines;
mod datasets;
mod mixes;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use support::{command, said};

/// Words of a topic, which all of its items have.
const TOPICS: [&str; 24] = [
    "ukulele",
    "sourdough",
    "lettuce",
    "chess",
    "pottery",
    "sailing",
    "origami",
    "beekeeping",
    "falconry",
    "astronomy",
    "calligraphy",
    "juggling",
    "knitting",
    "fencing",
    "carpentry",
    "mosaic",
    "gliding",
    "baroque",
    "glaciers",
    "volcanoes",
    "orchids",
    "mushrooms",
    "tapestry",
    "cartography",
];

/// What has happened, said in passing.
const WAYS: [&str; 10] = [
    "for beginners",
    "in winter",
    "by night",
    "at home",
    "with friends",
    "made easy",
    "step by step",
    "in a week",
    "on a budget",
    "from scratch",
];

/// A file of collections about one topic each, four of a parent.
fn collections(folder: &Path) -> PathBuf {
    let row = |(number, topic): (usize, &&str)| {
        let item = |way: &&str| {
            json!({
                "title": format!("{topic} {way}"),
                "description": format!("All about {topic} and what goes with {topic}"),
                "url": format!("https://example.org/{topic}/{}", way.replace(' ', "-")),
            })
        };
        let items: Vec<Value> = WAYS.iter().map(item).collect();
        json!({"title": topic, "path": [format!("parent {}", number % 6)], "items": items})
            .to_string()
    };
    let rows: Vec<String> = TOPICS.iter().enumerate().map(row).collect();
    let path = folder.join("collections.jsonl");
    std::fs::write(&path, rows.join("\n")).expect("room on disk");
    path
}

/// `sojourn eval` with these arguments, to its end.
fn eval(arguments: &[&str]) -> Output {
    let mut program = command("sojourn");
    program
        .arg("eval")
        .args(arguments)
        .output()
        .expect("sojourn runs")
}

/// What it prints for machines.
fn eval_json(arguments: &[&str]) -> Value {
    let output = eval(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A folder with mixes of [`collections`].
fn mixed(mixes: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = format!("hobbies={}", collections(folder.path()).display());
    let out = folder.path().join("evaluation").display().to_string();
    eval_json(&[
        "mixes",
        "--collections",
        &source,
        "--mixes",
        mixes,
        "--out",
        &out,
    ]);
    (folder, out)
}

/// A score of a method on all mixes of a kind.
fn score(report: &Value, method: &str, difficulty: &str, noise: u64, score: &str) -> f64 {
    let methods = report["mixes"]["methods"].as_array().expect("methods");
    let method = methods
        .iter()
        .find(|one| one["name"] == method)
        .expect("the method");
    let cells = method["cells"].as_array().expect("cells");
    let cell = cells.iter().find(|cell| {
        cell["difficulty"] == difficulty && cell["noise"] == noise && cell["interests"].is_null()
    });
    cell.expect("the cell")["scores"][score]["mean"]
        .as_f64()
        .expect("a mean")
}
