//! A second endpoint, for when the first does not work.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use clap::Args;

use super::naming::{LimitArgs, prices};
use super::{SettingsError, secret};
use crate::naming::{Fallback, LimitOptions, Money};

/// A second endpoint with limits of its own.
#[derive(Args, Debug)]
pub struct FallbackArgs {
    /// Second endpoint, asked while the first does not work or refuses whatever is asked. Its key is
    /// read from SOJOURN_LLM_FALLBACK_API_KEY or --fallback-api-key-file
    #[arg(
        long,
        env = "SOJOURN_LLM_FALLBACK_ENDPOINT",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub fallback_endpoint: Option<String>,
    /// Model to ask the second endpoint for
    #[arg(long, env = "SOJOURN_LLM_FALLBACK_MODEL", value_name = "NAME")]
    pub fallback_model: Option<String>,
    /// File that holds the second endpoint's key
    #[arg(long, env = "SOJOURN_LLM_FALLBACK_API_KEY_FILE", value_name = "FILE")]
    pub fallback_api_key_file: Option<PathBuf>,
    /// Calls to the second endpoint in any minute that all workers together make, at most
    #[arg(
        long,
        env = "SOJOURN_LLM_FALLBACK_REQUESTS_PER_MINUTE",
        default_value = "600",
        value_name = "N"
    )]
    pub fallback_requests_per_minute: NonZeroU32,
    /// Tokens that they send there in any minute, at most
    #[arg(
        long,
        env = "SOJOURN_LLM_FALLBACK_INPUT_TOKENS_PER_MINUTE",
        value_name = "N"
    )]
    pub fallback_input_tokens_per_minute: Option<NonZeroU64>,
    /// Tokens that they receive from there in any minute, at most
    #[arg(
        long,
        env = "SOJOURN_LLM_FALLBACK_OUTPUT_TOKENS_PER_MINUTE",
        value_name = "N"
    )]
    pub fallback_output_tokens_per_minute: Option<NonZeroU64>,
    /// Calls to the second endpoint that they have under way at any time, at most
    #[arg(long, env = "SOJOURN_LLM_FALLBACK_CALLS_AT_ONCE", value_name = "N")]
    pub fallback_calls_at_once: Option<NonZeroU32>,
    /// What a million tokens of questions cost there [default: all prices are those of the first]
    #[arg(long, env = "SOJOURN_LLM_FALLBACK_PRICE_INPUT", value_name = "AMOUNT")]
    pub fallback_price_input: Option<Money>,
    /// The same of those that the provider had in its cache [default: as much as others]
    #[arg(long, env = "SOJOURN_LLM_FALLBACK_PRICE_CACHED", value_name = "AMOUNT")]
    pub fallback_price_cached: Option<Money>,
    /// What a million tokens of answers cost there
    #[arg(long, env = "SOJOURN_LLM_FALLBACK_PRICE_OUTPUT", value_name = "AMOUNT")]
    pub fallback_price_output: Option<Money>,
}

impl FallbackArgs {
    /// The second endpoint that these options ask for, beside a first one with limits of its own.
    ///
    /// # Errors
    /// When an option lacks another that it needs, or the file of the key cannot be read.
    pub fn options(&self, first: &LimitArgs) -> Result<Option<Fallback>, SettingsError> {
        let (endpoint, model) = match (&self.fallback_endpoint, &self.fallback_model) {
            (Some(endpoint), Some(model)) => (endpoint.clone(), model.clone()),
            (None, None) => return Ok(None),
            _ => {
                let needs = "--fallback-endpoint URL and --fallback-model NAME (or \
                             SOJOURN_LLM_FALLBACK_ENDPOINT and SOJOURN_LLM_FALLBACK_MODEL) need each \
                             other";
                return Err(SettingsError::Usage(needs.into()));
            }
        };
        let own = prices(
            self.fallback_price_input,
            self.fallback_price_cached,
            self.fallback_price_output,
        );
        let prices = own
            .map_err(|_| {
                let needs = "--fallback-price-input and --fallback-price-output (or \
                             SOJOURN_LLM_FALLBACK_PRICE_INPUT and SOJOURN_LLM_FALLBACK_PRICE_OUTPUT) \
                             need each other";
                SettingsError::Usage(needs.into())
            })?
            .or(first.options()?.prices);
        let file = self.fallback_api_key_file.as_deref();
        Ok(Some(Fallback {
            endpoint,
            model,
            api_key: secret("SOJOURN_LLM_FALLBACK_API_KEY", file)?,
            limits: LimitOptions {
                requests_per_minute: self.fallback_requests_per_minute,
                input_tokens_per_minute: self.fallback_input_tokens_per_minute,
                output_tokens_per_minute: self.fallback_output_tokens_per_minute,
                calls_at_once: self.fallback_calls_at_once,
                money_per_day: None,
                prices,
            },
        }))
    }
}
