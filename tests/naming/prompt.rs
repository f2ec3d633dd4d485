//! Questions as a template, a locale and a number of samples have it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sojourn::journey::NameSource;
use sojourn::naming::{Namer, Template};

use crate::llm::{Endpoint, Question, Turn, answers, good_names};
use crate::support::{self, Running, Server, command, said, small_dataset};
use crate::{good, llm_namer, name, named, named_by, options, user};

fn with_template(endpoint: &Endpoint, template: Template) -> Namer {
    let namer = llm_namer(options(endpoint), support::PATIENCE);
    Namer::Llm(Box::new(namer.with_template(template)))
}

/// A completion with one choice for each name, of the only journey that is asked about.
fn choices(question: &Question, names: &[&str]) -> Turn {
    let choice = |name: &&str| {
        let names = json!({"names": [{"id": question.asked[0].id, "name": name}]});
        json!({"message": {"content": names.to_string()}, "finish_reason": "stop"})
    };
    Turn::Completes(json!({"choices": names.iter().map(choice).collect::<Vec<_>>()}))
}

#[tokio::test]
async fn of_several_samples_the_best_that_passes_the_checks_is_taken() {
    let endpoint = Endpoint::start(|question: &Question| {
        choices(
            question,
            &[
                "Chess Openings",
                "Ukulele and Moonlight",
                "Ukulele Lesson for Beginners",
                "Various",
            ],
        )
    });
    let namer = llm_namer(options(&endpoint), support::PATIENCE).with_samples(4);
    let namer = Namer::Llm(Box::new(namer));
    let names = named_by(&namer, user(&["Ukulele"])).await;
    assert_eq!(
        names,
        [("Ukulele Lesson for Beginners".into(), NameSource::Llm)]
    );
    let body = &endpoint.questions()[0].body;
    assert_eq!(body["n"], 4);
    assert!(body["temperature"].as_f64() > Some(0.0), "{body}");
}

#[tokio::test]
async fn an_endpoint_that_knows_no_samples_gives_one() {
    let endpoint = Endpoint::start(answers);
    let namer = llm_namer(options(&endpoint), support::PATIENCE).with_samples(4);
    let names = named_by(&Namer::Llm(Box::new(namer)), user(&["Ukulele"])).await;
    assert_eq!(names, good(&["Ukulele"]));
}

#[tokio::test]
async fn without_samples_a_question_asks_for_one_answer_without_chance() {
    let endpoint = Endpoint::start(answers);
    named(&endpoint, user(&["Ukulele"])).await;
    let body = &endpoint.questions()[0].body;
    assert_eq!((body.get("n"), &body["temperature"]), (None, &json!(0)));
}

#[tokio::test]
async fn names_in_the_language_of_a_locale_may_share_no_word_with_the_titles() {
    let endpoint = Endpoint::start(|question: &Question| {
        let names = ["Schach für Anfänger", "Уроки шахмат"];
        let asked = question.asked.iter().zip(names);
        let names = asked.map(|(asked, name)| json!({"id": asked.id, "name": name}));
        Turn::Says(json!({"names": names.collect::<Vec<_>>()}).to_string())
    });
    let template = Template::read(None, None, Some("de".parse().unwrap())).unwrap();
    let namer = with_template(&endpoint, template);
    let names = named_by(&namer, user(&["Chess", "Ukulele"])).await;
    let german = ("Schach für Anfänger".into(), NameSource::Llm);
    // The second is not German, and when it is asked for again, it is the first one's name.
    assert_eq!(names, [german, ("Ukulele".into(), NameSource::Fallback)]);
    let messages = &endpoint.questions()[0].body["messages"];
    let last = messages.as_array().unwrap().last().unwrap();
    let question: Value = serde_json::from_str(last["content"].as_str().unwrap()).unwrap();
    assert_eq!(question["language"], "German");
    // Without a locale, neither would do.
    let (names, _) = name(&crate::namer(&endpoint), &[user(&["Chess", "Ukulele"])])
        .await
        .unwrap();
    assert!(
        names[0]
            .iter()
            .all(|name| name.source == NameSource::Fallback)
    );
}

