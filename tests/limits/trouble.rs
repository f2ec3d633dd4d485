//! What a Redis that is away, or comes back, does to limits.

use std::time::Duration;

use sojourn::naming::{Denied, Ledger, LimitOptions, Timing};

use crate::support::{Server, wait_for_async};
use crate::{
    PLENTY, account, admitted, expected, money, patient, prices, process, requests, usage,
};

#[tokio::test]
async fn nobody_is_let_through_while_redis_is_away_and_what_is_known_is_told_afterwards() {
    let mut server = Server::start_single_with(&["--appendfsync", "always"]);
    let options = LimitOptions {
        prices: prices(),
        ..requests(PLENTY)
    };
    let brief = Timing {
        // Older than any that is reserved below.
        block: Duration::from_millis(1),
        wait: Duration::from_secs(2),
        ..patient()
    };
    let limits = process(&server, options, brief).await;
    let ledger = Ledger::new(&server.connect().await);
    let permit = loop {
        // On a busy machine a block of a millisecond is too old now and then.
        if let Ok(permit) = limits.admit(&account(), expected(10, 5)).await {
            break permit;
        }
    };
    server.kill();
    let denied = limits.admit(&account(), expected(10, 5)).await;
    assert!(matches!(denied, Err(Denied::Busy { .. })), "{denied:?}");
    permit.settle(usage(10, 5));
    assert!(limits.flush().await.is_err());
    server.restart();
    wait_for_async("Redis", async || limits.flush().await.ok()).await;
    let run = account().run;
    let entry = wait_for_async("Redis", async || ledger.entry(&run).await.ok()).await;
    assert_eq!((entry.calls, entry.money), (1, money("15")));
}

#[tokio::test]
async fn whoever_goes_away_in_the_middle_leaves_nothing_behind_that_holds_up_others() {
    let server = Server::start();
    let limits = process(&server, requests(PLENTY), patient()).await;
    let account = account();
    for _ in 0..200 {
        // Dropped wherever it is.
        let admission = limits.admit(&account, expected(1, 1));
        let brief = Duration::from_micros(50);
        if let Ok(permit) = tokio::time::timeout(brief, admission).await {
            permit.unwrap().release();
        }
    }
    admitted(&limits, expected(1, 1)).await.settle(usage(1, 1));
    limits.flush().await.unwrap();
    let ledger = Ledger::new(&server.connect().await);
    assert_eq!(ledger.entry(&account.run).await.unwrap().calls, 1);
}
