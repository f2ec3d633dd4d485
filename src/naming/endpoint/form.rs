//! The form of the questions that an endpoint takes, learnt from its refusals.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::failure::HttpFailure;

/// Parameters that names can be had without. Some endpoints know no schemas, and some models refuse
/// to be told a temperature.
const OPTIONAL: [&str; 6] = [
    "response_format",
    MAX_TOKENS,
    MAX_COMPLETION_TOKENS,
    "temperature",
    "seed",
    "n",
];

/// Those that are left out where a refusal names none, in this order.
const SUSPECTS: [&str; 2] = ["response_format", "n"];

/// The bound of an answer, and what models that think take instead. Money is reserved by it.
const MAX_TOKENS: &str = "max_tokens";
const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";

/// Which parameters a question does without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    left_out: BTreeSet<&'static str>,
}

impl Form {
    /// A question in this form.
    pub(super) fn of(&self, question: &Value) -> Value {
        let mut question = question.clone();
        if let Some(parameters) = question.as_object_mut() {
            if self.left_out.contains(MAX_TOKENS)
                && let Some(bound) = parameters.get(MAX_TOKENS).cloned()
            {
                parameters.insert(MAX_COMPLETION_TOKENS.into(), bound);
            }
            parameters.retain(|name, _| !self.left_out.contains(name.as_str()));
        }
        question
    }

    /// Does without the parameter for whose sake a question in this form may have been refused: the
    /// one that the answer names, else the schema, which endpoints refuse in many words, or the number
    /// of samples. Returns its name; none when there is nothing left to try.
    pub(super) fn give_way(
        &mut self,
        failure: &HttpFailure,
        question: &Value,
    ) -> Option<&'static str> {
        if !failure.is_about_the_request() {
            return None;
        }
        let sent = self.of(question);
        let is_sent = |name: &&str| sent.get(*name).is_some();
        let named = OPTIONAL
            .into_iter()
            .find(|name| is_sent(name) && names(&failure.body, name));
        let name = named.or_else(|| SUSPECTS.into_iter().find(is_sent))?;
        self.left_out.insert(name);
        Some(name)
    }
}

/// Whether a refusal names a parameter. A single letter is a name only in quotes.
fn names(body: &str, name: &str) -> bool {
    let is_quoted = |(at, _): (usize, &str)| {
        let before = body[..at].ends_with(['"', '\'', '`']);
        // A quote that stands in JSON has a backslash before it.
        before && body[at + name.len()..].starts_with(['"', '\'', '`', '\\'])
    };
    body.match_indices(name)
        .any(|found| name.len() > 1 || is_quoted(found))
}

/// The form in which this process's questions were answered, once one was.
#[derive(Default)]
pub(super) struct KnownForm(Mutex<Option<Form>>);

impl KnownForm {
    /// The form to try first.
    pub(super) fn first(&self) -> Form {
        self.lock().clone().unwrap_or_default()
    }

    /// Whether questions of this form were answered before.
    pub(super) fn is(&self, form: &Form) -> bool {
        self.lock().as_ref() == Some(form)
    }

    /// A question of this form was answered.
    pub(super) fn learn(&self, form: Form) {
        *self.lock() = Some(form);
    }

    /// A form is replaced in one step, so whoever panicked left a whole one.
    fn lock(&self) -> MutexGuard<'_, Option<Form>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
