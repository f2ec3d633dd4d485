//! What questions and batches are known by.

use std::fmt;

use rand::RngExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Tells a question from all others: a hash of everything that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct QuestionId(u128);

/// Tells a batch from all others; chosen before the provider knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Token(String);

impl QuestionId {
    /// The id of a question.
    pub(super) fn of(question: &Value) -> QuestionId {
        // The fields of an object are in the order of their names.
        let hash = Sha256::digest(question.to_string());
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        QuestionId(u128::from_be_bytes(half))
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(super) fn parse(text: &str) -> Option<QuestionId> {
        u128::from_str_radix(text, 16).ok().map(QuestionId)
    }
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Token {
    /// One that nobody had before.
    pub(super) fn new() -> Token {
        Token(format!("{:032x}", rand::rng().random::<u128>()))
    }
}

impl From<String> for Token {
    fn from(text: String) -> Token {
        Token(text)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_has_one_id_in_whatever_order_its_fields_are() {
        let id = QuestionId::of(&json!({"model": "m", "seed": 0}));
        let other_order = serde_json::from_str(r#"{"seed": 0, "model": "m"}"#).unwrap();
        assert_eq!(QuestionId::of(&other_order), id);
        assert_ne!(QuestionId::of(&json!({"model": "m", "seed": 1})), id);
        assert_eq!(QuestionId::parse(&id.to_string()), Some(id));
    }
}
