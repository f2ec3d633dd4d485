//! What goes wrong outside is said with what, where and what to do.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use support::{Server, command, said, small_dataset, sojourn};

/// The message of a command that must fail with this code.
fn refusal(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!message.contains("panicked"), "{message}");
    assert!(message.contains("error[SJ"), "{message}");
    message
}

fn runs(url: &str) -> Output {
    sojourn(&["runs", "--redis", url])
}

/// The same from both programs.
fn refusals(url: &str) -> [String; 2] {
    let worker = command("sojourn-worker")
        .args(["extract", "--redis", url])
        .output()
        .unwrap();
    [refusal(&runs(url), 3), refusal(&worker, 3)]
}

fn ingest(folder: &Path, items: &[u8], interactions: &[u8]) -> Output {
    std::fs::write(folder.join("items.csv"), items).unwrap();
    std::fs::write(folder.join("interactions.csv"), interactions).unwrap();
    let output = support::ingest(folder, &folder.join("out"), &[]);
    if !output.status.success() {
        assert!(
            !folder.join("out").exists(),
            "a failed ingest leaves no dataset"
        );
    }
    output
}

const ITEMS: &[u8] = b"item_id,title\na,Ukulele chords\nb,Ukulele strings\n";
const INTERACTIONS: &[u8] = b"user_id,item_id,timestamp\nann,a,1700000000\n";

#[test]
fn a_redis_that_is_down_is_named() {
    for message in refusals("redis://127.0.0.1:1") {
        assert!(
            message.contains("error[SJ101]: cannot reach Redis at 127.0.0.1:1"),
            "{message}"
        );
        assert!(message.contains("is it running"), "{message}");
    }
}

#[test]
fn a_redis_that_would_evict_queues_is_refused() {
    let server = Server::start_single_with(&["--maxmemory-policy", "allkeys-lru"]);
    for message in refusals(&server.url()) {
        assert!(
            message.contains("allkeys-lru") && message.contains("noeviction"),
            "{message}"
        );
        assert!(message.contains("error[SJ105]: "), "{message}");
    }
}

#[test]
fn a_redis_that_needs_a_password_says_how_to_give_it() {
    let server = Server::start_single_with(&["--requirepass", "swordfish"]);
    for message in refusals(&server.url()) {
        assert!(message.contains("SOJOURN_REDIS_PASSWORD"), "{message}");
        assert!(message.contains("error[SJ102]: "), "{message}");
    }
    let wrong = command("sojourn")
        .args(["runs", "--redis", &server.url()])
        .env("SOJOURN_REDIS_PASSWORD", "mackerel")
        .output()
        .unwrap();
    let message = refusal(&wrong, 3);
    assert!(
        message.contains("refused the login") && !message.contains("mackerel"),
        "{message}"
    );
    let right = command("sojourn")
        .args(["runs", "--redis", &server.url()])
        .env("SOJOURN_REDIS_PASSWORD", "swordfish")
        .output()
        .unwrap();
    assert!(right.status.success(), "{}", said(&right));
}

#[test]
fn an_empty_file_of_a_password_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password").display().to_string();
    std::fs::write(&file, "\n").unwrap();
    for option in ["--redis-password-file", "--redis-sentinel-password-file"] {
        let output = sojourn(&["runs", "--redis", "redis://127.0.0.1:1", option, &file]);
        let message = refusal(&output, 2);
        assert!(
            message.contains(&file) && message.contains("is empty"),
            "{message}"
        );
    }
}

