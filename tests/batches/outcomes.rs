//! What becomes of the questions of a batch.

use futures::future::join_all;
use serde_json::json;
use sojourn::journey::NameSource;
use sojourn::naming::LlmError;

use crate::faulty::Faulty;
use crate::support::Server;
use crate::{TIMES, assert_named, assert_paid_once, batches, good, name, namer};

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_are_asked_together_are_answered_by_batches() {
    let endpoint = Faulty::start(&json!({}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    let users = [
        ["Ukulele", "Lettuce"],
        ["Chess", "Rust"],
        ["Bread", "Sailing"],
    ];
    let named = join_all(users.iter().map(|terms| name(&namer, terms))).await;
    for (terms, names) in users.iter().zip(named) {
        assert_eq!(names.unwrap(), good(terms));
    }
    let report = endpoint.report().await;
    assert_paid_once(&report, 6);
    let asked = |batch: &serde_json::Value| batch["request_counts"]["total"].as_u64();
    assert_eq!(batches(&report).iter().filter_map(asked).sum::<u64>(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_questions_are_asked_once_whoever_asks() {
    let endpoint = Faulty::start(&json!({"batches": {"seconds": 1}}));
    let server = Server::start();
    let redis = server.connect().await;
    let namers = [(); 3].map(|()| namer(&endpoint, &redis, TIMES));
    let asked = namers.iter().chain(&namers);
    let named = join_all(asked.map(|namer| name(namer, &["Ukulele"]))).await;
    for names in named {
        assert_eq!(names.unwrap(), good(&["Ukulele"]));
    }
    // Also later on.
    assert_named(&namers[0], &["Ukulele"]).await;
    assert_paid_once(&endpoint.report().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_fails_in_a_batch_costs_no_other_and_is_asked_in_the_next() {
    let endpoint = Faulty::start(&json!({"faults": [
        {"on": "line", "what": "filter", "mentions": "Gunpowder"},
        {"on": "line", "what": {"status": {"status": 500}}, "times": 1},
        {"on": "line", "what": "truncated", "mentions": "Lettuce", "over_journeys": 1},
        {"on": "line", "what": "missing", "mentions": "Sailing", "over_journeys": 1},
    ]}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    let users = [
        ["Ukulele", "Gunpowder"],
        ["Lettuce", "Chess"],
        ["Sailing", "Bread"],
        ["Rust", "Opera"],
    ];
    let named = join_all(users.iter().map(|terms| name(&namer, terms))).await;
    for (terms, names) in users.iter().zip(named) {
        let mut expected = good(terms);
        if terms[1] == "Gunpowder" {
            expected[1] = ("Gunpowder".into(), NameSource::Fallback);
        }
        assert_eq!(names.unwrap(), expected);
    }
    assert_paid_once(&endpoint.report().await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_batch_has_no_time_for_is_asked_in_the_next() {
    let endpoint = Faulty::start(&json!({"batches": {"expires_after": 1}}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    let terms = ["Ukulele", "Lettuce", "Chess"];
    let named = join_all(terms.iter().map(async |term| name(&namer, &[term]).await)).await;
    for (term, names) in terms.iter().zip(named) {
        assert_eq!(names.unwrap(), good(&[term]));
    }
    assert_paid_once(&endpoint.report().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_trouble_is_waited_for() {
    let endpoint = Faulty::start(&json!({"faults": [
        {"on": "upload", "what": "cut", "times": 1},
        {"on": "create", "what": {"status": {"status": 503}}, "times": 1},
        {"on": "poll", "what": {"status": {"status": 429, "retry_after": 0.1}}, "times": 2},
        {"on": "fetch", "what": "html", "times": 1},
        {"on": "fetch", "what": {"status": {"status": 500}}, "times": 1},
    ]}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    assert_named(&namer, &["Ukulele"]).await;
    assert_paid_once(&endpoint.report().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_refuses_says_so_and_nothing_is_paid() {
    for (on, status) in [("upload", 401), ("create", 400), ("upload", 404)] {
        let endpoint = Faulty::start(&json!({"faults": [
            {"on": on, "what": {"status": {"status": status, "body": "no"}}},
        ]}));
        let server = Server::start();
        let namer = namer(&endpoint, &server.connect().await, TIMES);
        let error = name(&namer, &["Ukulele"]).await.unwrap_err();
        assert!(matches!(error, LlmError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        // It is not held against a provider that has been paid meanwhile.
        endpoint.behave(&json!({})).await;
        assert_named(&namer, &["Ukulele"]).await;
    }
    let endpoint = Faulty::start(&json!({"batches": {"fails": true}}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    let error = name(&namer, &["Ukulele"]).await.unwrap_err();
    assert!(error.to_string().contains("has batches"), "{error}");
}
