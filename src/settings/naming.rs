//! What naming workers and whoever reckons with them are told alike.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use clap::Args;

use super::{PromptArgs, SettingsError};
use crate::naming::{CacheOptions, LimitOptions, Money, Prices};

/// How journeys are put into questions.
#[derive(Args, Debug)]
pub struct QuestionArgs {
    /// How a model is asked.
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// Journeys in one call, at most: more are cheaper, and mixed up by small models
    #[arg(
        long,
        env = "SOJOURN_LLM_JOURNEYS_PER_CALL",
        default_value_t = 1,
        value_name = "N"
    )]
    pub journeys_per_call: usize,
    /// Answers to each question, of which each journey gets the best name
    #[arg(
        long,
        env = "SOJOURN_LLM_SAMPLES",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=16),
        value_name = "N"
    )]
    pub samples: u8,
}

/// Limits of all processes that ask the same model of the same endpoint.
#[derive(Args, Debug)]
pub struct LimitArgs {
    /// Calls in any minute that all workers together make, at most
    #[arg(
        long,
        env = "SOJOURN_LLM_REQUESTS_PER_MINUTE",
        default_value = "600",
        value_name = "N"
    )]
    pub requests_per_minute: NonZeroU32,
    /// Tokens that they send in any minute, at most
    #[arg(long, env = "SOJOURN_LLM_INPUT_TOKENS_PER_MINUTE", value_name = "N")]
    pub input_tokens_per_minute: Option<NonZeroU64>,
    /// Tokens that they receive in any minute, at most
    #[arg(long, env = "SOJOURN_LLM_OUTPUT_TOKENS_PER_MINUTE", value_name = "N")]
    pub output_tokens_per_minute: Option<NonZeroU64>,
    /// Calls that they have under way at any time, at most
    #[arg(long, env = "SOJOURN_LLM_CALLS_AT_ONCE", value_name = "N")]
    pub calls_at_once: Option<NonZeroU32>,
    /// Money that all runs together may cost in a day (UTC), in the currency of the prices
    #[arg(long, env = "SOJOURN_LLM_MONEY_PER_DAY", value_name = "AMOUNT")]
    pub money_per_day: Option<Money>,
    /// What a million tokens of questions cost; with --price-output, so that money can be counted
    #[arg(long, env = "SOJOURN_LLM_PRICE_INPUT", value_name = "AMOUNT")]
    pub price_input: Option<Money>,
    /// The same of those that the provider had in its cache [default: as much as others]
    #[arg(long, env = "SOJOURN_LLM_PRICE_CACHED", value_name = "AMOUNT")]
    pub price_cached: Option<Money>,
    /// What a million tokens of answers cost
    #[arg(long, env = "SOJOURN_LLM_PRICE_OUTPUT", value_name = "AMOUNT")]
    pub price_output: Option<Money>,
}

impl LimitArgs {
    /// The limits that these options ask for.
    ///
    /// # Errors
    /// When money is to be counted without prices.
    pub fn options(&self) -> Result<LimitOptions, SettingsError> {
        let prices = prices(self.price_input, self.price_cached, self.price_output);
        let prices = prices
            .ok()
            .filter(|prices| prices.is_some() || self.money_per_day.is_none());
        let prices = prices.ok_or_else(|| {
            let needs = "money can be counted where both --price-input and --price-output are given \
                         (or SOJOURN_LLM_PRICE_INPUT and SOJOURN_LLM_PRICE_OUTPUT)";
            SettingsError::Usage(needs.into())
        })?;
        Ok(LimitOptions {
            requests_per_minute: self.requests_per_minute,
            input_tokens_per_minute: self.input_tokens_per_minute,
            output_tokens_per_minute: self.output_tokens_per_minute,
            calls_at_once: self.calls_at_once,
            money_per_day: self.money_per_day,
            prices,
        })
    }
}

/// Some of the prices were given, but not those of questions and of answers.
pub(super) struct Incomplete;

/// The prices that options say, if any; those of tokens from a cache are optional.
pub(super) fn prices(
    input: Option<Money>,
    cached: Option<Money>,
    output: Option<Money>,
) -> Result<Option<Prices>, Incomplete> {
    match (input, cached, output) {
        (Some(input), cached, Some(output)) => Ok(Some(Prices {
            input,
            cached: cached.unwrap_or(input),
            output,
        })),
        (None, None, None) => Ok(None),
        _ => Err(Incomplete),
    }
}

/// Which names are shared, and for how long.
#[derive(Args, Debug)]
pub struct SharingArgs {
    /// Users who must have a journey before they share its name, and are asked for it once
    #[arg(
        long,
        env = "SOJOURN_SHARE_AFTER",
        default_value_t = CacheOptions::SHARE_AFTER,
        value_name = "N"
    )]
    pub share_after: NonZeroU32,
    /// Days that a name is kept for others with an equal journey; 0: every journey is asked for
    #[arg(
        long,
        env = "SOJOURN_CACHE_DAYS",
        default_value = "30",
        value_parser = days,
        value_name = "DAYS"
    )]
    pub cache_days: Duration,
}

impl SharingArgs {
    /// How names are shared, if they are.
    pub fn options(&self) -> Option<CacheOptions> {
        (!self.cache_days.is_zero()).then_some(CacheOptions {
            share_after: self.share_after,
            keep: self.cache_days,
        })
    }
}

/// A number of days. Ten years are as good as for ever.
fn days(text: &str) -> Result<Duration, String> {
    const MOST: u64 = 3650;
    match text.parse() {
        Ok(days @ 0..=MOST) => Ok(Duration::from_secs(days * 24 * 3600)),
        _ => Err(format!("must be a whole number of days from 0 to {MOST}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_for_ten_years_at_most_and_perhaps_not_at_all() {
        assert_eq!(days("0"), Ok(Duration::ZERO));
        assert_eq!(days("3650"), Ok(Duration::from_secs(3650 * 24 * 3600)));
        for text in ["3651", "-1", "1.5", "x", ""] {
            assert!(days(text).unwrap_err().contains("from 0 to 3650"), "{text}");
        }
    }
}
