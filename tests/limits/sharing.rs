//! What processes do to each other.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sojourn::naming::{Denied, Headers, LimitOptions};

use crate::support::{Server, wait_for_async};
use crate::{PLENTY, account, admitted, expected, hasty, patient, process, requests, usage};

fn headers(pairs: &[(&str, &str)], retry_after: Option<Duration>) -> Headers {
    let pair = |&(name, value): &(&str, &str)| {
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = pairs.iter().map(pair).collect();
    Headers::read(&headers, retry_after)
}

#[tokio::test]
async fn what_one_process_uses_is_not_there_for_another() {
    let server = Server::start();
    let options = LimitOptions {
        input_tokens_per_minute: NonZeroU64::new(1_000),
        ..requests(PLENTY)
    };
    let first = process(&server, options, patient()).await;
    let second = process(&server, options, hasty()).await;
    admitted(&first, expected(700, 1))
        .await
        .settle(usage(700, 1));
    let denied = second.admit(&account(), expected(700, 1)).await;
    assert!(matches!(denied, Err(Denied::Busy { .. })), "{denied:?}");
}

#[tokio::test]
async fn what_was_not_used_is_there_for_another() {
    let server = Server::start();
    let options = LimitOptions {
        input_tokens_per_minute: NonZeroU64::new(1_000),
        ..requests(PLENTY)
    };
    let first = process(&server, options, patient()).await;
    let second = process(&server, options, patient()).await;
    for _ in 0..3 {
        admitted(&first, expected(700, 1)).await.release();
        first.flush().await.unwrap();
        admitted(&second, expected(700, 1)).await.release();
        second.flush().await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_is_over_a_limit_by_itself_is_said_to_be() {
    let server = Server::start();
    let options = LimitOptions {
        output_tokens_per_minute: NonZeroU64::new(100),
        ..requests(PLENTY)
    };
    let limits = process(&server, options, patient()).await;
    let denied = limits.admit(&account(), expected(1, 101)).await;
    assert!(matches!(denied, Err(Denied::TooLarge)), "{denied:?}");
}

#[tokio::test]
async fn an_endpoint_that_wants_to_be_left_alone_is_left_alone_by_everybody() {
    let server = Server::start();
    let first = process(&server, requests(PLENTY), hasty()).await;
    let second = process(&server, requests(PLENTY), hasty()).await;
    let hour = Duration::from_secs(3600);
    second.correct(&headers(&[], Some(hour))).await;
    // A shorter wait does not open what a longer one has closed.
    first
        .correct(&headers(&[], Some(Duration::from_secs(1))))
        .await;
    let denied = first.admit(&account(), expected(1, 1)).await;
    let Err(Denied::Busy {
        retry_after: Some(wait),
    }) = denied
    else {
        panic!("{denied:?}");
    };
    assert!(wait > hour / 2 && wait < 2 * hour, "{wait:?}");
}

#[tokio::test]
async fn what_an_endpoint_says_is_left_lowers_what_there_is_for_everybody_and_never_raises_it() {
    let server = Server::start();
    let options = LimitOptions {
        input_tokens_per_minute: NonZeroU64::new(1_000_000),
        ..requests(PLENTY)
    };
    let left = |tokens: &str| {
        let remaining = ("x-ratelimit-remaining-tokens", tokens);
        headers(&[remaining, ("x-ratelimit-reset-tokens", "60s")], None)
    };
    let first = process(&server, options, hasty()).await;
    let second = process(&server, options, hasty()).await;
    first.correct(&left("500")).await;
    let denied = second.admit(&account(), expected(501, 1)).await;
    assert!(matches!(denied, Err(Denied::Busy { .. })), "{denied:?}");
    second.correct(&left("999999")).await;
    let denied = first.admit(&account(), expected(501, 1)).await;
    assert!(matches!(denied, Err(Denied::Busy { .. })), "{denied:?}");
    admitted(&first, expected(500, 1)).await.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_processes_together_have_no_more_calls_under_way_than_are_allowed() {
    const AT_ONCE: u32 = 5;
    let server = Server::start();
    let options = LimitOptions {
        calls_at_once: NonZeroU32::new(AT_ONCE),
        ..requests(PLENTY)
    };
    let under_way = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::new();
    let mut processes = Vec::new();
    for _ in 0..3 {
        let limits = process(&server, options, patient()).await;
        processes.push(limits.clone());
        for _ in 0..4 {
            let (limits, under_way, most) = (limits.clone(), under_way.clone(), most.clone());
            callers.push(tokio::spawn(async move {
                for _ in 0..5 {
                    let permit = admitted(&limits, expected(1, 1)).await;
                    let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    // A call takes its time.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    permit.settle(usage(1, 1));
                }
            }));
        }
    }
    for caller in callers {
        caller.await.unwrap();
    }
    let most = most.load(Ordering::SeqCst);
    assert!((2..=AT_ONCE as usize).contains(&most), "{most}");
}

#[tokio::test]
async fn a_process_that_comes_later_gets_its_share_of_the_calls() {
    let server = Server::start();
    let options = LimitOptions {
        calls_at_once: NonZeroU32::new(2),
        ..requests(PLENTY)
    };
    let first = process(&server, options, patient()).await;
    let busy = tokio::spawn({
        let first = first.clone();
        async move {
            // Always two under way, of the two that there are.
            let mut last = admitted(&first, expected(1, 1)).await;
            loop {
                let next = admitted(&first, expected(1, 1)).await;
                std::mem::replace(&mut last, next).settle(usage(1, 1));
                // A call takes its time.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let second = process(&server, options, patient()).await;
    let permit = wait_for_async("a share", async || {
        second.admit(&account(), expected(1, 1)).await.ok()
    });
    permit.await.settle(usage(1, 1));
    busy.abort();
}

#[tokio::test]
async fn an_endpoint_that_is_overloaded_has_fewer_calls_at_once() {
    let server = Server::start();
    let limits = process(&server, requests(PLENTY), patient()).await;
    let mut permits = Vec::new();
    for _ in 0..4 {
        permits.push(admitted(&limits, expected(1, 1)).await);
    }
    permits.remove(0).refused();
    // Three are under way, and two may be.
    permits.remove(0).settle(usage(1, 1));
    let account = account();
    let third = limits.admit(&account, expected(1, 1));
    let third = tokio::time::timeout(Duration::from_millis(50), third).await;
    assert!(third.is_err(), "a third one is let through");
    permits.remove(0).settle(usage(1, 1));
    admitted(&limits, expected(1, 1)).await.settle(usage(1, 1));
}
