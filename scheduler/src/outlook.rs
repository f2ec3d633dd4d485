//! What a forecast of some users says of all: money, and time at the limits.

use serde::Serialize;
use sojourn::naming::{Forecast, LimitOptions, Money, Usage};

/// Minutes of a day.
const DAY: f64 = 24.0 * 60.0;

/// What naming a population takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// Journeys that want a name.
    pub journeys: u64,
    /// Of these, how many get the name of an equal one.
    pub shared: u64,
    /// Calls to the model.
    pub calls: u64,
    /// Tokens of the questions.
    pub tokens_in: u64,
    /// Of these, how many are the same in every call.
    pub tokens_same: u64,
    /// Tokens of the answers.
    pub tokens_out: u64,
    /// What that costs, where prices are given.
    pub money: Option<Money>,
    /// What it costs when the provider has all that is the same in its cache.
    pub money_cached: Option<Money>,
    /// How long it takes at least, at the limits.
    pub minutes: f64,
    /// The limit that makes it last so long.
    pub limit: &'static str,
}

impl Outlook {
    /// Of a forecast for `part` of `whole` users.
    pub fn of(forecast: Forecast, part: u64, whole: u64, limits: &LimitOptions) -> Outlook {
        let all = |count: u64| {
            let scaled = u128::from(count) * u128::from(whole) / u128::from(part.max(1));
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        let usage = |cached| Usage {
            input: all(forecast.tokens_in),
            cached,
            output: all(forecast.tokens_out),
        };
        let (calls, same) = (all(forecast.calls), all(forecast.tokens_same));
        // The first call brings it there.
        let cached = same.saturating_sub(same.checked_div(calls).unwrap_or(0));
        let money = limits.prices.map(|prices| prices.of(usage(0)));
        let mut bounds = vec![(
            calls as f64 / f64::from(limits.requests_per_minute.get()),
            "requests per minute",
        )];
        let tokens = [
            (
                limits.input_tokens_per_minute,
                forecast.tokens_in,
                "input tokens per minute",
            ),
            (
                limits.output_tokens_per_minute,
                forecast.tokens_out,
                "output tokens per minute",
            ),
        ];
        for (limit, count, name) in tokens {
            bounds.extend(limit.map(|limit| (all(count) as f64 / limit.get() as f64, name)));
        }
        if let Some((day, money)) = limits.money_per_day.zip(money)
            && day > Money::default()
        {
            let days = money.nanos() as f64 / day.nanos() as f64;
            bounds.push((days * DAY, "money per day"));
        }
        let longest = bounds.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
        let (minutes, limit) = longest.unwrap_or_default();
        Outlook {
            journeys: all(forecast.journeys),
            shared: all(forecast.shared),
            calls,
            tokens_in: all(forecast.tokens_in),
            tokens_same: same,
            tokens_out: all(forecast.tokens_out),
            money,
            money_cached: limits.prices.map(|prices| prices.of(usage(cached))),
            minutes,
            limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use sojourn::naming::Prices;

    use super::*;

    const FORECAST: Forecast = Forecast {
        journeys: 1_000,
        shared: 200,
        calls: 100,
        tokens_in: 200_000,
        tokens_same: 100_000,
        tokens_out: 10_000,
    };

    fn limits() -> LimitOptions {
        LimitOptions::requests(NonZeroU32::new(50).unwrap())
    }

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_not_looked_at_is_taken_to_be_like_the_rest() {
        let outlook = Outlook::of(FORECAST, 10, 25, &limits());
        let counts = (outlook.journeys, outlook.shared, outlook.calls);
        assert_eq!(counts, (2_500, 500, 250));
        let tokens = (outlook.tokens_in, outlook.tokens_same, outlook.tokens_out);
        assert_eq!(tokens, (500_000, 250_000, 25_000));
        assert_eq!(outlook.money, None);
    }

    #[test]
    fn the_limit_that_lets_least_through_says_how_long_it_takes() {
        let mut limits = limits();
        let mut expected = vec![(2.0, "requests per minute")];
        limits.output_tokens_per_minute = NonZeroU64::new(2_000);
        expected.push((5.0, "output tokens per minute"));
        let outlook = Outlook::of(FORECAST, 1, 1, &limits);
        assert_eq!((outlook.minutes, outlook.limit), expected[1]);
        limits.output_tokens_per_minute = None;
        let outlook = Outlook::of(FORECAST, 1, 1, &limits);
        assert_eq!((outlook.minutes, outlook.limit), expected[0]);
        limits.input_tokens_per_minute = NonZeroU64::new(20_000);
        let outlook = Outlook::of(FORECAST, 1, 1, &limits);
        assert_eq!(
            (outlook.minutes, outlook.limit),
            (10.0, "input tokens per minute")
        );
    }

    #[test]
    fn money_is_that_of_the_tokens_and_less_where_a_cache_has_what_is_the_same() {
        let mut limits = limits();
        limits.prices = Some(Prices {
            input: money("1"),
            cached: money("0.5"),
            output: money("10"),
        });
        let outlook = Outlook::of(FORECAST, 1, 1, &limits);
        assert_eq!(outlook.money, Some(money("0.3")));
        // 99 of 100 calls find their 1,000 tokens there.
        assert_eq!(outlook.money_cached, Some(money("0.2505")));
        limits.money_per_day = Some(money("0.1"));
        let outlook = Outlook::of(FORECAST, 1, 1, &limits);
        assert_eq!(outlook.limit, "money per day");
        assert!((outlook.minutes - 3.0 * DAY).abs() < 1e-6);
    }

    #[test]
    fn nothing_takes_no_time() {
        let outlook = Outlook::of(Forecast::default(), 0, 0, &limits());
        assert_eq!((outlook.calls, outlook.minutes), (0, 0.0));
    }
}
