//! Processes that end in the middle of a batch: nothing is paid twice, and nothing is lost.

use std::time::Duration;

use serde_json::{Value, json};
use sojourn::naming::{BatchOptions, Namer};

use crate::faulty::Faulty;
use crate::support::{Server, wait_for_async};
use crate::{TIMES, assert_named, assert_paid_once, batches, name, namer};

/// A process that is gone is given up soon. It does not matter here if a slow machine takes one that is
/// not gone for gone: it is dropped before.
const HASTY: BatchOptions = BatchOptions {
    lease: Duration::from_millis(500),
    ..TIMES
};

/// Asks, and is gone as soon as the endpoint's books show it.
async fn is_gone(namer: Namer, endpoint: &Faulty, shows: impl Fn(&Value) -> bool) {
    let reached = wait_for_async("the endpoint", async || {
        shows(&endpoint.report().await).then_some(())
    });
    tokio::select! {
        named = name(&namer, &["Ukulele"]) => panic!("{named:?}"),
        () = reached => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_outlives_whoever_made_it() {
    let endpoint = Faulty::start(&json!({"batches": {"seconds": 3600}}));
    let server = Server::start();
    let redis = server.connect().await;
    let first = namer(&endpoint, &redis, TIMES);
    is_gone(first, &endpoint, |report| batches(report).len() == 1).await;
    endpoint.behave(&json!({})).await;
    let second = namer(&endpoint, &redis, HASTY);
    assert_named(&second, &["Ukulele"]).await;
    let report = endpoint.report().await;
    assert_paid_once(&report, 1);
    assert_eq!(batches(&report).len(), 1, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_maker_died_before_it_knew_is_found() {
    for what in ["hang", "cut"] {
        let endpoint = Faulty::start(&json!({
            "batches": {"seconds": 3600},
            "faults": [{"on": "create", "what": what}],
        }));
        let server = Server::start();
        let redis = server.connect().await;
        let first = namer(&endpoint, &redis, HASTY);
        is_gone(first, &endpoint, |report| batches(report).len() == 1).await;
        endpoint.behave(&json!({})).await;
        let second = namer(&endpoint, &redis, HASTY);
        assert_named(&second, &["Ukulele"]).await;
        let report = endpoint.report().await;
        assert_paid_once(&report, 1);
        assert_eq!(batches(&report).len(), 1, "{what}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_never_made_is_made_by_the_next() {
    let endpoint =
        Faulty::start(&json!({"faults": [{"on": "create", "what": {"status": {"status": 503}}}]}));
    let server = Server::start();
    let redis = server.connect().await;
    let first = namer(&endpoint, &redis, HASTY);
    is_gone(first, &endpoint, |report| {
        !report["faults"]["Status"].is_null()
    })
    .await;
    endpoint.behave(&json!({})).await;
    let second = namer(&endpoint, &redis, HASTY);
    assert_named(&second, &["Ukulele"]).await;
    let report = endpoint.report().await;
    assert_paid_once(&report, 1);
    assert_eq!(batches(&report).len(), 1, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_lost_does_not_make_a_second_batch() {
    let endpoint = Faulty::start(&json!({"faults": [{"on": "create", "what": "cut", "times": 1}]}));
    let server = Server::start();
    let namer = namer(&endpoint, &server.connect().await, TIMES);
    assert_named(&namer, &["Ukulele"]).await;
    let report = endpoint.report().await;
    assert_paid_once(&report, 1);
    assert_eq!(batches(&report).len(), 1, "{report}");
}
