//! Limits that several processes share, at the endpoint that they are about.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use sojourn::naming::{Ledger, LimitOptions, LlmError, Namer};

use crate::llm::{Endpoint, Question, Turn, answers};
use crate::support::Server;
use crate::{account, at_first, good, name, namer, user};

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
    let endpoint = Endpoint::start(at_first(|_| Turn::Fails(500, "", String::new())));
    let server = Server::start();
    let namer = sharing(&endpoint, &server, plenty()).await;
    name(&namer, &[user(&["Ukulele"])]).await.unwrap();
    namer.flush().await.unwrap();
    let ledger = Ledger::new(&server.connect().await);
    let entry = ledger.entry(&account().run).await.unwrap();
    assert_eq!((entry.calls, entry.retries), (2, 1), "{entry:?}");
    assert_eq!((entry.tokens_in, entry.tokens_out), (10, 5), "{entry:?}");
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
