//! Questions about curated collections, for tuning and for examples.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Value, json};
use sojourn::naming::Template;

use crate::support::{command, said, shared_data};

fn export(arguments: &[&str]) -> std::process::Output {
    let mut program = command("sojourn");
    program
        .arg("export-tuning")
        .args(arguments)
        .output()
        .unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    let file = BufReader::new(std::fs::File::open(path).unwrap());
    file.lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect()
}

/// The question and the answer of a line.
fn turns(line: &Value) -> (Value, Value) {
    let messages = line["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant"]);
    let content =
        |at: usize| serde_json::from_str(messages[at]["content"].as_str().unwrap()).unwrap();
    (content(1), content(2))
}

fn collection(title: &str, items: &[&str]) -> String {
    let items: Vec<Value> = items.iter().map(|title| json!({"title": title})).collect();
    json!({"title": title, "items": items, "source": "mine"}).to_string()
}

#[test]
fn a_collection_is_asked_about_as_a_journey_and_answered_with_its_title() {
    let folder = tempfile::tempdir().unwrap();
    let ukulele = collection(
        "Ukulele chords.",
        &[
            "Ukulele chords in C",
            "Ukulele chords in G",
            "Seven ukulele chords",
        ],
    );
    let bread = collection(
        "Sourdough bread",
        &[
            "Baking sourdough bread",
            "Sourdough bread with rye",
            "A sourdough starter",
        ],
    );
    let rows = [
        ukulele,
        collection(
            "Various",
            &["Ukulele chords in D", "Sourdough bread with seeds"],
        ),
        String::new(),
        bread,
        collection("Numbers", &["1", "2"]),
        collection(
            "Chess openings",
            &["Baking rye bread", "Rye bread and rye beer"],
        ),
    ];
    let file = folder.path().join("mine.jsonl");
    std::fs::write(&file, rows.join("\n")).unwrap();
    let (file, out) = (
        file.display().to_string(),
        folder.path().join("tuning.jsonl"),
    );
    let output = export(&[&file, "--out", &out.display().to_string(), "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let counts = &crate::support::json(&output)["counts"];
    let expected = json!({
        "collections": 5, "questions": 2, "names": 2, "without_terms": 1,
        "refused": {
            "the name says nothing": 1,
            "the name has too little in common with the journey": 1,
        },
    });
    assert_eq!(*counts, expected);
    let written = lines(&out);
    let instructions = &written[0]["messages"][0]["content"];
    assert!(
        instructions
            .as_str()
            .unwrap()
            .starts_with("You name interest journeys.")
    );
    let (question, answer) = turns(&written[0]);
    assert_eq!(
        answer,
        json!({"names": [{"id": "1a", "name": "Ukulele chords"}]})
    );
    let journey = &question["users"][0]["journeys"][0];
    assert_eq!(journey["id"], "1a");
    assert_eq!(journey["titles"].as_array().unwrap().len(), 3);
    assert!(journey["terms"].to_string().contains("kulele"), "{journey}");
    let (_, answer) = turns(&written[1]);
    assert_eq!(answer["names"][0]["name"], "Sourdough bread");

    // The lines are examples that a worker takes.
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(Template::read(None, Some(&text), None).is_ok());

    // Siblings, in one question.
    let out = out.display().to_string();
    let output = export(&[&file, "--out", &out, "--journeys-per-call", "8"]);
    assert!(output.status.success(), "{}", said(&output));
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        words.contains("2 names of 5 collections in 1 questions"),
        "{words}"
    );
    let (_, answer) = turns(&lines(Path::new(&out))[0]);
    let names = answer["names"].as_array().unwrap();
    let ids: Vec<&str> = names
        .iter()
        .map(|name| name["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["1a", "1b"]);
}

#[test]
fn what_is_no_collection_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.jsonl");
    let out = folder.path().join("tuning.jsonl");
    let good = collection(
        "Ukulele chords",
        &["Ukulele chords in C", "Ukulele chords in G"],
    );
    for (rows, parts) in [
        (format!("{good}\n{{\"title\":\"x\"}}"), ["line 2", "items"]),
        (format!("{good}\nnot JSON"), ["line 2", "no collection"]),
        (
            collection("Various", &["a b", "b a"]),
            ["none of 1 collections", "error[SJ306]"],
        ),
    ] {
        std::fs::write(&file, rows).unwrap();
        let (file, out) = (file.display().to_string(), out.display().to_string());
        let output = export(&[&file, "--out", &out]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    std::fs::write(&file, good).unwrap();
    let file = file.display().to_string();
    let output = export(&[&file, "--out", "/nowhere/tuning.jsonl"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

#[test]
fn real_collections_give_questions_whose_answers_pass_the_checks() {
    let Some(folder) = shared_data("khan_topics") else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("tuning.jsonl");
    let input = folder.join("collections.jsonl.gz").display().to_string();
    let output = export(&[&input, "--out", &out.display().to_string(), "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let counts = &crate::support::json(&output)["counts"];
    let names = counts["names"].as_u64().unwrap();
    // Of 507; titles in the words of a school's curriculum are often not those of its videos.
    assert!(names >= 150, "{counts}");
    let text = std::fs::read_to_string(&out).unwrap();
    assert_eq!(text.lines().count() as u64, names);
    let some: Vec<&str> = text.lines().step_by(10).take(20).collect();
    assert!(Template::read(None, Some(&some.join("\n")), None).is_ok());
}
