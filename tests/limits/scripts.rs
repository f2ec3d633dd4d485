//! What the scripts promise, one call after the other.

use std::collections::HashMap;

use redis::{AsyncCommands, Script, Value};
use sojourn::connection::Redis;

use crate::account;
use crate::support::Server;

const WINDOW: &str = include_str!("../../src/naming/limits/window.lua");
const RESERVE: &str = include_str!("../../src/naming/limits/reserve.lua");
const SETTLE: &str = include_str!("../../src/naming/limits/settle.lua");

/// One process and its run, with limits of 10 requests and 1,000 tokens of each kind in a day: nothing
/// runs out of the window by itself.
struct Talk {
    redis: Redis,
    process: &'static str,
}

impl Talk {
    async fn start(server: &Server) -> Talk {
        Talk {
            redis: server.connect().await,
            process: "process",
        }
    }

    async fn call<T: redis::FromRedisValue>(&self, script: &str, arguments: &[String]) -> T {
        let keys = self.redis.keys();
        let run = account().run;
        let script = Script::new(&format!("{WINDOW}{script}"));
        let mut call = script.prepare_invoke();
        call.key(keys.limits("model"))
            .key(keys.reserved(self.process));
        call.key(keys.ledger(&run)).key(keys.days());
        call.arg(&[86_400_000, 60_000, 86_460_000, 10, 1_000, 1_000]);
        call.arg(arguments);
        call.invoke_async(&mut self.redis.commands()).await.unwrap()
    }

    /// Reserves what is needed: requests, input, output, money.
    async fn reserve(&self, number: u64, needed: [u64; 4]) -> Vec<Value> {
        let [a, b, c, d] = needed;
        let run = account().run;
        let text =
            format!("{number} 1000 2000 90000000 {a} {b} {c} {d} {a} {b} {c} {d} - 1 60 {run}");
        let words = text.split(' ').map(|word| {
            word.replace(
                '-',
                match word {
                    "-" => "",
                    _ => "-",
                },
            )
        });
        self.call(RESERVE, &words.collect::<Vec<_>>()).await
    }

    /// Settles what was granted.
    async fn settle(&self, number: u64, granted: &[Value], used: [u64; 4], counts: &[&str]) -> u8 {
        let number_of = |at: usize| redis::from_redis_value::<String>(granted[at].clone()).unwrap();
        let mut arguments: Vec<String> = vec![
            number.to_string(),
            "60".into(),
            account().run.to_string(),
            "2000".into(),
            "1".into(),
        ];
        arguments.extend([5, 6, 7, 1, 2, 3, 4].map(number_of));
        arguments.extend(used.map(|part| part.to_string()));
        arguments.extend(counts.iter().map(|&word| word.to_owned()));
        self.call(SETTLE, &arguments).await
    }

    /// What counts as used: requests, input, output; and the money of the run and of today.
    async fn used(&self) -> [u64; 5] {
        let keys = self.redis.keys();
        let mut redis = self.redis.commands();
        let names = ["used:1", "used:2", "used:3"];
        let used: Vec<Option<u64>> = redis.hmget(keys.limits("model"), &names).await.unwrap();
        let money: Option<u64> = redis
            .hget(keys.ledger(&account().run), "money")
            .await
            .unwrap();
        let days: HashMap<String, u64> = redis.hgetall(keys.days()).await.unwrap();
        let days = days.iter().filter(|(day, _)| day.parse::<u64>().is_ok());
        let number = |at: usize| used[at].unwrap_or(0);
        [
            number(0),
            number(1),
            number(2),
            money.unwrap_or(0),
            days.map(|(_, money)| money).sum(),
        ]
    }
}

fn said(reply: &[Value]) -> String {
    redis::from_redis_value(reply[0].clone()).unwrap()
}

#[tokio::test]
async fn a_reservation_of_one_number_is_made_once_however_often_it_is_asked_for() {
    let server = Server::start();
    let talk = Talk::start(&server).await;
    let granted = talk.reserve(1, [1, 100, 10, 7]).await;
    assert_eq!(said(&granted), "granted");
    for _ in 0..3 {
        assert_eq!(talk.reserve(1, [1, 100, 10, 7]).await, granted);
    }
    assert_eq!(talk.used().await, [1, 100, 10, 7, 7]);
    talk.reserve(2, [1, 100, 10, 7]).await;
    assert_eq!(talk.used().await, [2, 200, 20, 14, 14]);
}

