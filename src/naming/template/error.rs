//! What can be wrong with a template.

use std::ops::RangeInclusive;

use super::LANGUAGE;
use crate::naming::Rejection;

/// Why a template cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is not TOML, or says what no template has.
    #[error("{0}")]
    Unreadable(String),
    /// Another version of Sojourn reads it.
    #[error("a template begins with format = 1; this one has {}", said(*.given))]
    Format {
        /// What the file says.
        given: Option<i64>,
    },
    /// More or less than makes sense.
    #[error("{what} is {given}, and must be from {} to {}", .bounds.start(), .bounds.end())]
    OutOfBounds {
        /// What it is.
        what: &'static str,
        /// What the file says.
        given: usize,
        /// What it may say.
        bounds: RangeInclusive<usize>,
    },
    /// A model would be shown what is refused.
    #[error("the name {name:?} of an example would be refused: {rejection}")]
    Example {
        /// The name.
        name: String,
        /// Why.
        rejection: Rejection,
    },
    /// A line of examples cannot be read.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The model would not learn which language is wanted.
    #[error("the instructions do not say {LANGUAGE}, so that --locale would change nothing")]
    NoLanguage,
}

fn said(format: Option<i64>) -> String {
    format.map_or("none".into(), |format| format!("format = {format}"))
}
