//! Limits that several processes share, at the endpoint that they are about.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use serde_json::json;
use sojourn::naming::{Ledger, LimitOptions, LlmError, Namer};

use crate::llm::{Endpoint, Question, Turn, answers};
use crate::support::{self, Server};
use crate::{account, at_first, good, name, namer, namer_with, options, user};

fn plenty() -> LimitOptions {
    LimitOptions::requests(NonZeroU32::new(60_000).unwrap())
}

/// A namer as another process has it.
async fn sharing(endpoint: &Endpoint, server: &Server, limits: LimitOptions) -> Namer {
    let mut namer = namer(endpoint);
    namer.share_limits(&server.connect().await, limits);
    namer
}

#[tokio::test]
async fn what_an_endpoint_asks_of_one_process_every_process_does() {
    let endpoint = Endpoint::start(|_: &Question| {
        Turn::Fails(429, "retry-after: 3600\r\n", "come tomorrow".into())
    });
    let server = Server::start();
    for _ in 0..3 {
        let namer = sharing(&endpoint, &server, plenty()).await;
        let error = name(&namer, &[user(&["Ukulele"])]).await.unwrap_err();
        let LlmError::Busy {
            retry_after: Some(wait),
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert!(wait > Duration::from_secs(3000), "{wait:?}");
    }
    assert_eq!(endpoint.questions().len(), 1);
}

#[tokio::test]
async fn attempts_that_fail_are_in_the_ledger() {
    // What has no capacity has done nothing; what fails may have done all of it.
    for (status, charged) in [(429, 0), (503, 0), (529, 0), (500, 80), (502, 80)] {
        let fails = move |_: &Question| Turn::Fails(status, "", String::new());
        let endpoint = Endpoint::start(at_first(fails));
        let server = Server::start();
        let namer = sharing(&endpoint, &server, plenty()).await;
        name(&namer, &[user(&["Ukulele"])]).await.unwrap();
        namer.flush().await.unwrap();
        let ledger = Ledger::new(&server.connect().await);
        let entry = ledger.entry(&account().run).await.unwrap();
        assert_eq!((entry.calls, entry.retries), (2, 1), "{status} {entry:?}");
        // The answer counts 10 and 5 tokens.
        assert_eq!(entry.tokens_out, 5 + charged, "{status} {entry:?}");
        assert_eq!(entry.tokens_in > 10, charged > 0, "{status} {entry:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_count_is_not_free() {
    let endpoint = Endpoint::start(|question: &Question| {
        let names = json!({"names": [{"id": question.asked[0].id, "name": "Ukulele Lesson"}]});
        Turn::Completes(json!({
            "choices": [{"message": {"content": names.to_string()}}],
            "usage": {},
        }))
    });
    let server = Server::start();
    let namer = sharing(&endpoint, &server, plenty()).await;
    let (names, _) = name(&namer, &[user(&["Ukulele"])]).await.unwrap();
    assert_eq!(names[0][0].name, "Ukulele Lesson");
    namer.flush().await.unwrap();
    let ledger = Ledger::new(&server.connect().await);
    let entry = ledger.entry(&account().run).await.unwrap();
    assert_eq!(entry.tokens_out, 80, "{entry:?}");
}

#[tokio::test]
async fn a_limit_that_no_question_is_within_ends_the_naming() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let limits = LimitOptions {
        output_tokens_per_minute: NonZeroU64::new(50),
        ..plenty()
    };
    let namer = sharing(&endpoint, &server, limits).await;
    let error = name(&namer, &[user(&["Ukulele", "Lettuce"])]).await;
    let error = error.unwrap_err();
    assert!(matches!(error, LlmError::OverLimit { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("--output-tokens-per-minute"), "{text}");
    assert!(text.contains(" 80,"), "{text}");
    assert!(endpoint.questions().is_empty());
}

#[tokio::test]
async fn what_is_reserved_follows_from_what_is_sent() {
    let bounds = ["max_tokens", "max_completion_tokens"];
    let endpoint = Endpoint::start(move |question: &Question| {
        let is_sent = |bound: &&str| question.body.get(*bound).is_some();
        match bounds.into_iter().find(is_sent) {
            Some(bound) => Turn::Fails(400, "", format!("no '{bound}'")),
            None => answers(question),
        }
    });
    let server = Server::start();
    let limits = LimitOptions {
        // Enough for an answer that is bounded, and not for one that is not.
        output_tokens_per_minute: NonZeroU64::new(1000),
        ..plenty()
    };
    let namer = sharing(&endpoint, &server, limits).await;
    let error = name(&namer, &[user(&["Ukulele"])]).await.unwrap_err();
    assert!(matches!(error, LlmError::OverLimit { .. }), "{error}");
    assert_eq!(endpoint.questions().len(), 2);
}

/// The most calls that are under way at once after the first ones, all at once, had this turn.
async fn under_way_after(calls: usize, turn: Turn, patience: Duration) -> usize {
    let first = Arc::new(Barrier::new(calls));
    let under_way = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let endpoint = Endpoint::start(move |question: &Question| {
        if question.number < calls {
            first.wait();
            return turn.clone();
        }
        most.fetch_max(under_way.fetch_add(1, SeqCst) + 1, SeqCst);
        // As long as others would take to come as well.
        std::thread::sleep(Duration::from_millis(100));
        under_way.fetch_sub(1, SeqCst);
        answers(question)
    });
    let server = Server::start();
    let mut namer = namer_with(options(&endpoint), patience);
    namer.share_limits(&server.connect().await, plenty());
    let namer = &namer;
    let names =
        (0..calls).map(|_| async move { name(namer, &[user(&["Ukulele"])]).await.unwrap() });
    futures::future::join_all(names).await;
    seen.load(SeqCst)
}

#[tokio::test]
async fn fewer_calls_are_made_at_once_after_one_that_was_too_much() {
    // Half of them, and one more after each round that went well.
    let slow_down = Turn::Fails(429, "", "slow down".into());
    let most = under_way_after(8, slow_down, support::PATIENCE).await;
    assert!((1..=5).contains(&most), "{most}");
    // Fewer than open the breaker, and long enough for an answer on a busy machine.
    let most = under_way_after(4, Turn::Hangs, Duration::from_secs(8)).await;
    assert!((1..=3).contains(&most), "{most}");
}

#[tokio::test]
async fn a_question_that_no_limit_has_room_for_is_asked_by_halves() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let limits = LimitOptions {
        // An answer about one journey may have 80 tokens, one about two 120.
        output_tokens_per_minute: NonZeroU64::new(100),
        ..plenty()
    };
    let namer = sharing(&endpoint, &server, limits).await;
    let terms = ["Ukulele", "Lettuce"];
    let (names, _) = name(&namer, &[user(&terms)]).await.unwrap();
    let names = names.into_iter().flatten();
    let names: Vec<_> = names.map(|name| (name.name, name.source)).collect();
    assert_eq!(names, good(&terms));
    assert_eq!(endpoint.sizes(), [1, 1]);
}
