//! No window is ever over its limit.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use sojourn::naming::{LimitOptions, Limits, Timing};
use tokio::time::Instant;

use crate::support::{PATIENCE, Server};
use crate::{account, expected, process, requests, usage};

/// Everything is thirty times as fast as it is meant to be, but that so much may be used at once that
/// the pace keeps nobody from being over a limit.
const TIMING: Timing = Timing {
    window: Duration::from_secs(2),
    slot: Duration::from_millis(10),
    block: Duration::from_millis(50),
    transit: Duration::from_millis(200),
    call: Duration::from_secs(1),
    burst: Duration::from_secs(2),
    wait: Duration::from_secs(60),
};

const PROCESSES: usize = 8;

/// Answers that the callers want in all.
const ANSWERS: u64 = 1_000;

/// Calls that a process makes at once.
const CALLS: usize = 6;

/// An endpoint that counts: what reached it, and what it answered, and when.
#[derive(Default)]
pub struct Endpoint {
    pub requests: Events,
    pub input: Events,
    output: Events,
    answered: AtomicU64,
}

/// What there was, and when.
type Events = Mutex<Vec<(Instant, u64)>>;

impl Endpoint {
    /// Whether the machine was so busy that the callers did not come to an end.
    fn was_too_busy(&self) -> bool {
        self.answered.load(Ordering::Relaxed) < ANSWERS
    }

    pub fn note_request(&self, at: Instant, input: u64) {
        self.requests.lock().unwrap().push((at, 1));
        self.input.lock().unwrap().push((at, input));
    }

    pub fn note_answer(&self, at: Instant, output: u64) {
        self.output.lock().unwrap().push((at, output));
    }
}

/// How much there was from one time to another.
pub fn within(events: &Events, from: Instant, until: Instant) -> u64 {
    let events = events.lock().unwrap();
    let within = events.iter().filter(|(at, _)| (from..until).contains(at));
    within.map(|(_, amount)| amount).sum()
}

/// The most that there was in any window.
pub fn most(events: &Events, window: Duration) -> u64 {
    let mut events = events.lock().unwrap().clone();
    events.sort();
    let (mut first, mut sum, mut most) = (0, 0, 0);
    for (at, amount) in &events {
        sum += amount;
        while *at - events[first].0 >= window {
            sum -= events[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

/// Calls the endpoint again and again, with all that may happen to a call. What comes too late to be
/// counted in time does not come: a machine that is busy makes the test slower, and proves nothing.
async fn call(limits: Limits, endpoint: Arc<Endpoint>) {
    let (mut number, begun) = (0, Instant::now());
    // What there was by then was never over either.
    while endpoint.answered.load(Ordering::Relaxed) < ANSWERS && begun.elapsed() < PATIENCE {
        number += 1;
        let (input, output) = {
            let mut rng = rand::rng();
            // What is learnt of answers is a bound, if there is a long one now and then.
            let output = if number % 8 == 0 {
                40
            } else {
                rng.random_range(4..=40)
            };
            (rng.random_range(50..150), output)
        };
        // On a machine that is busy, what is granted may be too old before it can be used.
        let Ok(permit) = limits.admit(&account(), expected(input, 40)).await else {
            continue;
        };
        let fate = rand::rng().random_range(0..100);
        let transit = rand::rng().random_range(Duration::ZERO..TIMING.transit / 2);
        tokio::time::sleep(transit).await;
        let arrived = Instant::now();
        if arrived > permit.send_by() || fate < 5 {
            permit.release();
            continue;
        }
        if fate < 10 {
            endpoint.note_request(arrived, 0);
            permit.refused();
            continue;
        }
        endpoint.note_request(arrived, input);
        let takes = rand::rng().random_range(Duration::ZERO..Duration::from_millis(300));
        tokio::time::sleep(takes).await;
        let answered = Instant::now();
        if answered > permit.send_by() + TIMING.call - TIMING.transit || fate < 15 {
            let _nobody_knows = permit;
            continue;
        }
        endpoint.note_answer(answered, output);
        permit.settle(usage(input, output));
        endpoint.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Calls of many processes until there were many windows' worth of them.
async fn never_over(options: LimitOptions) -> Arc<Endpoint> {
    let server = Server::start();
    let endpoint = Arc::new(Endpoint::default());
    let mut callers = Vec::new();
    for _ in 0..PROCESSES {
        let limits = process(&server, options, TIMING).await;
        for _ in 0..CALLS {
            callers.push(tokio::spawn(call(limits.clone(), endpoint.clone())));
        }
    }
    for caller in callers {
        caller.await.unwrap();
    }
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_never_over_their_limit_in_any_window() {
    let endpoint = never_over(requests(200)).await;
    let most = most(&endpoint.requests, TIMING.window);
    assert!(most <= 200, "{most}");
    // Otherwise this was not about the limit.
    assert!(endpoint.was_too_busy() || most > 100, "{most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn input_tokens_are_never_over_their_limit_in_any_window() {
    let options = LimitOptions {
        input_tokens_per_minute: NonZeroU64::new(20_000),
        ..requests(10_000)
    };
    let endpoint = never_over(options).await;
    let most = most(&endpoint.input, TIMING.window);
    assert!(most <= 20_000, "{most}");
    assert!(endpoint.was_too_busy() || most > 10_000, "{most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_tokens_are_never_over_their_limit_in_any_window_however_long_calls_take() {
    let options = LimitOptions {
        output_tokens_per_minute: NonZeroU64::new(5_000),
        ..requests(10_000)
    };
    let endpoint = never_over(options).await;
    let most = most(&endpoint.output, TIMING.window);
    assert!(most <= 5_000, "{most}");
    assert!(endpoint.was_too_busy() || most > 1_500, "{most}");
}
