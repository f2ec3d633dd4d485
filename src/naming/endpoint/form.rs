//! The form of the questions that an endpoint takes, learnt from its refusals.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::failure::HttpFailure;

/// Parameters that names can be had without. Some endpoints know no schemas, and some models refuse
/// to be told a temperature.
const OPTIONAL: [&str; 5] = ["response_format", "max_tokens", "temperature", "seed", "n"];

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
            parameters.retain(|name, _| !self.left_out.contains(name.as_str()));
        }
        question
    }

    /// Does without the parameter for whose sake a question in this form may have been refused: the
    /// one that the answer names, else the schema, which endpoints refuse in many words. Returns
    /// its name; none when there is nothing left to try.
    pub(super) fn give_way(
        &mut self,
        failure: &HttpFailure,
        question: &Value,
    ) -> Option<&'static str> {
        if !failure.is_about_the_request() {
            return None;
        }
        let is_sent = |name: &&str| question.get(*name).is_some() && !self.left_out.contains(*name);
        let mut sent = OPTIONAL.into_iter().filter(is_sent);
        let named = sent.clone().find(|name| names(&failure.body, name));
        let name = named.or_else(|| sent.next().filter(|&name| name == OPTIONAL[0]))?;
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
