//! `sojourn eval names`, and the comparison of its names with those of people.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::faulty::Faulty;
use crate::support::{command, root, said};

/// Rows of two files, each with 20 collections of words of its own.
fn collections(folder: &Path) -> [String; 2] {
    const BEGINNINGS: [&str; 5] = ["bal", "cor", "dun", "fer", "gim"];
    const ENDS: [[&str; 4]; 2] = [["tum", "nix", "pov", "rad"], ["sul", "wek", "zon", "jat"]];
    ["a.jsonl", "b.jsonl"].map(|file| {
        let ends = ENDS[usize::from(file == "b.jsonl")];
        let words = BEGINNINGS
            .iter()
            .flat_map(|a| ends.map(|b| format!("{a}{b}")));
        let rows = words.map(|word| {
            let items = ["keeping in spring", "keeping in autumn", "at night"];
            let items = items.map(|item| json!({"title": format!("{word} {item}")}));
            json!({"title": format!("{word} keeping"), "items": items}).to_string()
        });
        let path = folder.join(file);
        std::fs::write(&path, rows.collect::<Vec<_>>().join("\n")).unwrap();
        path.display().to_string()
    })
}

struct Bench {
    folder: tempfile::TempDir,
    collections: [String; 2],
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let collections = collections(folder.path());
        Bench {
            folder,
            collections,
        }
    }

    fn eval(&self, more: &[&str]) -> Output {
        let mut program = command("sojourn");
        program
            .args(["eval", "names", "--size", "40", "--json", "--out"])
            .arg(self.out())
            .args(&self.collections)
            .args(more)
            .output()
            .unwrap()
    }

    fn out(&self) -> std::path::PathBuf {
        self.folder.path().join("names.jsonl")
    }

    /// Names by a model, in a small grid; how many.
    fn name(&self, endpoint: &Faulty) -> u64 {
        let url = endpoint.url();
        let output = self.eval(&[
            "--endpoint",
            &url,
            "--model",
            "fake",
            "--journeys-per-call",
            "8,1",
            "--shots",
            "2,0",
            "--shown",
            "both,titles",
            "--samples",
            "1,3",
            "--variants",
            "10",
        ]);
        assert!(output.status.success(), "{}", said(&output));
        crate::support::json(&output)["named"].as_u64().unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.out()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// How many lines there are of each way.
fn ways(lines: &[Value]) -> BTreeMap<String, usize> {
    let mut ways = BTreeMap::new();
    for line in lines {
        let mut setting = line["setting"].clone();
        setting.as_object_mut().unwrap().remove("prompt");
        *ways.entry(setting.to_string()).or_default() += 1;
    }
    ways
}

#[tokio::test]
async fn collections_are_named_in_each_way_and_none_twice() {
    let bench = Bench::new();
    let endpoint = Faulty::start(&json!({}));
    // Terms and base, and of each of four variants one group of 16.
    assert_eq!(bench.name(&endpoint), 40 + 40 + 4 * 16);
    let lines = bench.lines();
    let mut counts: Vec<usize> = ways(&lines).into_values().collect();
    counts.sort_unstable();
    assert_eq!(counts, [16, 16, 16, 16, 40, 40]);
    let by = |namer: &str| {
        let of = lines
            .iter()
            .filter(|line| line["setting"]["namer"] == namer);
        of.collect::<Vec<_>>()
    };
    for line in by("terms") {
        assert_eq!(line["name_source"], "terms");
        assert_eq!(line["calls"], 0.0);
    }
    for line in by("llm") {
        assert_eq!(line["name_source"], "llm", "{line}");
        assert_eq!(line["rejection"], Value::Null);
        assert!(line["tokens_in"].as_f64().unwrap() > 0.0);
        let (title, name) = (
            line["title"].as_str().unwrap(),
            line["name"].as_str().unwrap(),
        );
        assert!(name.ends_with(" for Beginners"), "{title}: {name}");
    }
    // The base: of each file calls of 8, 8 and 4. Variants: 2 calls for 16 journeys, but for single ones.
    let report = endpoint.report().await;
    assert_eq!(report["requests"], 6 + 16 + 3 * 2);
    let base = by("llm")
        .into_iter()
        .filter(|line| line["setting"]["journeys_per_call"] == 8);
    let shares = base
        .filter(|line| line["setting"]["examples"] == 2)
        .map(|line| line["calls"].as_f64().unwrap());
    let calls: f64 = shares.sum();
    assert!((calls - (6.0 + 2.0 * 2.0)).abs() < 1e-9, "{calls}");

    // What was torn off by a kill is named again, with those that were named together with it.
    let text = std::fs::read_to_string(bench.out()).unwrap();
    std::fs::write(bench.out(), &text[..text.len() - 20]).unwrap();
    assert_eq!(bench.name(&endpoint), 16);
    assert_eq!(bench.lines().len(), lines.len());
    assert_eq!(ways(&bench.lines()), ways(&lines));
    assert_eq!(bench.name(&endpoint), 0);
    let report = endpoint.report().await;
    assert_eq!(report["requests"], 6 + 16 + 3 * 2 + 2);
}

#[tokio::test]
async fn a_first_answer_that_is_not_used_is_on_record_though_a_later_one_is() {
    let bench = Bench::new();
    let endpoint = Faulty::start(&json!({"faults": [
        {"what": "missing", "over_journeys": 7},
    ]}));
    let url = endpoint.url();
    let model = ["--endpoint", &url, "--model", "fake"];
    let output = bench.eval(&[&model[..], &["--journeys-per-call", "8"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let lines = bench.lines();
    let of_model = lines
        .iter()
        .filter(|line| line["setting"]["namer"] == "llm");
    let of_model: Vec<&Value> = of_model.collect();
    // One of each question of eight, of which there are two for each file.
    let missing = of_model
        .iter()
        .filter(|line| line["rejection"] == "missing");
    assert_eq!(missing.count(), 4);
    assert!(of_model.iter().all(|line| line["name_source"] == "llm"));
}

#[test]
fn what_is_of_another_sample_is_not_mixed_with_this_one() {
    let bench = Bench::new();
    let output = bench.eval(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(bench.lines().len(), 40);
    let output = bench.eval(&["--seed", "2"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        message.contains("names.jsonl, line 1") && message.contains("another sample"),
        "{message}"
    );
    assert_eq!(bench.lines().len(), 40);
}

#[test]
fn what_cannot_be_drawn_or_shown_is_refused_by_its_number() {
    let bench = Bench::new();
    for (more, parts) in [
        (&["--size", "41"][..], ["a.jsonl has 20", "21 are wanted"]),
        (
            &[
                "--endpoint",
                "http://127.0.0.1:1/v1",
                "--model",
                "m",
                "--shots",
                "2,9",
            ],
            ["has 5 examples", "9 cannot"],
        ),
    ] {
        let output = command("sojourn")
            .args(["eval", "names", "--out"])
            .arg(bench.out())
            .args(&bench.collections)
            .args(more)
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    assert!(!bench.out().exists());
}

#[tokio::test]
async fn the_table_is_the_same_each_time_and_knows_good_names_from_bad_ones() {
    let python = root().join(".tools/names/bin/python");
    let models = root().join(".tools/models");
    assert!(
        python.is_file() && models.join("huggingface").is_dir(),
        "what scores names is missing: run scripts/names/install"
    );
    let bench = Bench::new();
    bench.name(&Faulty::start(&json!({})));
    let score = || {
        let output = Command::new(&python)
            .arg(root().join("scripts/names/score.py"))
            .args([&models, &bench.out()])
            .arg(bench.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let scores = std::fs::read_to_string(bench.folder.path().join("scores.json")).unwrap();
        let table = std::fs::read_to_string(bench.folder.path().join("table.md")).unwrap();
        (serde_json::from_str::<Value>(&scores).unwrap(), table)
    };
    let (scores, table) = score();
    assert_eq!(score(), (scores.clone(), table.clone()));
    let row = |way: &str| {
        let rows = scores["rows"].as_array().unwrap();
        let found = rows.iter().find(|row| row["way"] == way);
        found.unwrap_or_else(|| panic!("{way}: {table}"))
    };
    // "baltum keeping" is made of the terms; the model says "baltum for Beginners".
    let of = |way: &str, figure: &str| row(way)[figure].as_f64().unwrap();
    assert!(
        of("terms, no model", "chrf") > of("base", "chrf"),
        "{table}"
    );
    assert_eq!(of("base", "well_formed"), 1.0);
    assert_eq!(of("base", "to_base"), 0.0);
    assert_eq!(of("0 examples", "names"), 16.0);
}
