//! Whether a process does its work. That it runs says little: it may have been waiting for Redis for
//! an hour. So what counts is when Redis last answered it, and what it waits for is said, in the log
//! and to whoever asks.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::code::Coded;

/// How often the log says again what is still waited for: a glance at its end is to find it.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What a process knows about itself. Shared by its loops: a success costs two atomic writes, and
/// a lock is only taken while something fails, or when somebody asks.
#[derive(Debug)]
pub struct Health {
    role: String,
    worker: String,
    /// Longest silence of a process that is healthy.
    bound: Duration,
    /// How many jobs are worked on at once; 0 when no more are asked for.
    slots: AtomicUsize,
    working_on: AtomicUsize,
    begun: Instant,
    /// When Redis last answered, in milliseconds since `begun`.
    fetched: AtomicU64,
    outage: Mutex<Outage>,
}

/// What a process reports about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether the last fetch is younger than the bound.
    pub healthy: bool,
    /// What the process does: `scheduler`, `extract`, `name`.
    pub role: String,
    /// Under which name: that of its leases, or of its candidacy.
    pub worker: String,
    /// Version of the program.
    pub version: String,
    /// How long ago Redis last answered a request for work, in seconds.
    pub last_fetch_seconds_ago: f64,
    /// From how many seconds on that is unhealthy.
    pub unhealthy_after_seconds: f64,
    /// What the process waits for, as an error after its code; null when for nothing.
    pub waiting_for: Option<String>,
    /// How many jobs it holds.
    pub working_on: usize,
}

/// What is waited for at the moment, by however many loops.
#[derive(Debug, Default)]
struct Outage {
    /// Loops whose last call failed.
    waiting: usize,
    since: Option<Instant>,
    /// Of the last call that failed.
    reason: String,
    /// Reasons that the log has been told since `said_at`. Several loops fail in several ways at
    /// the same time; each way is said once.
    said: Vec<String>,
    said_at: Option<Instant>,
}

impl Health {
    /// The health of a process that works on up to `slots` jobs at once, and is unhealthy when
    /// Redis has not answered it for `bound`. It begins healthy: it is connected.
    pub fn new(role: String, worker: String, slots: usize, bound: Duration) -> Arc<Health> {
        Arc::new(Health {
            role,
            worker,
            bound,
            slots: AtomicUsize::new(slots),
            working_on: AtomicUsize::new(0),
            begun: Instant::now(),
            fetched: AtomicU64::new(0),
            outage: Mutex::default(),
        })
    }

    /// Redis has answered a request for work, with or without any.
    pub fn fetched(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.fetched.store(now, Ordering::Relaxed);
    }

    /// Redis has answered a call about a job that is held. That is as good as a fetch while nothing
    /// is fetched, because all slots are taken. While one is free it says nothing: the loop that
    /// fetches may be stuck.
    pub fn renewed(&self) {
        if self.working_on.load(Ordering::Relaxed) >= self.slots.load(Ordering::Relaxed) {
            self.fetched();
        }
    }

    /// A job is worked on for as long as the value lives.
    pub fn working(self: &Arc<Self>) -> Working {
        self.working_on.fetch_add(1, Ordering::Relaxed);
        Working(self.clone())
    }

    /// From now on no more jobs are asked for.
    pub fn draining(&self) {
        self.slots.store(0, Ordering::Relaxed);
    }

    /// The contact with Redis of one loop, or of one job.
    pub fn contact(self: &Arc<Self>) -> Contact {
        Contact {
            health: self.clone(),
            waits: false,
        }
    }

    /// How the process stands.
    pub fn report(&self) -> Report {
        self.report_at(Instant::now())
    }

