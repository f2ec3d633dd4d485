//! The file that a template is read from.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::TemplateError;
use super::example::Example;

/// The form that this version reads.
const FORMAT: i64 = 1;

const DEFAULT: &str = include_str!("default.toml");

/// What the file says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    format: i64,
    pub version: String,
    pub instructions: String,
    pub question: Limits,
    pub names: Names,
    pub examples: Vec<Example>,
}

/// What is sent of a journey, at most.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::naming) struct Limits {
    pub titles: usize,
    pub terms: usize,
    /// Of a title, a term, or a name that is taken.
    pub title_characters: usize,
    /// Names of other journeys of the user.
    pub taken: usize,
}

/// What a name must pass.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub characters: usize,
    pub refusals: Vec<String>,
    pub generic: Vec<String>,
    pub companions: Vec<String>,
    #[serde(rename = "unsafe")]
    pub unsafe_words: Vec<String>,
}

impl Form {
    /// The default with a file put over it.
    pub(super) fn read(file: Option<&str>) -> Result<Form, TemplateError> {
        let mut table: Table = parsed(DEFAULT)?;
        if let Some(file) = file {
            let file: Table = parsed(file)?;
            match file.get("format").and_then(Value::as_integer) {
                Some(FORMAT) => put_over(&mut table, file),
                given => return Err(TemplateError::Format { given }),
            }
        }
        let form: Form = table
            .try_into()
            .map_err(|error: toml::de::Error| TemplateError::Unreadable(error.to_string()))?;
        form.validate()?;
        Ok(form)
    }

    pub(super) fn validate(&self) -> Result<(), TemplateError> {
        let Limits {
            titles,
            terms,
            title_characters,
            taken,
        } = self.question;
        // No more than journeys have.
        within("question.titles", titles, 0..=5)?;
        within("question.terms", terms, 0..=10)?;
        within("question.titles and terms together", titles + terms, 1..=15)?;
        within("question.title_characters", title_characters, 10..=500)?;
        within("question.taken", taken, 0..=100)?;
        within("names.characters", self.names.characters, 10..=100)?;
        within("the number of examples", self.examples.len(), 0..=50)
    }
}

fn parsed(text: &str) -> Result<Table, TemplateError> {
    text.parse()
        .map_err(|error: toml::de::Error| TemplateError::Unreadable(error.to_string()))
}

fn within(
    what: &'static str,
    given: usize,
    bounds: RangeInclusive<usize>,
) -> Result<(), TemplateError> {
    match bounds.contains(&given) {
        true => Ok(()),
        false => Err(TemplateError::OutOfBounds {
            what,
            given,
            bounds,
        }),
    }
}

/// Tables are filled in, anything else is replaced.
fn put_over(base: &mut Table, file: Table) {
    for (key, value) in file {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(file)) => put_over(base, file),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}
