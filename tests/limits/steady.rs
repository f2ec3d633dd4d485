//! How much of a limit can be used. Takes minutes, and a machine that is not busy with anything else:
//! `cargo nextest run --test limits --run-ignored only --no-capture`.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use sojourn::naming::{LimitOptions, Limits};
use tokio::time::Instant;

use crate::support::Server;
use crate::window::{Endpoint, most, within};
use crate::{PLENTY, account, expected, patient, process, requests, usage};

const PROCESSES: usize = 8;

/// Calls under way in each process.
const CALLS: usize = 16;

/// The first windows are not steady yet.
const WARM_UP: Duration = Duration::from_secs(65);

const MEASURED: Duration = Duration::from_secs(180);

/// Calls whenever it may, until the time is up.
async fn call(limits: Limits, endpoint: Arc<Endpoint>, until: Instant) {
    while Instant::now() < until {
        let input = rand::rng().random_range(400..600);
        let permit = limits.admit(&account(), expected(input, 120)).await;
        let Ok(permit) = permit else { continue };
        let sent = Instant::now();
        endpoint.note_request(sent, input);
        let takes = rand::rng().random_range(50..500);
        tokio::time::sleep(Duration::from_millis(takes)).await;
        let output = rand::rng().random_range(40..100);
        endpoint.note_answer(Instant::now(), output);
        permit.settle(usage(input, output));
    }
}

/// Uses a limit as far as it goes; returns the endpoint, and from when on it was steady.
async fn steady(options: LimitOptions) -> (Arc<Endpoint>, Instant, Instant) {
    let server = Server::start();
    let endpoint = Arc::new(Endpoint::default());
    let from = Instant::now() + WARM_UP;
    let until = from + MEASURED;
    let mut callers = Vec::new();
    for _ in 0..PROCESSES {
        let limits = process(&server, options, patient()).await;
        for _ in 0..CALLS {
            callers.push(tokio::spawn(call(limits.clone(), endpoint.clone(), until)));
        }
    }
    for caller in callers {
        caller.await.unwrap();
    }
    (endpoint, from, until)
}

fn share(sum: u64, limit: u64) -> f64 {
    sum as f64 / (limit as f64 * MEASURED.as_secs_f64() / 60.0)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes four minutes, and all of the machine"]
async fn at_least_97_percent_of_a_limit_of_requests_are_used() {
    const LIMIT: u32 = 6_000;
    let (endpoint, from, until) = steady(requests(LIMIT)).await;
    let share = share(within(&endpoint.requests, from, until), LIMIT.into());
    let most = most(&endpoint.requests, Duration::from_secs(60));
    println!(
        "requests: {:.2} % used, at most {most} of {LIMIT} in a window",
        100.0 * share
    );
    assert!(most <= LIMIT.into() && share >= 0.97);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes four minutes, and all of the machine"]
async fn at_least_97_percent_of_a_limit_of_input_tokens_are_used() {
    const LIMIT: u64 = 2_000_000;
    let options = LimitOptions {
        input_tokens_per_minute: NonZeroU64::new(LIMIT),
        ..requests(PLENTY)
    };
    let (endpoint, from, until) = steady(options).await;
    let share = share(within(&endpoint.input, from, until), LIMIT);
    let most = most(&endpoint.input, Duration::from_secs(60));
    println!(
        "input: {:.2} % used, at most {most} of {LIMIT} in a window",
        100.0 * share
    );
    assert!(most <= LIMIT && share >= 0.97);
}
