//! `sojourn ingest` as a process: its options, its exit codes, its signals.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};

use sojourn::dataset::{Manifest, SERVER_ADDRESS_FILE};
use sojourn::item::ItemIndex;
use sojourn::terms::{Language, SalienceMethod};

use crate::population::{events_csv, items_csv};
use crate::support::{command, said, sojourn, wait_for};
use crate::workspace::{Workspace, assert_says, block_on, open};

/// `sojourn ingest` in a workspace, of items.csv and log.csv unless `arguments` say otherwise.
fn ingest(workspace: &Workspace, arguments: &[&str]) -> Output {
    let out = workspace.location("dataset");
    let (items, log) = (
        workspace.location("items.csv"),
        workspace.location("log.csv"),
    );
    let mut all = vec!["ingest", "--out", &out];
    if !arguments.contains(&"--movielens") {
        all.extend(["--items", &items, "--interactions", &log]);
    }
    all.extend(arguments);
    sojourn(&all)
}

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write("log.csv", events_csv());
    workspace
}

#[track_caller]
fn manifest(workspace: &Workspace, output: &Output) -> Manifest {
    assert!(output.status.success(), "{}", said(output));
    block_on(Manifest::load(&workspace.location("dataset"))).unwrap()
}

/// What is said by a command that fails with this code, in one line.
#[track_caller]
fn refusal(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.starts_with("error[SJ"), "{message}");
    message
}

#[test]
fn a_mapping_in_a_file_is_used_and_recorded() {
    let workspace = Workspace::new();
    workspace.write(
        "items.csv",
        "sku,name,kind,maker\n1,Kettle,kitchen,Alessi\n",
    );
    workspace.write("log.csv", "user_id,product,rated at\nu,1,5\n");
    let mapping = workspace.write(
        "mapping.toml",
        "[items]\nitem_id = \"sku\"\ntitle = \"name\"\ntags = [\"kind\", \"maker\"]\n\
         [interactions]\nitem_id = \"product\"\ntimestamp = \"rated at\"\n",
    );
    let manifest = manifest(&workspace, &ingest(&workspace, &["--mapping", &mapping]));
    assert_eq!(manifest.counts.interactions, 1);
    assert_eq!(manifest.mapping.items["tags"], ["kind", "maker"]);
    assert_eq!(manifest.mapping.interactions["item_id"], ["product"]);
}

#[test]
fn a_mapping_that_cannot_be_used_is_wrong_usage() {
    let workspace = workspace();
    let nowhere = workspace.location("nowhere.toml");
    let message = refusal(&ingest(&workspace, &["--mapping", &nowhere]), 2);
    assert_says(&message, &["mapping: ", "nowhere.toml", "No such file"]);
    let wrong = workspace.write("wrong.toml", "[items]\nweight = \"x\"\n");
    let message = refusal(&ingest(&workspace, &["--mapping", &wrong]), 2);
    assert_says(&message, &["wrong.toml", "\"weight\"", "item_id, title"]);
}

#[test]
fn how_terms_are_weighed_is_read_from_a_file_and_recorded_with_the_window() {
    let workspace = workspace();
    let salience = workspace.write(
        "salience.toml",
        "terms_per_item = 9\nboosts = { title = 2 }\n",
    );
    let arguments = [
        "--salience-params",
        &salience,
        "--salience",
        "formula",
        "--language",
        "german",
        "--window",
        "4",
    ];
    let manifest = manifest(&workspace, &ingest(&workspace, &arguments));
    assert_eq!(manifest.salience.terms_per_item, 9);
    assert_eq!(manifest.salience.method, SalienceMethod::Formula);
    assert_eq!(manifest.salience.boosts.title, 2.0);
    assert_eq!(manifest.salience.boosts.tags, 1.0);
    assert_eq!(manifest.salience.language, Language::German);
    assert_eq!(manifest.window, Some(4));
}

