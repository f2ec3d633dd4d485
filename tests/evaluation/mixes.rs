//! Mixes, and the journeys that are found in them.

use std::path::Path;

use crate::support::{said, shared_data};
use crate::{eval, eval_json, mixed, score};

#[test]
fn clear_interests_are_found_and_the_report_says_so_in_three_forms() {
    let (_folder, out) = mixed("4");
    let done = eval_json(&["journeys", &out]);
    assert!(
        done["sojourn"][0]["clustered_items"].as_u64() > Some(1000),
        "{done}"
    );
    let report = eval_json(&["report", &out]);
    for (difficulty, noise) in [("easy", 0), ("easy", 30), ("hard", 10)] {
        let of = |method, name| score(&report, method, difficulty, noise, name);
        // Not how good it is, but that what was found is what is judged.
        assert!(
            of("sojourn", "ari") > 0.4 && of("sojourn", "recall") > 0.7,
            "{difficulty} {noise}: {report}"
        );
        assert!(of("together", "ari").abs() < 0.01 && of("apart", "ari").abs() < 0.01);
        assert_eq!(of("together", "recall"), 1.0);
        assert_eq!(of("apart", "coverage"), 0.0);
    }
    let markdown = std::fs::read_to_string(Path::new(&out).join("report.md")).unwrap();
    assert!(markdown.contains("| Sojourn | "), "{markdown}");
    let html = std::fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert!(html.contains("<svg") && html.contains("<table>") && html.ends_with("</html>\n"));
    let printed = eval(&["report", &out]);
    assert_eq!(String::from_utf8_lossy(&printed.stdout), markdown);
}

#[test]
fn the_same_seed_gives_the_same_files_and_journeys() {
    let read =
        |out: &str, name: &str| std::fs::read(Path::new(out).join("hobbies").join(name)).unwrap();
    let ((_a, first), (_b, second)) = (mixed("2"), mixed("2"));
    for out in [&first, &second] {
        eval_json(&["journeys", out]);
    }
    for name in [
        "items.jsonl",
        "mixes.jsonl",
        "found/sojourn.jsonl",
        "found/icpc.jsonl",
    ] {
        assert!(read(&first, name) == read(&second, name), "{name} differs");
    }
}

#[test]
fn the_halves_are_judged_apart() {
    let (_folder, out) = mixed("2");
    eval_json(&["journeys", &out]);
    let (test, tune) = (
        eval_json(&["report", &out]),
        eval_json(&["report", &out, "--half", "tune"]),
    );
    assert_eq!(
        (
            test["mixes"]["half"].as_str(),
            tune["mixes"]["half"].as_str()
        ),
        (Some("test"), Some("tune"))
    );
    assert_ne!(test["mixes"]["methods"], tune["mixes"]["methods"]);
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let (folder, out) = mixed("2");
    let nowhere = folder.path().join("nowhere").display().to_string();
    for (arguments, expected, code) in [
        (vec!["report", &*nowhere], "sojourn eval mixes", 2),
        (vec!["journeys", &*nowhere], "sojourn eval mixes", 2),
        (vec!["report", &*out], "sojourn eval journeys", 2),
        (
            vec!["mixes", "--out", &*nowhere, "--collections", "a/b=c.jsonl"],
            "name of a file",
            2,
        ),
        (
            vec![
                "mixes",
                "--out",
                &*nowhere,
                "--collections",
                "a=nothing.jsonl",
            ],
            "nothing.jsonl",
            2,
        ),
        (vec!["journeys", &*out, "--epsilon", "7"], "epsilon is 7", 2),
    ] {
        let output = eval(&arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            said(&output)
        );
        assert!(
            said(&output).contains(expected),
            "{arguments:?}: {}",
            said(&output)
        );
    }
    // Mixes that were drawn again are not judged by what was found in the old ones.
    eval_json(&["journeys", &out]);
    let source = format!(
        "hobbies={}",
        folder.path().join("collections.jsonl").display()
    );
    eval_json(&[
        "mixes",
        "--collections",
        &source,
        "--mixes",
        "3",
        "--out",
        &out,
    ]);
    let output = eval(&["report", &out]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("sojourn eval journeys"),
        "{}",
        said(&output)
    );
}

#[test]
fn topics_of_khan_academy_are_told_apart() {
    let Some(khan) = shared_data("khan_topics") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("evaluation").display().to_string();
    let source = format!("khan={}", khan.join("collections.jsonl.gz").display());
    eval_json(&[
        "mixes",
        "--collections",
        &source,
        "--mixes",
        "10",
        "--out",
        &out,
    ]);
    eval_json(&["journeys", &out]);
    let report = eval_json(&["report", &out]);
    let ari = |method, difficulty| score(&report, method, difficulty, 0, "ari");
    assert!(ari("sojourn", "easy") > 0.5, "{}", ari("sojourn", "easy"));
    assert!(ari("sojourn", "easy") > ari("sojourn", "hard"));
    assert!(score(&report, "sojourn", "easy", 30, "strays") < 1.0);
}
