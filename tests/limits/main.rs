//! Limits that processes share, on a real server.

mod budget;
mod scripts;
mod sharing;
mod steady;
mod trouble;
mod window;

#[path = "../support/mod.rs"]
mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use sojourn::naming::{
    Account, Expected, LimitOptions, Limits, Money, Permit, Prices, Timing, Usage,
};
use sojourn::run::RunId;
use support::{PATIENCE, Server};

/// No limit that a test reaches.
const PLENTY: u32 = 1_000_000;

fn account() -> Account {
    let run = RunId::parse("1763947200000-0").unwrap();
    Account { run }
}

fn other_account() -> Account {
    let run = RunId::parse("1763947200001-0").unwrap();
    Account { run }
}

fn expected(input_tokens: u64, output_tokens: u64) -> Expected {
    Expected {
        input_tokens,
        output_tokens,
    }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input,
        cached: 0,
        output,
    }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// One for a token, whichever.
fn prices() -> Option<Prices> {
    let million = money("1000000");
    Some(Prices {
        input: million,
        cached: million,
        output: million,
    })
}

fn requests(most: u32) -> LimitOptions {
    LimitOptions::requests(NonZeroU32::new(most).unwrap())
}

/// Nobody waits in vain, however slow the machine is.
fn patient() -> Timing {
    Timing {
        wait: PATIENCE,
        ..Timing::default()
    }
}

/// Whoever cannot be let through at once is denied.
fn hasty() -> Timing {
    Timing {
        wait: Duration::from_millis(1),
        ..Timing::default()
    }
}

/// The limits as another process has them.
async fn process(server: &Server, options: LimitOptions, timing: Timing) -> Limits {
    Limits::with_timing(&server.connect().await, "model", options, timing)
}

async fn admitted(limits: &Limits, expected: Expected) -> Permit {
    let permit = limits.admit(&account(), expected).await;
    permit.expect("there is room")
}