    fn report_at(&self, now: Instant) -> Report {
        let fetched = Duration::from_millis(self.fetched.load(Ordering::Relaxed));
        let silence = now.saturating_duration_since(self.begun + fetched);
        let outage = self.outage();
        Report {
            healthy: silence < self.bound,
            role: self.role.clone(),
            worker: self.worker.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            last_fetch_seconds_ago: (silence.as_secs_f64() * 1e3).round() / 1e3,
            unhealthy_after_seconds: self.bound.as_secs_f64(),
            waiting_for: (outage.waiting > 0).then(|| outage.reason.clone()),
            working_on: self.working_on.load(Ordering::Relaxed),
        }
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that is worked on.
#[derive(Debug)]
pub struct Working(Arc<Health>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working_on.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The contact with Redis of one loop, or of one job. It is told how each call has ended, and tells
/// the log: once that something is waited for, again when the reason changes or a minute has passed,
/// and once that it is over. A loop that ends waits for nothing any more.
#[derive(Debug)]
pub struct Contact {
    health: Arc<Health>,
    waits: bool,
}

impl Contact {
    /// That of another loop, or of another part of the job.
    #[must_use]
    pub fn another(&self) -> Contact {
        self.health.contact()
    }

    /// A call has failed, and is going to be repeated.
    pub fn failed(&mut self, error: &impl Coded) {
        let now = Instant::now();
        let mut outage = self.health.outage();
        if !std::mem::replace(&mut self.waits, true) {
            outage.waiting += 1;
        }
        let since = *outage.since.get_or_insert(now);
        outage.reason = error.with_code();
        if outage.is_news(now) {
            let role = &self.health.role;
            tracing::warn!(code = %error.code(), role, %error, waited = ?now - since, "waiting for Redis");
        }
    }

    /// A call has succeeded.
    pub fn succeeded(&mut self) {
        if !std::mem::replace(&mut self.waits, false) {
            return;
        }
        if let Some(since) = self.health.outage().left() {
            tracing::info!(role = self.health.role, waited = ?since.elapsed(), "Redis is back");
        }
    }
}

impl Drop for Contact {
    /// That it ended says nothing about Redis: whoever asks next will know.
    fn drop(&mut self) {
        if self.waits {
            self.health.outage().left();
        }
    }
}

impl Outage {
    /// One loop waits no more. If it was the last, the outage is over, and what is said of the next
    /// is news; returns when it began.
    fn left(&mut self) -> Option<Instant> {
        self.waiting -= 1;
        if self.waiting > 0 {
            return None;
        }
        std::mem::take(self).since
    }

    /// Whether the log is to be told the reason, and then that it was.
    fn is_news(&mut self, now: Instant) -> bool {
        if self.said_at.is_none_or(|at| now - at >= SAY_AGAIN) {
            self.said.clear();
            self.said_at = Some(now);
        }
        let is_news = !self.said.contains(&self.reason);
        if is_news {
            self.said.push(self.reason.clone());
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueError;

    const BOUND: Duration = Duration::from_secs(90);

    fn health(slots: usize) -> Arc<Health> {
        Health::new("extract".into(), "w1".into(), slots, BOUND)
    }

    fn error(text: &str) -> QueueError {
        redis::RedisError::from(std::io::Error::other(text.to_owned())).into()
    }

    /// Lets time pass: as if Redis had last answered so long ago.
    fn silent_for(health: &Health, silence: Duration) -> Report {
        let fetched = Duration::from_millis(health.fetched.load(Ordering::Relaxed));
        health.report_at(health.begun + fetched + silence)
    }

    #[test]
    fn silence_up_to_the_bound_is_healthy_and_no_longer() {
        let health = health(1);
        let just = BOUND - Duration::from_millis(1);
        assert!(silent_for(&health, just).healthy);
        let report = silent_for(&health, BOUND);
        assert_eq!(
            (report.healthy, report.last_fetch_seconds_ago),
            (false, 90.0)
        );
    }

    /// Whether a renewal counts as a fetch.
    fn renewal_counts(health: &Health) -> bool {
        health.fetched.store(0, Ordering::Relaxed);
        // Time has to pass for the difference to be seen.
        std::thread::sleep(Duration::from_millis(3));
        health.renewed();
        health.fetched.load(Ordering::Relaxed) > 0
    }

    #[test]
    fn a_renewal_counts_only_while_no_job_could_be_fetched() {
        let health = health(2);
        let first = health.working();
        assert!(!renewal_counts(&health), "a slot is free");
        let second = health.working();
        assert!(renewal_counts(&health), "all are taken");
        drop(second);
        assert!(!renewal_counts(&health), "one is free again");
        health.draining();
        assert!(renewal_counts(&health), "no more are asked for");
        drop(first);
        assert_eq!(health.report().working_on, 0);
    }

    #[test]
    fn what_is_waited_for_is_said_for_as_long_as_any_loop_waits() {
        let health = health(1);
        let (mut fetch, mut renew) = (health.contact(), health.contact());
        let waiting_for = || health.report().waiting_for;
        assert_eq!(waiting_for(), None);
        fetch.failed(&error("refused"));
        renew.failed(&error("reset"));
        renew.failed(&error("reset"));
        assert_eq!(waiting_for().unwrap(), "SJ101: redis: reset");
        fetch.succeeded();
        fetch.succeeded();
        assert!(waiting_for().is_some(), "the other still waits");
        drop(renew);
        assert_eq!(waiting_for(), None);
    }

    #[test]
    fn an_outage_is_news_also_when_all_who_waited_in_the_one_before_have_ended() {
        let health = health(1);
        let mut first = health.contact();
        first.failed(&error("refused"));
        drop(first);
        let mut outage = health.outage();
        outage.reason = error("refused").with_code();
        assert!(outage.is_news(Instant::now()));
    }

    #[test]
    fn the_log_is_told_each_reason_once_a_minute() {
        let begun = Instant::now();
        let mut outage = Outage::default();
        let mut is_news = |reason: &str, after: u64| {
            outage.reason = reason.into();
            outage.is_news(begun + Duration::from_secs(after))
        };
        assert!(is_news("refused", 0));
        assert!(!is_news("refused", 1));
        assert!(is_news("loading", 2));
        assert!(
            !is_news("refused", 3),
            "two loops that fail in two ways take turns"
        );
        assert!(is_news("refused", 60));
        assert!(!is_news("refused", 61));
    }
}
