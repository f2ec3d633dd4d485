//! Money, in whatever currency the prices are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Decimals that are kept: a token of a cheap model costs some ten billionths of what one pays with.
const DECIMALS: usize = 9;

/// Parts of one.
const ONE: u64 = 10_u64.pow(DECIMALS as u32);

/// The largest amount. The scripts in Redis count in floating point, exactly up to 9 million.
const MOST: u64 = 1_000_000 * ONE;

/// An amount of money, in billionths, at most a million.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Money(u64);

/// Text that is no amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an amount of money such as 25 or 0.15, at most 1000000 and with at most 9 decimals"
)]
pub struct InvalidMoney;

impl Money {
    /// An amount in billionths.
    pub fn from_nanos(nanos: u64) -> Money {
        Money(nanos)
    }

    /// The amount in billionths.
    pub fn nanos(self) -> u64 {
        self.0
    }
}

impl FromStr for Money {
    type Err = InvalidMoney;

    fn from_str(text: &str) -> Result<Money, InvalidMoney> {
        let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > DECIMALS {
            return Err(InvalidMoney);
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| InvalidMoney);
        let nanos = number(whole)?
            .checked_mul(ONE)
            .and_then(|nanos| nanos.checked_add(number(&format!("{decimals:0<9}")).ok()?))
            .filter(|&nanos| nanos <= MOST);
        nanos.map(Money).ok_or(InvalidMoney)
    }
}

impl fmt::Display for Money {
    /// With at least two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:09}", self.0 % ONE);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / ONE, &decimals[..kept])
    }
}

impl TryFrom<String> for Money {
    type Error = InvalidMoney;

    fn try_from(text: String) -> Result<Money, InvalidMoney> {
        text.parse()
    }
}

impl From<Money> for String {
    fn from(money: Money) -> String {
        money.to_string()
    }
}

/// Tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the question, those from the provider's cache included.
    pub input: u64,
    /// Of these, how many the provider had in its cache.
    pub cached: u64,
    /// Tokens of the answer.
    pub output: u64,
}

/// What a million tokens cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Of a question.
    pub input: Money,
    /// Of a question, from the provider's cache.
    pub cached: Money,
    /// Of an answer.
    pub output: Money,
}

impl Prices {
    /// What a call costs, rounded up to a billionth.
    pub fn of(&self, usage: Usage) -> Money {
        const MILLION: u128 = 1_000_000;
        let cached = usage.cached.min(usage.input);
        let parts = [
            (usage.input - cached, self.input),
            (cached, self.cached),
            (usage.output, self.output),
        ];
        let sum: u128 = parts
            .iter()
            .map(|(tokens, price)| u128::from(*tokens) * u128::from(price.0))
            .sum();
        Money(u64::try_from(sum.div_ceil(MILLION)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_and_shown() {
        for (text, nanos, shown) in [
            ("25", 25_000_000_000, "25.00"),
            ("0.15", 150_000_000, "0.15"),
            (" 1.5 ", 1_500_000_000, "1.50"),
            ("0.000000001", 1, "0.000000001"),
            ("1000000", 1_000_000_000_000_000, "1000000.00"),
        ] {
            assert_eq!(money(text), Money::from_nanos(nanos), "{text}");
            assert_eq!(money(text).to_string(), shown);
            assert_eq!(money(shown), money(text));
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "1.0000000001",
            "1000000.1",
        ] {
            assert_eq!(text.parse::<Money>(), Err(InvalidMoney), "{text:?}");
        }
    }

    #[test]
    fn a_call_costs_what_its_tokens_cost_and_those_from_a_cache_less() {
        let prices = Prices {
            input: money("0.15"),
            cached: money("0.075"),
            output: money("0.60"),
        };
        let usage = Usage {
            input: 2_000_000,
            cached: 1_000_000,
            output: 1_000_000,
        };
        assert_eq!(prices.of(usage), money("0.825"));
        // More from a cache than there was is what no provider means.
        let strange = Usage {
            input: 0,
            cached: 7,
            output: 0,
        };
        assert_eq!(prices.of(strange), Money::default());
    }

    #[test]
    fn a_part_of_the_smallest_amount_costs_all_of_it() {
        let prices = Prices {
            input: Money::from_nanos(1),
            cached: Money::default(),
            output: Money::default(),
        };
        let one = Usage {
            input: 1,
            ..Usage::default()
        };
        assert_eq!(prices.of(one), Money::from_nanos(1));
    }
}
