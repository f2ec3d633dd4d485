//! What the shared limits cost a call.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use sojourn::naming::{Account, Expected, LimitOptions, Limits, Money, Prices, Timing, Usage};
use sojourn::run::RunId;

use crate::support::Server;

/// As long as calls are counted.
const LASTS: Duration = Duration::from_secs(5);

/// Calls, and what the server did for them.
struct Counted {
    calls: f64,
    wall: Duration,
    scripts: f64,
    /// In the server, of all of them.
    microseconds: f64,
}

pub async fn measure() {
    println!("\nshared limits, all of them given and none reached, one caller:");
    println!(
        "{:<34} {:>14} {:>18} {:>14} {:>14}",
        "", "scripts a call", "server us a script", "a call", "wall us a call"
    );
    for (what, is_alone) in [
        ("by blocks", false),
        ("each reserved and settled alone", true),
    ] {
        let counted = count(is_alone).await;
        println!(
            "{what:<34} {:>14.4} {:>18.1} {:>14.3} {:>14.1}",
            counted.scripts / counted.calls,
            counted.microseconds / counted.scripts,
            counted.microseconds / counted.calls,
            counted.wall.as_secs_f64() * 1e6 / counted.calls
        );
    }
}

async fn count(is_alone: bool) -> Counted {
    let server = Server::start_single_with(&[]);
    let million: Money = "1000000".parse().expect("money");
    let prices = Prices {
        input: million,
        cached: million,
        output: million,
    };
    let options = LimitOptions {
        input_tokens_per_minute: NonZeroU64::new(1 << 50),
        output_tokens_per_minute: NonZeroU64::new(1 << 50),
        prices: Some(prices),
        ..LimitOptions::requests(std::num::NonZeroU32::MAX)
    };
    let redis = server.connect().await;
    let limits = Limits::with_timing(&redis, "model", options, Timing::default());
    let account = Account {
        run: RunId::parse("1763947200000-0").expect("an id"),
    };
    let expected = Expected {
        input_tokens: 500,
        output_tokens: 120,
    };
    let usage = Usage {
        input: 480,
        cached: 0,
        output: 60,
    };
    let (begun, mut calls) = (Instant::now(), 0);
    while begun.elapsed() < LASTS {
        let permit = limits.admit(&account, expected).await.expect("room");
        permit.settle(usage);
        calls += 1;
        if is_alone {
            // Gives back what is left of a block, too.
            limits.flush().await.expect("it answers");
        }
    }
    let wall = begun.elapsed();
    let stats: String = server.nodes[0]
        .ask("INFO commandstats")
        .expect("it answers");
    let scripts = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let field = |name: &str| -> f64 {
        let fields = scripts.expect("scripts").split([':', ',']);
        let field = fields.filter_map(|field| field.strip_prefix(name)).next();
        field.expect("a field").parse().expect("a number")
    };
    Counted {
        calls: f64::from(calls),
        wall,
        scripts: field("calls="),
        microseconds: field("usec="),
    }
}