#[tokio::test]
async fn a_template_says_what_is_asked_and_what_is_refused() {
    let endpoint = Endpoint::start(answers);
    let file = "format = 1\ninstructions = \"Name it.\"\nexamples = []\n\
                [question]\ntitles = 1\n[names]\nunsafe = [\"chess for\"]";
    let namer = with_template(&endpoint, Template::read(Some(file), None, None).unwrap());
    let names = named_by(&namer, user(&["Ukulele", "Chess"])).await;
    let mut expected = good(&["Ukulele", "Chess"]);
    expected[1] = ("Chess".into(), NameSource::Fallback);
    assert_eq!(names, expected);
    let question = &endpoint.questions()[0];
    assert_eq!(question.body["messages"][0]["content"], "Name it.");
    assert_eq!(question.body["messages"].as_array().unwrap().len(), 2);
    assert!(question.asked.iter().all(|asked| asked.titles.len() == 1));
}

/// A worker with these options, against a Redis that nobody needs.
fn refused(arguments: &[&str]) -> String {
    let output = command("sojourn-worker")
        .args(["name", "--redis", "redis://127.0.0.1:1"])
        .args(["--endpoint", "http://127.0.0.1:1", "--model", "m"])
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_wrong_with_a_prompt_is_said_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("prompt.toml"), "format = 1\n[names]\ngenerics = []").unwrap();
    std::fs::write(path("examples.jsonl"), "\n{}").unwrap();
    for (arguments, parts) in [
        (
            ["--prompt", &path("prompt.toml")],
            ["prompt.toml", "generics"],
        ),
        (
            ["--examples", &path("examples.jsonl")],
            ["examples.jsonl", "line 2"],
        ),
        (
            ["--prompt", "/nowhere.toml"],
            ["/nowhere.toml", "error[SJ201]"],
        ),
        (["--locale", "german"], ["german", "is no language"]),
        (["--samples", "0"], ["--samples", "1..=16"]),
        (
            ["--moderation", "me:secret@host"],
            ["--moderation", "is not a URL"],
        ),
    ] {
        let message = refused(&arguments);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn a_worker_asks_as_its_files_say() {
    // Two samples; the second is better.
    let endpoint = Endpoint::start(|question: &Question| {
        let plain: Vec<Value> = good_names(question)
            .into_iter()
            .map(|(id, name)| json!({"id": id, "name": name.replace("for Beginners", "and Moons")}))
            .collect();
        let better: Vec<Value> = good_names(question)
            .into_iter()
            .map(|(id, name)| json!({"id": id, "name": name}))
            .collect();
        let choice = |names: Vec<Value>| json!({"message": {"content": json!({"names": names}).to_string()}});
        Turn::Completes(json!({"choices": [choice(plain), choice(better)]}))
    });
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 3, 3).display().to_string();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(
        path("prompt.toml"),
        "format = 1\ninstructions = \"Name it in {language}.\"\n[question]\nterms = 2",
    )
    .unwrap();
    let question = json!({"users": [{"journeys": [{"id": "7", "titles": ["Goat cheese"]}]}]});
    let answer = json!({"names": [{"id": "7", "name": "Goat Cheese"}]});
    let example = json!({"messages": [
        {"role": "user", "content": question.to_string()},
        {"role": "assistant", "content": answer.to_string()},
    ]});
    std::fs::write(path("examples.jsonl"), format!("{example}\n")).unwrap();
    let mut worker = command("sojourn-worker");
    worker
        .args([
            "name",
            "--redis",
            &server.url(),
            "--model",
            "fake",
            "--endpoint",
        ])
        .args([
            &endpoint.url(),
            "--prompt",
            &path("prompt.toml"),
            "--samples",
            "2",
        ])
        .args(["--examples", &path("examples.jsonl")]);
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
        Running(worker.spawn().unwrap()),
    ];
    let output = command("sojourn")
        .args(["backfill", &dataset, "--watch", "--json"])
        .env("SOJOURN_REDIS", server.url())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let fallbacks = &support::json(&output)["counts"]["names_fallback"];
    assert_eq!(fallbacks.as_u64().unwrap_or(0), 0);
    let questions = endpoint.questions();
    let body = &questions[0].body;
    assert_eq!(
        body["messages"][0]["content"],
        "Name it in the language of the titles."
    );
    assert_eq!(body["messages"].as_array().unwrap().len(), 4);
    assert!(body["messages"][2].to_string().contains("Goat Cheese"));
    assert_eq!(body["n"], 2);
    let terms: BTreeSet<usize> = questions
        .iter()
        .flat_map(|q| &q.asked)
        .map(|a| a.terms.len())
        .collect();
    assert_eq!(terms, BTreeSet::from([2]));
    let output = command("sojourn")
        .args(["show", "u0", "--redis", &server.url(), "--json"])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        shown.contains("for Beginners") && !shown.contains("and Moons"),
        "{shown}"
    );
}
