//! What batches cost, and what they may cost.

use futures::future::{join, join_all};
use serde_json::{Value, json};
use sojourn::connection::Redis;
use sojourn::naming::{
    Exhausted, Ledger, LedgerEntry, LimitOptions, LlmError, Money, Namer, Prices,
};

use crate::faulty::Faulty;
use crate::support::{Server, wait_for_async};
use crate::{TIMES, account, assert_named, assert_paid_once, batches, good, name, namer};

/// Nobody answers before it is told to.
fn slow() -> Value {
    json!({"batches": {"seconds": 3600}})
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn priced(endpoint: &Faulty, redis: &Redis) -> Namer {
    let mut namer = namer(endpoint, redis, TIMES);
    let prices = Prices {
        input: money("2000"),
        cached: money("0"),
        output: money("4000"),
    };
    let options = LimitOptions {
        prices: Some(prices),
        ..LimitOptions::requests(std::num::NonZeroU32::MIN)
    };
    namer.share_limits(redis, options);
    namer
}

async fn entry(redis: &Redis) -> LedgerEntry {
    Ledger::new(redis).entry(&account().run).await.unwrap()
}

async fn set_budget(redis: &Redis, nanos: u64) {
    let budget = Money::from_nanos(nanos);
    let ledger = Ledger::new(redis);
    ledger.set_budget(&account().run, budget).await.unwrap();
}

/// Waits until the endpoint has so many batches.
async fn wait_for_batches(endpoint: &Faulty, count: usize) {
    wait_for_async("the batches", async || {
        (batches(&endpoint.report().await).len() == count).then_some(())
    })
    .await;
}

/// What an answer to each of the billed questions cost: a thousandth and two thousandths for a token,
/// in billionths.
fn billed(report: &Value) -> Money {
    let billed = |kind: &str| report["billed"][kind].as_u64().unwrap();
    let uncached = billed("input_tokens") - billed("cached_tokens");
    Money::from_nanos(uncached * 1_000_000 + billed("output_tokens") * 2_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_under_way_is_paid_for_and_gives_back_what_it_did_not_take() {
    let endpoint = Faulty::start(&slow());
    let server = Server::start();
    let redis = server.connect().await;
    let namer = priced(&endpoint, &redis);
    set_budget(&redis, money("1000").nanos()).await;
    let later = async {
        wait_for_batches(&endpoint, 1).await;
        let spent = entry(&redis).await;
        assert_eq!(spent.calls, 0);
        // Not enough for a second one, which has as many letters.
        set_budget(&redis, 2 * spent.money.nanos() - 1).await;
        let error = name(&namer, &["Lettuce"]).await.unwrap_err();
        assert!(matches!(error, LlmError::OverBudget { .. }), "{error}");
        assert_eq!(entry(&redis).await.exhausted, Some(Exhausted::Run));
        assert_eq!(entry(&redis).await.money, spent.money);
        endpoint.behave(&json!({})).await;
        spent.money
    };
    let (named, spent) = join(name(&namer, &["Ukulele"]), later).await;
    assert_eq!(named.unwrap(), good(&["Ukulele"]));
    let settled = entry(&redis).await;
    assert_eq!(settled.money, billed(&endpoint.report().await));
    assert!(settled.money < spent, "{settled:?}");
    // There may be enough now.
    assert_eq!(settled.exhausted, None);
    assert_named(&namer, &["Lettuce"]).await;
    let report = endpoint.report().await;
    assert_paid_once(&report, 2);
    assert_eq!(entry(&redis).await.money, billed(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_without_money_does_not_wait_for_the_batch_of_another() {
    let endpoint = Faulty::start(&slow());
    let server = Server::start();
    let redis = server.connect().await;
    let namer = priced(&endpoint, &redis);
    set_budget(&redis, money("1000").nanos()).await;
    let later = async {
        wait_for_batches(&endpoint, 1).await;
        let each = entry(&redis).await.money.nanos();
        // Of two questions that are asked together there is money for one.
        set_budget(&redis, 3 * each - 1).await;
        let denied = async |term: &'static str| {
            let terms = [term];
            tokio::select! {
                named = name(&namer, &terms) => named.map(|_| term),
                () = wait_for_batches(&endpoint, 3) => Ok(term),
            }
        };
        let both = join(denied("Lettuce"), denied("Sailing"));
        let both = async {
            let (first, second) = both.await;
            [("Lettuce", first), ("Sailing", second)]
        };
        let raised = async {
            wait_for_async("the denial", async || {
                (entry(&redis).await.exhausted == Some(Exhausted::Run)).then_some(())
            })
            .await;
            wait_for_batches(&endpoint, 2).await;
            set_budget(&redis, money("1000").nanos()).await;
            // Whichever it was, it is in a batch of its own now.
            let again = join_all(["Lettuce", "Sailing"].map(async |term| {
                let terms = [term];
                tokio::select! {
                    named = name(&namer, &terms) => drop(named.unwrap()),
                    () = wait_for_batches(&endpoint, 3) => {}
                }
            }));
            again.await;
        };
        let (both, ()) = join(both, raised).await;
        let denied = both.iter().filter(|(_, asked)| asked.is_err()).count();
        assert_eq!(denied, 1, "{both:?}");
        endpoint.behave(&json!({})).await;
    };
    let (named, ()) = join(name(&namer, &["Ukulele"]), later).await;
    assert_eq!(named.unwrap(), good(&["Ukulele"]));
    for term in ["Lettuce", "Sailing"] {
        assert_named(&namer, &[term]).await;
    }
    let report = endpoint.report().await;
    assert_paid_once(&report, 3);
    assert_eq!(entry(&redis).await.money, billed(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_charged_once_to_whoever_asked_first_also_where_nobody_wants_them() {
    let endpoint = Faulty::start(&slow());
    let server = Server::start();
    let redis = server.connect().await;
    let gone = priced(&endpoint, &redis);
    let asked = join(name(&gone, &["Ukulele"]), name(&gone, &["Lettuce"]));
    tokio::select! {
        _ = asked => panic!("nobody answers"),
        () = wait_for_batches(&endpoint, 1) => {}
    }
    drop(gone);
    endpoint.behave(&json!({})).await;
    let namers = [(); 2].map(|()| priced(&endpoint, &redis));
    let named = join_all(namers.iter().map(|namer| name(namer, &["Ukulele"]))).await;
    for names in named {
        assert_eq!(names.unwrap(), good(&["Ukulele"]));
    }
    let report = endpoint.report().await;
    assert_paid_once(&report, 2);
    let entry = entry(&redis).await;
    assert_eq!((entry.calls, entry.money), (2, billed(&report)), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_counted_costs_what_was_expected() {
    let behaviour = |seconds: u32| json!({"batches": {"seconds": seconds, "uncounted": true}});
    let endpoint = Faulty::start(&behaviour(3600));
    let server = Server::start();
    let redis = server.connect().await;
    let namer = priced(&endpoint, &redis);
    let later = async {
        wait_for_batches(&endpoint, 1).await;
        let spent = entry(&redis).await.money;
        endpoint.behave(&behaviour(0)).await;
        spent
    };
    let (named, spent) = join(name(&namer, &["Ukulele"]), later).await;
    assert_eq!(named.unwrap(), good(&["Ukulele"]));
    let entry = entry(&redis).await;
    assert_eq!((entry.calls, entry.money), (1, spent));
    assert!(spent > Money::default());
    assert!(entry.tokens_in > 0 && entry.tokens_out > 0, "{entry:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_costs_half_and_once_and_without_money_nothing_is_sent() {
    let endpoint = Faulty::start(&json!({}));
    let server = Server::start();
    let redis = server.connect().await;
    let namers = [(); 2].map(|()| priced(&endpoint, &redis));
    let (ledger, run) = (Ledger::new(&redis), account().run);
    ledger.keep(&run, Some(money("0.01"))).await.unwrap();
    let error = name(&namers[0], &["Ukulele"]).await.unwrap_err();
    assert!(matches!(error, LlmError::OverBudget { .. }), "{error}");
    let report = endpoint.report().await;
    assert_eq!(report["batches"]["files"], 0, "{report}");

    ledger.set_budget(&run, money("1000")).await.unwrap();
    let named = join_all(namers.iter().map(|namer| name(namer, &["Ukulele"]))).await;
    for names in named {
        assert_eq!(names.unwrap(), good(&["Ukulele"]));
    }
    for namer in &namers {
        namer.flush().await.unwrap();
    }
    let report = endpoint.report().await;
    assert_paid_once(&report, 1);
    let tokens = |kind: &str| report["billed"][kind].as_u64().unwrap();
    let entry = ledger.entry(&run).await.unwrap();
    let counted = (entry.calls, entry.tokens_in, entry.tokens_out);
    assert_eq!(
        counted,
        (1, tokens("input_tokens"), tokens("output_tokens"))
    );
    assert_eq!(entry.money, billed(&report), "{report}");
}
