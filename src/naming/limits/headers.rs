//! What endpoints say of their limits in the headers of an answer.

use std::time::Duration;

use reqwest::header::HeaderMap;

use super::line::Left;

/// What an endpoint said of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// For how long it wants to be left alone.
    pub retry_after: Option<Duration>,
    /// What is left of requests, input tokens, output tokens.
    pub(super) left: [Option<Left>; 3],
}

impl Headers {
    /// Reads `x-ratelimit-remaining-*` and `x-ratelimit-reset-*`; `retry_after` is what the endpoint
    /// asked for in a header of its own.
    pub fn read(headers: &HeaderMap, retry_after: Option<Duration>) -> Headers {
        let text = |name: String| headers.get(name)?.to_str().ok();
        let left = |what: &str| {
            let amount = text(format!("x-ratelimit-remaining-{what}"))?;
            let reset = text(format!("x-ratelimit-reset-{what}")).and_then(duration);
            Some(Left {
                // Some dialects have fractions.
                amount: amount.trim().parse::<f64>().ok()?.max(0.0) as u64,
                reset: reset.unwrap_or(UNKNOWN),
            })
        };
        // Where tokens are not told apart, both kinds are within what is left.
        let tokens = left("tokens");
        Headers {
            retry_after,
            left: [
                left("requests"),
                left("input-tokens").or(tokens),
                left("output-tokens").or(tokens),
            ],
        }
    }

    /// Whether they say nothing.
    pub(super) fn is_empty(&self) -> bool {
        *self == Headers::default()
    }
}

/// A limit that does not say when it is over is one per minute.
const UNKNOWN: Duration = Duration::from_secs(60);

/// A time such as `6m0s`, `1.5s`, `20ms`, or a number of seconds. Longer ones than a day are points in
/// time in some unit, which nobody can tell.
fn duration(text: &str) -> Option<Duration> {
    const DAY: f64 = 24.0 * 3600.0;
    let mut seconds = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        let unit = after.find(|c: char| c.is_ascii_digit());
        let (unit, after) = after.split_at(unit.unwrap_or(after.len()));
        let factor = match unit {
            "" | "s" => 1.0,
            "ms" => 0.001,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => DAY,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    let is_one = !text.trim().is_empty() && seconds <= DAY;
    is_one.then(|| Duration::try_from_secs_f64(seconds).ok())?
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Headers {
        let headers = pairs.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        Headers::read(&headers.collect(), None)
    }

    fn left(amount: u64, milliseconds: u64) -> Option<Left> {
        let reset = Duration::from_millis(milliseconds);
        Some(Left { amount, reset })
    }

    #[test]
    fn times_are_read_in_all_their_units() {
        for (text, milliseconds) in [
            ("1s", 1000),
            ("6m0s", 360_000),
            ("20ms", 20),
            ("1h2m3.5s", 3_723_500),
            ("12", 12_000),
            ("0.25", 250),
            ("0s", 0),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "soon",
            "1y",
            "-1s",
            "s",
            "1764000000",
            "2026-11-24T08:30:00Z",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_left_is_read_of_requests_and_of_tokens_of_both_kinds() {
        let headers = read(&[
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "149.9"),
            ("x-ratelimit-reset-tokens", "then"),
            ("x-ratelimit-remaining-output-tokens", "-3"),
            ("x-ratelimit-reset-output-tokens", "6ms"),
        ]);
        assert_eq!(
            headers.left,
            [left(59, 1000), left(149, 60_000), left(0, 6)]
        );
        assert!(!headers.is_empty());
        assert!(read(&[("x-ratelimit-remaining-requests", "many")]).is_empty());
        assert!(read(&[]).is_empty());
    }
}