#[test]
fn what_terms_weigh_is_learned_from_histories_unless_the_formula_is_asked_for() {
    let workspace = Workspace::new();
    // Users stay with a subject; what goes with it in the titles is anything.
    let (subjects, others) = (12, 16);
    let place = |at: usize| (at % subjects, at / subjects);
    let title = |at: usize| format!("subj{0}q{0} word{1}q{1}", place(at).0, place(at).1);
    let count = subjects * others;
    let items = (0..count).map(|at| format!("i{at:03},{}\n", title(at)));
    let log = (0..count).flat_map(|user| {
        let seen = (0..6).map(move |step| {
            (
                user % subjects + subjects * ((user / 5 + step * 5) % others),
                step,
            )
        });
        seen.map(move |(item, step)| format!("u{user},i{item:03},{step}\n"))
    });
    workspace.write(
        "items.csv",
        format!("item_id,title\n{}", items.collect::<String>()),
    );
    let header = "user_id,item_id,timestamp\n";
    workspace.write("log.csv", format!("{header}{}", log.collect::<String>()));

    let ingested = |arguments: &[&str]| {
        let manifest = manifest(&workspace, &ingest(&workspace, arguments));
        let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
        let catalogue = dataset.catalogue();
        let terms = catalogue
            .terms(ItemIndex(100))
            .map(|(term, weight)| (catalogue.surface(term).to_owned(), weight));
        let terms: BTreeMap<String, f32> = terms.collect();
        (manifest, terms)
    };
    let lead = |terms: &BTreeMap<String, f32>| {
        let (subject, other) = place(100);
        terms[&format!("subj{subject}q{subject}")] / terms[&format!("word{other}q{other}")]
    };
    let (learned, terms) = ingested(&["--force"]);
    let again = {
        let location = |name: &str| workspace.location(name);
        let output = command("sojourn")
            .args([
                "ingest",
                "--force",
                "--memory",
                "64MiB",
                "--out",
                &location("dataset"),
            ])
            .args([
                "--items",
                &location("items.csv"),
                "--interactions",
                &location("log.csv"),
            ])
            .env("RAYON_NUM_THREADS", "1")
            .output()
            .unwrap();
        manifest(&workspace, &output)
    };
    let (formula, plain) = ingested(&["--force", "--salience", "formula"]);
    assert!(learned.relevance.is_some());
    assert_eq!(formula.relevance, None);
    assert_eq!(learned.id, again.id, "with one thread and less memory");
    assert_ne!(learned.catalogue, formula.catalogue);
    let shards = |manifest: &Manifest| manifest.shards.clone();
    assert_eq!(
        shards(&learned),
        shards(&formula),
        "items keep their places"
    );
    assert!(lead(&terms) > 1.3 * lead(&plain), "{terms:?} {plain:?}");
}

