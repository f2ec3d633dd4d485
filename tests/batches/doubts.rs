//! What the provider says, or does not say, about whole batches and files.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sojourn::naming::{BatchOptions, LlmError};

use crate::faulty::Faulty;
use crate::support::Server;
use crate::{TIMES, assert_named, assert_paid_once, batches, good, name, namer};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_not_made_again_while_nobody_knows_whether_it_was_made() {
    // The list fails after the reply was lost, or does not show the batch at first.
    let faults = json!([
        {"on": "create", "what": "cut", "times": 1},
        {"on": "poll", "what": {"status": {"status": 500}}, "times": 2},
    ]);
    let endpoint = Faulty::start(&json!({"batches": {"listed_after": 0.5}, "faults": faults}));
    let server = Server::start();
    let patient = BatchOptions {
        settling: Duration::from_secs(2),
        ..TIMES
    };
    let namer = namer(&endpoint, &server.connect().await, patient);
    assert_named(&namer, &["Ukulele"]).await;
    let report = endpoint.report().await;
    assert_paid_once(&report, 1);
    assert_eq!(batches(&report).len(), 1, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_file_is_sent_in_two_and_too_large_a_question_in_parts() {
    for times in [1, 2] {
        let endpoint = Faulty::start(&json!({"faults": [
            {"on": "upload", "what": {"status": {"status": 413}}, "times": times},
        ]}));
        let server = Server::start();
        let namer = namer(&endpoint, &server.connect().await, TIMES);
        let users = [["Ukulele", "Lettuce"], ["Chess", "Rust"]];
        let named = join_all(users.iter().map(|terms| name(&namer, terms))).await;
        for (terms, names) in users.iter().zip(named) {
            assert_eq!(names.unwrap(), good(terms));
        }
        let report = endpoint.report().await;
        assert_paid_once(&report, 4);
        assert!(batches(&report).len() >= 2, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_provider_of_batches_is_not_waited_for_without_end() {
    let endpoint = Faulty::start(&json!({"faults": [{"on": "poll", "what": "html"}]}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    let error = name(&namer, &["Ukulele"]).await.unwrap_err();
    assert!(matches!(error, LlmError::Unreadable { .. }), "{error}");
    // The batch is there all the same.
    endpoint.behave(&json!({})).await;
    assert_named(&namer, &["Ukulele"]).await;
    assert_paid_once(&endpoint.report().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_lines_is_no_failure() {
    let endpoint = Faulty::start(&json!({"batches": {"empty_files": true}}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    assert_named(&namer, &["Ukulele"]).await;
    assert_paid_once(&endpoint.report().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_not_waited_for() {
    let endpoint = Faulty::start(&json!({}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    for node in &server.nodes {
        let _: String = node.ask("ACL SETUSER default -hset").unwrap();
    }
    let error = name(&namer, &["Ukulele"]).await.unwrap_err();
    assert!(error.to_string().contains("Redis refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_questions_of_a_user_are_asked_in_the_same_night() {
    let endpoint = Faulty::start(&json!({}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    let terms = [
        "Ukulele", "Lettuce", "Chess", "Rust", "Bread", "Sailing", "Opera", "Knitting", "Falconry",
        "Origami",
    ];
    assert_named(&namer, &terms).await;
    let report = endpoint.report().await;
    assert_paid_once(&report, terms.len() as u64);
    assert_eq!(batches(&report).len(), 1, "{report}");
    assert_eq!(batches(&report)[0]["request_counts"]["total"], 2);
}
