//! How fast an endpoint is asked: as often as this process may, and not while it wants to be left
//! alone.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::time::Instant;

/// Longest wait that an endpoint is believed to want. Daily limits are the longest ones there are;
/// a header in the wrong unit must not put jobs off for years.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);

/// When the next question may be sent. One for all questions of a process.
pub(super) struct Pace {
    limiter: DefaultDirectRateLimiter,
    /// Until when the endpoint asked everybody to wait.
    closed_until: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(requests_per_minute: NonZeroU32) -> Pace {
        // No more at once than a second's share: providers count in windows shorter than a minute.
        let burst = NonZeroU32::new(requests_per_minute.get() / 60).unwrap_or(NonZeroU32::MIN);
        Pace {
            limiter: RateLimiter::direct(Quota::per_minute(requests_per_minute).allow_burst(burst)),
            closed_until: Mutex::default(),
        }
    }

    /// Waits for the next turn. When the endpoint wants to be left alone for more than `longest`,
    /// returns at once, and says for how long.
    pub(super) async fn turn(&self, longest: Duration) -> Result<(), Duration> {
        loop {
            let until = *self.closed_until();
            let wait = until.map_or(Duration::ZERO, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if wait.is_zero() {
                break;
            }
            if wait > longest {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
        self.limiter.until_ready().await;
        Ok(())
    }

    /// Nobody asks for this long.
    pub(super) fn close_for(&self, wait: Duration) {
        let mut until = self.closed_until();
        *until = (*until).max(Instant::now().checked_add(wait));
    }

    /// A time is replaced in one step, so whoever panicked left a whole one.
    fn closed_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.closed_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// When to call again: milliseconds as some endpoints say it, else seconds or a date.
pub(in crate::naming) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    asked_wait(headers).map(|wait| wait.min(LONGEST_ASKED))
}

fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |value: &HeaderValue| Some(value.to_str().ok()?.trim().to_owned());
    let number = |text: &str| text.parse::<f64>().ok();
    if let Some(milliseconds) = headers.get("retry-after-ms").and_then(text) {
        let seconds = number(&milliseconds)? / 1000.0;
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let text = headers.get(RETRY_AFTER).and_then(text)?;
    if let Some(seconds) = number(&text) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(&text).ok()?.timestamp();
    let now = Timestamp::try_from(SystemTime::now()).ok()?;
    Duration::try_from(date.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        retry_after(&headers)
    }

    #[test]
    fn retry_after_is_read_in_seconds_milliseconds_and_as_a_date() {
        assert_eq!(waits("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(
            waits("retry-after", "0.5"),
            Some(Duration::from_millis(500))
        );
        assert_eq!(
            waits("retry-after-ms", "20"),
            Some(Duration::from_millis(20))
        );
        let date = waits("retry-after", "Tue, 31 Dec 2199 23:59:59 GMT");
        assert_eq!(date, Some(LONGEST_ASKED));
        for nonsense in [
            "soon",
            "-1",
            "nan",
            "1e300",
            "Wed, 21 Oct 2015 07:28:00 GMT",
        ] {
            assert_eq!(waits("retry-after", nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn no_wait_is_longer_than_a_day() {
        assert_eq!(waits("retry-after", "120000000"), Some(LONGEST_ASKED));
    }

    #[tokio::test]
    async fn a_shorter_wait_does_not_open_what_a_longer_one_closed() {
        let pace = Pace::new(NonZeroU32::MAX);
        pace.close_for(Duration::from_secs(3600));
        pace.close_for(Duration::from_secs(60));
        let left = pace.turn(Duration::from_secs(120)).await.unwrap_err();
        assert!(left > Duration::from_secs(120), "{left:?}");
    }
}
