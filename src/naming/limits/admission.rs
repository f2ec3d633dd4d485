//! What is asked of limits before a call, and what they say.

use std::time::Duration;

use crate::run::RunId;

/// Who pays for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The run.
    pub run: RunId,
}

/// What a call is expected to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Tokens of the question. What calls took lately, compared with this, corrects it.
    pub input_tokens: u64,
    /// Tokens of the answer, at most. What answers took lately, compared with this, is what is
    /// reserved of the limits; all of it of the money.
    pub output_tokens: u64,
}

/// Whose money is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// That of the run.
    Run,
    /// That of the day, of all runs.
    Day,
}

/// Why a call may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The limits have no room for so long that it is not worth waiting for.
    #[error("the limits of all workers together have no room for a call")]
    Busy {
        /// When there may be some.
        retry_after: Option<Duration>,
    },
    /// It could cost more than there is.
    #[error("{}", match of {
        Spent::Run => "what the run may cost is spent",
        Spent::Day => "what naming may cost in a day is spent",
    })]
    OverBudget {
        /// Of whom.
        of: Spent,
    },
    /// A call of this size is over a limit all by itself.
    #[error("the call needs more tokens than all workers together may use in a minute")]
    TooLarge,
    /// The run has a budget, and the process was not told what tokens cost.
    #[error(
        "the run has a budget, and this worker does not know what tokens cost: give it --price-input and --price-output"
    )]
    Unpriced,
}
