//! What an endpoint may be asked.

use std::num::{NonZeroU32, NonZeroU64};

use crate::naming::money::{Money, Prices};

/// What all processes together may ask of an endpoint; none: whatever it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOptions {
    /// Requests in any minute.
    pub requests_per_minute: NonZeroU32,
    /// Tokens of questions in any minute.
    pub input_tokens_per_minute: Option<NonZeroU64>,
    /// Tokens of answers in any minute.
    pub output_tokens_per_minute: Option<NonZeroU64>,
    /// Calls under way at any time.
    pub calls_at_once: Option<NonZeroU32>,
    /// Money in a day (UTC), of all runs.
    pub money_per_day: Option<Money>,
    /// What tokens cost.
    pub prices: Option<Prices>,
}

impl LimitOptions {
    /// Only so many requests.
    pub fn requests(requests_per_minute: NonZeroU32) -> LimitOptions {
        LimitOptions {
            requests_per_minute,
            input_tokens_per_minute: None,
            output_tokens_per_minute: None,
            calls_at_once: None,
            money_per_day: None,
            prices: None,
        }
    }
}
