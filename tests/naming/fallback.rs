//! Who is asked while an endpoint does not work, and how often.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use sojourn::naming::{Fallback, Ledger, LimitOptions, LlmError, Money, Namer, Prices};

use crate::llm::{Endpoint, Question, Turn, answers};
use crate::support::Server;
use crate::{KEY, account, good, name, named_by, namer, namer_with, options, support, user};

const SECOND_KEY: &str = "sk-of-the-second";

/// A namer that asks `first`, and `second` where that does not work.
fn namer_of_two(first: &Endpoint, second: &Endpoint, prices: Option<Prices>) -> Namer {
    let mut options = options(first);
    options.fallback = Some(Fallback {
        endpoint: second.url(),
        model: "second".into(),
        api_key: Some(SECOND_KEY.into()),
        limits: LimitOptions {
            prices,
            ..LimitOptions::requests(options.requests_per_minute)
        },
    });
    namer_with(options, support::PATIENCE)
}

async fn error(namer: &Namer) -> LlmError {
    name(namer, &[user(&["Ukulele"])]).await.unwrap_err()
}

#[tokio::test]
async fn the_fallback_is_asked_with_its_own_model_and_key_while_the_first_endpoint_refuses() {
    let refusals = [
        (400, "no", 4),
        (401, "no such key", 1),
        (402, "", 1),
        (403, "not for you", 2),
        (404, "no such model", 1),
        (429, "insufficient_quota", 2),
        (429, r#"{"error":{"code":"insufficient_quota"}}"#, 1),
    ];
    for (status, body, questions) in refusals {
        let first = Endpoint::start(move |_: &Question| Turn::Fails(status, "", body.into()));
        let second = Endpoint::start(answers);
        let namer = namer_of_two(&first, &second, None);
        for _ in 0..3 {
            let names = named_by(&namer, user(&["Ukulele"])).await;
            assert_eq!(names, good(&["Ukulele"]), "{status}");
        }
        // 400 in two forms, 403 and words in one, and then a harmless question likewise.
        assert_eq!(first.questions().len(), questions, "{status}");
        let asked = second.questions();
        assert_eq!(asked.len(), 3, "{status}");
        for question in asked {
            assert_eq!(question.body["model"], "second");
            let authorization = format!("Bearer {SECOND_KEY}");
            assert_eq!(question.authorization, Some(authorization));
        }
        assert_eq!(first.questions()[0].body["model"], "fake");
        assert!(!format!("{namer:?}").contains("sk-"), "{namer:?}");
    }
}

#[tokio::test]
async fn the_fallback_has_limits_and_prices_of_its_own() {
    let first = Endpoint::start(|_: &Question| Turn::Fails(402, "", "no money".into()));
    let second = Endpoint::start(answers);
    let price = |amount: &str| {
        let amount: Money = amount.parse().unwrap();
        Some(Prices {
            input: amount,
            cached: amount,
            output: amount,
        })
    };
    let of_first = LimitOptions {
        prices: price("1000"),
        // One question, and none of those that the fallback is asked.
        ..LimitOptions::requests(NonZeroU32::MIN)
    };
    let mut namer = namer_of_two(&first, &second, price("2"));
    let server = Server::start();
    let redis = server.connect().await;
    namer.share_limits(&redis, of_first);
    for _ in 0..3 {
        let names = named_by(&namer, user(&["Ukulele"])).await;
        assert_eq!(names, good(&["Ukulele"]));
    }
    namer.flush().await.unwrap();
    let entry = Ledger::new(&redis).entry(&account().run).await.unwrap();
    assert_eq!((entry.calls, entry.fallback_calls), (4, 3), "{entry:?}");
    // The endpoint counts 10 and 5 tokens for each question, and charges nothing for a refusal.
    assert_eq!(entry.money.to_string(), "0.00009", "{entry:?}");
}

#[tokio::test]
async fn the_fallback_is_asked_while_the_first_endpoint_wants_to_be_left_alone() {
    let first = Endpoint::start(|_: &Question| {
        Turn::Fails(429, "retry-after: 3600\r\n", "come tomorrow".into())
    });
    let second = Endpoint::start(answers);
    let namer = namer_of_two(&first, &second, None);
    for _ in 0..2 {
        let names = named_by(&namer, user(&["Ukulele"])).await;
        assert_eq!(names, good(&["Ukulele"]));
    }
    assert_eq!((first.questions().len(), second.questions().len()), (1, 2));
}

#[tokio::test]
async fn an_endpoint_that_fails_is_left_alone_until_it_works_and_the_fallback_asked_meanwhile() {
    /// Enough for the breaker to be open for longer than a question takes.
    const FAILURES: usize = 20;
    let first = Endpoint::start(|question: &Question| match question.number < FAILURES {
        true => Turn::Fails(500, "", String::new()),
        false => answers(question),
    });
    let second = Endpoint::start(answers);
    let namer = namer_of_two(&first, &second, None);
    let deadline = Instant::now() + support::PATIENCE;
    let mut put_off = 0;
    while first.questions().len() <= FAILURES {
        assert!(Instant::now() < deadline, "the first is never tried again");
        match name(&namer, &[user(&["Ukulele"])]).await {
            Ok((names, _)) => assert_eq!(names[0][0].name, "Ukulele for Beginners"),
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                put_off += 1;
            }
        }
    }
    // Before the breaker first opened, and perhaps between probes that came one after the other.
    assert!(put_off < FAILURES, "{put_off}");
    let asked = second.questions().len();
    assert!(asked > 0, "the fallback was never asked");
    for _ in 0..3 {
        named_by(&namer, user(&["Ukulele"])).await;
    }
    assert_eq!(second.questions().len(), asked, "the first works");
}

