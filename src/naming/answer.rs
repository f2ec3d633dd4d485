//! What a model answered, and whether it will do. Answers are untrusted text.

use std::collections::HashMap;

use serde::Deserialize;

use super::terms::share_a_word;
use crate::journey::Journey;

/// Longest name, in characters. Longer ones are sentences.
const MAX_CHARACTERS: usize = 60;

/// Words that name no interest.
const GENERIC: [&str; 14] = [
    "assorted",
    "collection",
    "content",
    "general",
    "interests",
    "items",
    "journey",
    "misc",
    "miscellaneous",
    "other",
    "stuff",
    "topics",
    "various",
    "videos",
];

/// How a model that declines begins.
const REFUSALS: [&str; 6] = [
    "i'm sorry",
    "i am sorry",
    "sorry,",
    "i can't",
    "i cannot",
    "as an ai",
];

/// Why a name is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The answer has no name under the journey's id.
    #[error("there is no name for the journey")]
    Missing,
    /// It is a sentence.
    #[error("the name is longer than {MAX_CHARACTERS} characters")]
    TooLong,
    /// Markup, a link, control characters.
    #[error("the name holds something that is not plain text")]
    NotPlain,
    /// It would fit any journey.
    #[error("the name says nothing")]
    Generic,
    /// The model declined.
    #[error("the model refused")]
    Refusal,
    /// Another journey of the user has that name.
    #[error("a sibling has the same name")]
    Duplicate,
    /// No word of it occurs in the journey's titles or terms: it may belong to another journey.
    #[error("no word of the name occurs in the journey")]
    Ungrounded,
}

#[derive(Deserialize)]
struct Answer {
    names: Vec<AnsweredName>,
}

#[derive(Deserialize)]
struct AnsweredName {
    id: String,
    name: String,
}

/// Reads the names by id from the text of an answer: a JSON object, or one inside other text, for
/// models that cannot be held to a schema. Nothing readable is no names.
pub(super) fn parse(text: &str) -> HashMap<String, String> {
    let object = match (text.find('{'), text.rfind('}')) {
        (Some(start), Some(end)) if start < end => &text[start..=end],
        _ => return HashMap::new(),
    };
    let Ok(answer) = serde_json::from_str::<Answer>(object) else {
        return HashMap::new();
    };
    let mut names = HashMap::new();
    for AnsweredName { id, name } in answer.names {
        // An id that is answered twice cannot be trusted either time.
        names.entry(id).and_modify(String::clear).or_insert(name);
    }
    names
}

/// Checks one name, given those that the user's other journeys have. Returns it tidied.
pub(super) fn check(
    answered: Option<&String>,
    journey: &Journey,
    siblings: &[&str],
) -> Result<String, Rejection> {
    let name = answered.map(|name| name.trim().trim_matches(['"', '\'', '.']).trim());
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or(Rejection::Missing)?;
    let lower = name.to_lowercase();
    if REFUSALS.iter().any(|refusal| lower.starts_with(refusal)) {
        return Err(Rejection::Refusal);
    }
    if name.chars().count() > MAX_CHARACTERS {
        return Err(Rejection::TooLong);
    }
    let markup = ['<', '>', '{', '}', '[', ']', '`', '|', '\\'];
    if name.chars().any(|c| c.is_control() || markup.contains(&c)) || lower.contains("://") {
        return Err(Rejection::NotPlain);
    }
    if lower.split_whitespace().all(|word| GENERIC.contains(&word)) {
        return Err(Rejection::Generic);
    }
    if siblings
        .iter()
        .any(|sibling| sibling.to_lowercase() == lower)
    {
        return Err(Rejection::Duplicate);
    }
    let words = |text: &str| {
        let separators = |c: char| !c.is_alphanumeric();
        text.split(separators)
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let name_words = words(name);
    let mut evidence = journey
        .titles
        .iter()
        .map(|t| words(t))
        .chain(journey.terms.iter().map(|t| words(&t.term)));
    if !evidence.any(|text| share_a_word(&text, &name_words)) {
        return Err(Rejection::Ungrounded);
    }
    Ok(name.to_owned())
}