#[test]
fn a_redis_that_is_too_old_is_refused_with_its_version() {
    // No server this old can be had here, so its greeting is played.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut stream = stream;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                let info = "redis_version:6.2.14\r\nmaxmemory_policy:noeviction\r\n";
                let reply = match line.trim() {
                    "INFO" => format!("${}\r\n{info}\r\n", info.len()),
                    "CLIENT" => "+OK\r\n".to_owned(),
                    _ => String::new(),
                };
                line.clear();
                if stream.write_all(reply.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    let message = refusal(&runs(&format!("redis://127.0.0.1:{port}")), 3);
    assert!(
        message.contains("6.2.14") && message.contains("7.0"),
        "{message}"
    );
}

#[test]
fn a_url_that_is_none_is_explained_without_being_repeated() {
    let message = refusal(&runs("http://user:secret@host"), 3);
    assert!(
        message.contains("redis://") && !message.contains("secret"),
        "{message}"
    );
}

#[test]
fn no_redis_at_all_says_how_to_name_one() {
    let message = refusal(&sojourn(&["runs"]), 3);
    assert!(
        message.contains("--redis") && message.contains("SOJOURN_REDIS"),
        "{message}"
    );
}

#[test]
fn an_unknown_user_and_an_unknown_run_are_said_to_be() {
    let server = Server::start();
    let show = sojourn(&["show", "nobody", "--redis", &server.url()]);
    assert!(refusal(&show, 1).contains("no results for user \"nobody\""));
    let run = sojourn(&["run", "1700000000000-0", "--redis", &server.url()]);
    assert!(refusal(&run, 2).contains("error[SJ501]: there is no run 1700000000000-0"));
    let watched = [
        "run",
        "1700000000000-0",
        "--watch",
        "--redis",
        &server.url(),
    ];
    assert!(refusal(&sojourn(&watched), 2).contains("there is no run"));
    let typo = sojourn(&["run", "latest", "--redis", &server.url()]);
    assert!(refusal(&typo, 2).contains("is not a run id"));
}

#[test]
fn a_dataset_that_is_none_is_refused_before_anything_is_asked_for() {
    let server = Server::start();
    let output = sojourn(&["backfill", "/nowhere", "--redis", &server.url()]);
    let message = refusal(&output, 2);
    assert!(
        message.contains("/nowhere") && message.contains("sojourn ingest"),
        "{message}"
    );
    let output = sojourn(&["backfill", "/nowhere"]);
    assert!(refusal(&output, 2).contains("/nowhere"));
}

#[test]
fn a_dataset_that_was_damaged_fails_its_jobs_and_says_which_file() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 20, 10);
    let shard = dataset.join("shards/00000.parquet");
    let mut bytes = std::fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&shard, bytes).unwrap();
    let output = sojourn(&["backfill", &dataset.display().to_string()]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let log = dataset.join("local/logs/extract-1.log");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("shards/00000.parquet is damaged"), "{log}");
    drop(server);
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let output = ingest(folder.path(), b"imdb,title\na,Ukulele\n", INTERACTIONS);
    let message = refusal(&output, 2);
    for part in [
        "items.csv",
        "item_id",
        "imdb, title",
        "--map item_id=COLUMN",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn wrong_types_are_rejected_row_by_row_and_too_many_stop_the_ingest() {
    let folder = tempfile::tempdir().unwrap();
    let interactions = b"user_id,item_id,timestamp\nann,a,yesterday\nbob,b,1700000000\n";
    let message = refusal(&ingest(folder.path(), ITEMS, interactions), 2);
    for part in [
        "1 of",
        "line 2",
        "\"yesterday\"",
        "--max-rejects",
        "out.rejects.jsonl",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let rejects = std::fs::read_to_string(folder.path().join("out.rejects.jsonl")).unwrap();
    assert!(
        rejects.contains("\"line\":2") && rejects.contains("invalid_value"),
        "{rejects}"
    );
}

#[test]
fn an_empty_file_is_said_to_be() {
    for items in [&b""[..], b"item_id,title\n"] {
        let folder = tempfile::tempdir().unwrap();
        let message = refusal(&ingest(folder.path(), items, INTERACTIONS), 2);
        let empty = message.contains("is empty") || message.contains("has no rows");
        assert!(message.contains("items.csv") && empty, "{message}");
    }
}

#[test]
fn text_that_is_not_utf8_is_rejected_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let message = refusal(
        &ingest(folder.path(), b"item_id,title\na,\xff\xfe\n", INTERACTIONS),
        2,
    );
    assert!(
        message.contains("not UTF-8") && message.contains("line 2"),
        "{message}"
    );
}

#[test]
fn a_parquet_file_that_broke_off_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 20, 20);
    let whole = std::fs::read(dataset.join("shards/00000.parquet")).unwrap();
    let cut = folder.path().join("cut.parquet");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let output = sojourn(&[
        "ingest",
        "--items",
        &folder.path().join("items.csv").display().to_string(),
        "--interactions",
        &cut.display().to_string(),
        "--out",
        &folder.path().join("out").display().to_string(),
    ]);
    let message = refusal(&output, 2);
    assert!(
        message.contains("cut.parquet") && message.contains("cannot be read"),
        "{message}"
    );
}

#[test]
fn usage_that_makes_no_sense_is_refused_with_code_two() {
    refusal(&sojourn(&["backfill"]), 2);
    refusal(&sojourn(&["recompute", "d"]), 2);
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let epsilon = [
        "backfill",
        folder.path().to_str().unwrap(),
        "--epsilon",
        "7",
        "--redis",
        &server.url(),
    ];
    let message = refusal(&sojourn(&epsilon), 2);
    assert!(message.contains("epsilon is 7"), "{message}");
    let demo = sojourn(&["demo", "--users", "0"]);
    assert!(refusal(&demo, 2).contains("--users"));
}

#[test]
fn a_list_of_users_that_names_nobody_or_is_no_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().to_str().unwrap();
    let users = folder.path().join("users.txt");
    let recompute = |content: &[u8]| {
        std::fs::write(&users, content).unwrap();
        let file = users.to_str().unwrap();
        let redis = "redis://127.0.0.1:1";
        let output = sojourn(&["recompute", dataset, "--users", file, "--redis", redis]);
        refusal(&output, 2)
    };
    assert!(recompute(b"\n \n").contains("names no user"));
    assert!(recompute(b"ann\nb\xff\n").contains("UTF-8"));
}