#[test]
fn a_language_makes_its_words_one_and_leaves_those_of_others() {
    let terms = |language: &str| {
        let workspace = Workspace::new();
        let items = "item_id,title\na,Katze\nb,Katzen\nc,Hund\nd,Hunde\n";
        workspace.write("items.csv", items);
        workspace.write("log.csv", "user_id,item_id,timestamp\nu,a,1\n");
        let output = ingest(&workspace, &["--language", language]);
        manifest(&workspace, &output).counts.terms
    };
    assert_eq!((terms("german"), terms("any")), (2, 0));
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let workspace = workspace();
    let location = |name: &str| workspace.location(name);
    let (items, log, out) = (
        location("items.csv"),
        location("log.csv"),
        location("dataset"),
    );
    let mut child = command("sojourn")
        .args([
            "ingest",
            "--items",
            &items,
            "--interactions",
            &log,
            "--out",
            &out,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn salience_that_cannot_be_used_is_wrong_usage() {
    let workspace = workspace();
    for (text, parts) in [
        (
            "terms_per_item = 99",
            ["terms_per_item", "between 8 and 16"],
        ),
        ("terms = 9", ["salience.toml", "unknown field `terms`"]),
        ("terms_per_item = [", ["salience.toml", "line 1"]),
    ] {
        let salience = workspace.write("salience.toml", text);
        let message = refusal(&ingest(&workspace, &["--salience-params", &salience]), 2);
        assert_says(&message, &parts);
    }
    let unknown = ingest(&workspace, &["--language", "klingon"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
}

#[test]
fn a_place_that_cannot_be_written_is_a_failure_and_no_wrong_usage() {
    let workspace = workspace();
    let (items, log) = (
        workspace.location("items.csv"),
        workspace.location("log.csv"),
    );
    let out = workspace.location("log.csv/dataset");
    let output = sojourn(&[
        "ingest",
        "--items",
        &items,
        "--interactions",
        &log,
        "--out",
        &out,
    ]);
    assert_says(&refusal(&output, 1), &["log.csv", "choose another place"]);
}

#[test]
fn a_dataset_that_is_there_is_wrong_usage_and_force_keeps_what_its_private_redis_has() {
    let workspace = workspace();
    manifest(&workspace, &ingest(&workspace, &[]));
    assert_says(
        &refusal(&ingest(&workspace, &[]), 2),
        &["exists", "--force"],
    );
    let address = format!("dataset/{SERVER_ADDRESS_FILE}");
    workspace.write(&address, "unix:///nowhere");
    workspace.write("dataset/local/redis/appendonly", "names");
    manifest(&workspace, &ingest(&workspace, &["--force"]));
    let kept = std::fs::read_to_string(workspace.path("dataset/local/redis/appendonly"));
    assert_eq!(kept.unwrap(), "names");
}

#[test]
fn scratch_files_go_to_the_folder_that_is_named_and_are_gone_afterwards() {
    let workspace = workspace();
    let scratch = workspace.location("scratch");
    manifest(&workspace, &ingest(&workspace, &["--scratch", &scratch]));
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
}

#[test]
fn a_signal_ends_an_ingest_with_one_line_and_leaves_nothing() {
    let workspace = Workspace::new();
    let item = |item: u32| format!("i{item},The {item}th of many titles\n");
    let items: String = (0..20_000).map(item).collect();
    workspace.write("items.csv", format!("item_id,title\n{items}"));
    let row = |row: u32| format!("u{},i{},{row}\n", row % 5_000, row % 20_000);
    let rows: String = (0..2_000_000).map(row).collect();
    workspace.write("log.csv", format!("user_id,item_id,timestamp\n{rows}"));
    for signal in ["TERM", "INT"] {
        let mut process = command("sojourn")
            .args(["ingest", "--items", &workspace.location("items.csv")])
            .args(["--interactions", &workspace.location("log.csv")])
            .args(["--out", &workspace.location("dataset")])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Once there is a catalogue, the log is read, which takes a while.
        let pattern = workspace.location("dataset.partial-*/dataset/catalogue.sjc");
        wait_for("the catalogue", || {
            assert!(process.try_wait().unwrap().is_none(), "it has ended");
            glob::glob(&pattern).unwrap().next()
        })
        .unwrap();
        let kill = std::process::Command::new("kill")
            .args(["-s", signal, &process.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = process.wait_with_output().unwrap();
        let message = refusal(&output, 1);
        assert_says(&message, &["stopped"]);
        assert_eq!(message.lines().count(), 1, "{message}");
        let left = workspace.outputs(&["items.csv", "log.csv"]);
        assert_eq!(left, [""; 0], "SIG{signal}");
    }
}

#[test]
fn help_says_how_object_stores_are_read_and_when_an_input_is_given_up() {
    let output = sojourn(&["ingest", "--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    assert_says(
        &help,
        &[
            "AWS_",
            "GOOGLE_",
            "AZURE_",
            "[interactions]",
            "1000 rows",
            "256MiB",
        ],
    );
}