#[tokio::test]
async fn all_is_reserved_or_nothing() {
    let server = Server::start();
    let talk = Talk::start(&server).await;
    talk.reserve(1, [1, 900, 10, 7]).await;
    let refused = talk.reserve(2, [1, 101, 10, 7]).await;
    assert_eq!(said(&refused), "wait");
    assert_eq!(talk.used().await, [1, 900, 10, 7, 7]);
    let granted = talk.reserve(3, [1, 100, 10, 7]).await;
    assert_eq!(said(&granted), "granted");
}

#[tokio::test]
async fn a_settlement_of_one_number_is_made_once_and_what_was_not_used_is_given_back() {
    let server = Server::start();
    let talk = Talk::start(&server).await;
    let granted = talk.reserve(1, [2, 200, 20, 14]).await;
    for settled in [1, 0, 0] {
        let used = [1, 150, 5, 6];
        let answer = talk.settle(2, &granted, used, &["calls", "1"]).await;
        assert_eq!(answer, settled);
        assert_eq!(talk.used().await, [1, 150, 5, 6, 6]);
    }
    // Nothing is left that could be given back, whoever says so.
    let used = [0; 4];
    assert_eq!(talk.settle(3, &granted, used, &[]).await, 1);
    assert_eq!(talk.used().await, [1, 150, 5, 6, 6]);
}

#[tokio::test]
async fn nobody_is_given_back_more_than_it_reserved() {
    let server = Server::start();
    let talk = Talk::start(&server).await;
    let other = Talk {
        process: "other",
        ..Talk::start(&server).await
    };
    other.reserve(1, [1, 100, 10, 7]).await;
    let mut granted = talk.reserve(1, [1, 100, 10, 7]).await;
    for (at, amount) in [(1, 2), (2, 200), (3, 20), (4, 14)] {
        granted[at] = Value::Int(amount);
    }
    for number in 2..4 {
        talk.settle(number, &granted, [0; 4], &[]).await;
        assert_eq!(talk.used().await, [1, 100, 10, 7, 7]);
    }
}

#[tokio::test]
async fn more_than_was_reserved_is_charged_as_well() {
    let server = Server::start();
    let talk = Talk::start(&server).await;
    let granted = talk.reserve(1, [1, 100, 10, 7]).await;
    talk.settle(2, &granted, [1, 130, 25, 9], &[]).await;
    assert_eq!(talk.used().await, [1, 130, 25, 9, 9]);
}

#[tokio::test]
async fn a_server_that_has_lost_the_reservation_counts_what_was_used() {
    let server = Server::start();
    let talk = Talk::start(&server).await;
    let granted = talk.reserve(1, [1, 100, 10, 7]).await;
    for node in &server.nodes {
        let _: String = node.ask("FLUSHALL").unwrap();
    }
    talk.settle(2, &granted, [1, 80, 5, 3], &["calls", "1"])
        .await;
    assert_eq!(talk.used().await, [1, 80, 5, 3, 3]);
}

#[tokio::test]
async fn a_settlement_of_absurd_numbers_is_made_once_like_any_other() {
    let server = Server::start();
    let talk = Talk::start(&server).await;
    let granted = talk.reserve(1, [1, 100, 10, 7]).await;
    let absurd = u64::MAX.to_string();
    for settled in [1, 0] {
        let used = [1, 100, u64::MAX, u64::MAX];
        let counts = ["calls", "1", "tokens_out", &absurd];
        let answer = talk.settle(2, &granted, used, &counts).await;
        assert_eq!(answer, settled);
        assert_eq!(talk.used().await[..2], [1, 100]);
    }
}

#[tokio::test]
async fn what_was_long_ago_is_not_looked_through() {
    let server = Server::start();
    let talk = Talk::start(&server).await;
    let key = talk.redis.keys().limits("model");
    let mut redis = talk.redis.commands();
    // Tens of millions of slots, as when an endpoint was closed for years: minutes of work.
    let _: () = redis.hset(&key, "swept", 0).await.unwrap();
    let granted = talk.reserve(1, [1, 100, 10, 7]).await;
    assert_eq!(said(&granted), "granted");
    // What is given back in full leaves nothing that would have to be looked for.
    talk.settle(2, &granted, [0; 4], &[]).await;
    let fields: Vec<String> = redis.hkeys(&key).await.unwrap();
    let is_slot = |field: &String| field.starts_with(|c: char| c.is_ascii_digit());
    assert!(!fields.iter().any(is_slot), "{fields:?}");
}