#[tokio::test]
async fn it_takes_refusals_of_both_to_be_of_no_use() {
    let refuses = |_: &Question| Turn::Fails(401, "", format!("no {KEY} {SECOND_KEY}"));
    let [first, second] = [(); 2].map(|()| Endpoint::start(refuses));
    let namer = namer_of_two(&first, &second, None);
    let text = error(&namer).await.to_string();
    // The keys that it repeats are each struck out where they are used.
    assert!(text.contains("SOJOURN_LLM_FALLBACK_API_KEY"), "{text}");
    assert!(!text.contains(SECOND_KEY), "{text}");
    // Another job of the process hears the same, and is not put off, which would delay it.
    let error = error(&namer).await;
    assert!(matches!(error, LlmError::Refused { .. }), "{error}");
    assert_eq!((first.questions().len(), second.questions().len()), (1, 1));
}

#[tokio::test]
async fn a_fallback_that_refuses_is_no_reason_to_give_up_a_first_endpoint_that_is_busy() {
    let first =
        Endpoint::start(|_: &Question| Turn::Fails(503, "retry-after: 3600\r\n", "busy".into()));
    let second = Endpoint::start(|_: &Question| Turn::Fails(401, "", "no".into()));
    let namer = namer_of_two(&first, &second, None);
    for _ in 0..2 {
        let LlmError::Busy { retry_after, .. } = error(&namer).await else {
            panic!("not busy");
        };
        assert!(retry_after.is_some());
    }
    assert_eq!((first.questions().len(), second.questions().len()), (1, 1));
}

#[tokio::test]
async fn questions_are_repeated_no_more_often_than_the_budget_allows() {
    const CALLS: usize = 40;
    let endpoint = Endpoint::start(|_: &Question| Turn::Fails(429, "", "slow down".into()));
    let namer = namer(&endpoint);
    let start = Instant::now();
    for _ in 0..CALLS {
        let error = error(&namer).await;
        assert!(matches!(error, LlmError::Busy { .. }), "{error}");
    }
    let repeated = endpoint.questions().len() - CALLS;
    let ten_a_minute = start.elapsed().div_duration_f64(Duration::from_secs(6));
    let most = 10 + CALLS / 10 + ten_a_minute.ceil() as usize;
    assert!((10..=most).contains(&repeated), "{repeated} of {most}");
}

#[tokio::test]
async fn a_question_that_times_out_is_asked_twice_and_no_more() {
    let endpoint = Endpoint::start(|_: &Question| Turn::Hangs);
    let namer = namer_with(options(&endpoint), Duration::from_millis(100));
    let error = error(&namer).await;
    assert!(matches!(error, LlmError::Busy { .. }), "{error}");
    // And a harmless question once.
    assert_eq!(endpoint.sizes(), [1, 1, 0]);
}

#[tokio::test]
async fn the_fallback_is_asked_by_all_processes_while_the_first_endpoint_wants_to_be_left_alone() {
    let first = Endpoint::start(|_: &Question| {
        Turn::Fails(429, "retry-after: 3600\r\n", "come tomorrow".into())
    });
    let second = Endpoint::start(answers);
    let server = Server::start();
    for _ in 0..2 {
        let mut namer = namer_of_two(&first, &second, None);
        let plenty = LimitOptions::requests(NonZeroU32::new(60_000).unwrap());
        namer.share_limits(&server.connect().await, plenty);
        let names = named_by(&namer, user(&["Ukulele"])).await;
        assert_eq!(names, good(&["Ukulele"]));
    }
    assert_eq!((first.questions().len(), second.questions().len()), (1, 2));
}

#[tokio::test]
async fn a_second_account_at_the_same_endpoint_has_limits_of_its_own() {
    let endpoint = Endpoint::start(|question: &Question| {
        match question.authorization.as_deref() == Some(&format!("Bearer {SECOND_KEY}")) {
            true => answers(question),
            false => Turn::Fails(429, "retry-after: 3600\r\n", "come tomorrow".into()),
        }
    });
    let mut options = options(&endpoint);
    let plenty = LimitOptions::requests(options.requests_per_minute);
    options.fallback = Some(Fallback {
        endpoint: endpoint.url(),
        model: options.model.clone(),
        api_key: Some(SECOND_KEY.into()),
        limits: plenty,
    });
    let mut namer = namer_with(options, support::PATIENCE);
    let server = Server::start();
    namer.share_limits(&server.connect().await, plenty);
    let names = named_by(&namer, user(&["Ukulele"])).await;
    assert_eq!(names, good(&["Ukulele"]));
}

#[tokio::test]
async fn an_endpoint_that_fails_is_left_alone_though_it_says_when_to_come_back() {
    let first = Endpoint::start(|_: &Question| {
        Turn::Fails(503, "retry-after-ms: 1\r\n", "in a moment".into())
    });
    let second = Endpoint::start(answers);
    let namer = namer_of_two(&first, &second, None);
    let deadline = Instant::now() + support::PATIENCE;
    while second.questions().is_empty() {
        assert!(Instant::now() < deadline, "the fallback is never asked");
        if let Err(error) = name(&namer, &[user(&["Ukulele"])]).await {
            assert!(matches!(error, LlmError::Busy { .. }), "{error}");
        }
    }
}
