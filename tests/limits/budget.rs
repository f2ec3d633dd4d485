//! What calls cost, and what they may cost.

use sojourn::naming::{Denied, Exhausted, Ledger, LimitOptions, Spent};

use crate::support::Server;
use crate::{
    PLENTY, account, admitted, expected, hasty, money, other_account, patient, prices, process,
    requests, usage,
};

fn priced() -> LimitOptions {
    LimitOptions {
        prices: prices(),
        ..requests(PLENTY)
    }
}

#[tokio::test]
async fn the_ledger_holds_what_calls_took_whatever_became_of_them() {
    let server = Server::start();
    let limits = process(&server, priced(), patient()).await;
    let ledger = Ledger::new(&server.connect().await);
    let mut answered = usage(9, 2);
    answered.cached = 4;
    admitted(&limits, expected(10, 5)).await.settle(answered);
    let retry = admitted(&limits, expected(10, 5)).await.for_retry();
    retry.for_fallback().settle(usage(10, 1));
    admitted(&limits, expected(10, 5)).await.refused();
    admitted(&limits, expected(10, 5)).await.release();
    // Nobody knows what the endpoint made of these two.
    admitted(&limits, expected(10, 5)).await.timed_out();
    drop(admitted(&limits, expected(10, 5)).await);
    limits.flush().await.unwrap();
    let entry = ledger.entry(&account().run).await.unwrap();
    assert_eq!(entry.calls, 5);
    assert_eq!(
        (entry.tokens_in, entry.tokens_cached, entry.tokens_out),
        (39, 4, 13)
    );
    assert_eq!((entry.retries, entry.fallback_calls), (1, 1));
    // 11 and 11 for the answers, 15 for each of those that nobody knows of.
    assert_eq!(entry.money, money("52"));
    let other = ledger.entry(&other_account().run).await.unwrap();
    assert_eq!(other, Default::default());
}

#[tokio::test]
async fn what_a_run_may_cost_is_not_passed_and_can_be_raised() {
    let server = Server::start();
    let limits = process(&server, priced(), patient()).await;
    let ledger = Ledger::new(&server.connect().await);
    let run = account().run;
    ledger.keep(&run, Some(money("40"))).await.unwrap();
    // Planned again, as a new leader does.
    ledger.keep(&run, Some(money("99"))).await.unwrap();
    for _ in 0..2 {
        admitted(&limits, expected(10, 5))
            .await
            .settle(usage(10, 5));
    }
    let over = Denied::OverBudget { of: Spent::Run };
    let denied = limits.admit(&account(), expected(10, 5)).await;
    assert_eq!(
        denied.unwrap_err(),
        over,
        "30 are spent, and it could cost 15"
    );
    let entry = ledger.entry(&run).await.unwrap();
    assert_eq!(
        (entry.money, entry.budget),
        (money("30"), Some(money("40")))
    );
    assert_eq!(entry.exhausted, Some(Exhausted::Run));
    // A smaller one, and one of another run.
    admitted(&limits, expected(8, 2)).await.settle(usage(8, 2));
    let other = limits.admit(&other_account(), expected(10, 5)).await;
    other.unwrap().settle(usage(10, 5));

    ledger.set_budget(&run, money("55")).await.unwrap();
    assert_eq!(ledger.entry(&run).await.unwrap().exhausted, None);
    admitted(&limits, expected(10, 5))
        .await
        .settle(usage(10, 5));
    let denied = limits.admit(&account(), expected(1, 0)).await;
    assert_eq!(denied.unwrap_err(), over);
    limits.flush().await.unwrap();
    assert_eq!(ledger.entry(&run).await.unwrap().money, money("55"));
}

#[tokio::test]
async fn what_a_day_may_cost_is_not_passed_by_all_runs_together() {
    let server = Server::start();
    let options = LimitOptions {
        money_per_day: Some(money("20")),
        ..priced()
    };
    let limits = process(&server, options, patient()).await;
    let ledger = Ledger::new(&server.connect().await);
    let before = ledger.today().await.unwrap();
    admitted(&limits, expected(10, 5))
        .await
        .settle(usage(10, 5));
    let other = other_account();
    let denied = limits.admit(&other, expected(10, 5)).await;
    if ledger.today().await.unwrap() != before {
        // The day has ended in the middle of the test.
        return;
    }
    assert_eq!(denied.unwrap_err(), Denied::OverBudget { of: Spent::Day });
    let entry = ledger.entry(&other.run).await.unwrap();
    assert_eq!(entry.exhausted, Some(Exhausted::Day(before)));
    ledger.try_again(&other.run).await.unwrap();
    let small = limits.admit(&other, expected(4, 1)).await;
    small.unwrap().settle(usage(4, 1));
}

#[tokio::test]
async fn a_run_with_a_budget_is_not_named_by_who_does_not_know_what_tokens_cost() {
    let server = Server::start();
    let limits = process(&server, requests(PLENTY), hasty()).await;
    let ledger = Ledger::new(&server.connect().await);
    ledger.keep(&account().run, Some(money("1"))).await.unwrap();
    let denied = limits.admit(&account(), expected(1, 1)).await;
    assert_eq!(denied.unwrap_err(), Denied::Unpriced);
    let other = limits.admit(&other_account(), expected(1, 1)).await;
    other.unwrap().settle(usage(1, 1));
}
