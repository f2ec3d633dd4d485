//! What it means when an endpoint does not answer a question.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::class::{Class, Then};
use super::options::Role;
use crate::naming::limits::{Denied, Spent};

/// How endpoints say that there is no money left.
const OUT_OF_MONEY: &str = "insufficient_quota";

/// How endpoints say that a filter dislikes somebody's title.
const FILTERED: &[&str] = &[
    "content_filter",
    "content_policy",
    "ResponsibleAIPolicyViolation",
];

/// How endpoints say that a question does not fit the model's context.
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
];

/// Why a model could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LlmError {
    /// The endpoint is not a URL.
    #[error("{option} {endpoint:?} is not a URL ({reason}); it looks like https://host/v1")]
    InvalidEndpoint {
        /// The option that names it.
        option: &'static str,
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key cannot be sent.
    #[error(
        "the key of the model endpoint holds line breaks or other characters that cannot be sent"
    )]
    InvalidKey,
    /// Busy, away, or cut off: later may go better, and it is nobody's fault.
    #[error("the model endpoint is busy or away: {reason}")]
    Busy {
        /// What happened.
        reason: String,
        /// When the endpoint asked to be called again.
        retry_after: Option<Duration>,
    },
    /// Something answered, but not as a model does: a proxy perhaps, which goes away, or a server
    /// that is no model endpoint at all, which does not.
    #[error("the model endpoint answered what is no chat completion: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// The endpoint refuses whatever is asked: the key, the account, the model or the form.
    #[error("the model endpoint refused the call with {reason}; {remedy}")]
    Refused {
        /// Status and beginning of the answer.
        reason: String,
        /// What the operator can do.
        remedy: String,
    },
    /// A question about a single journey is over a limit all by itself. Nothing was sent.
    #[error("no journey can be asked about: {reason}")]
    OverLimit {
        /// What it takes, and of which options.
        reason: String,
    },
    /// The call could cost more than the run, or the day, has left. Nothing was sent.
    #[error("{}, so the model is not asked", Denied::OverBudget { of: *of })]
    OverBudget {
        /// Whose money is spent.
        of: Spent,
    },
    /// The run has a budget, and nobody can say what calls cost. Nothing was sent.
    #[error("{}", Denied::Unpriced)]
    Unpriced,
}

impl LlmError {
    /// Whether asking again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, LlmError::Busy { .. } | LlmError::Unreadable { .. })
    }
}

/// A question that was not answered.
#[derive(Clone, Debug)]
pub(in crate::naming) struct Failure {
    pub class: Class,
    /// Status and beginning of the answer, or what became of the connection.
    pub reason: String,
    pub retry_after: Option<Duration>,
    /// What the operator can do where the endpoint refuses whatever is asked.
    pub remedy: Option<String>,
    /// What it was held back by.
    pub denied: Option<Denied>,
    /// It was read from words that may be somebody's title, since endpoints repeat questions.
    pub is_doubtful: bool,
}

impl Failure {
    pub(in crate::naming) fn new(class: Class, reason: String) -> Failure {
        Failure {
            class,
            reason,
            retry_after: None,
            remedy: None,
            denied: None,
            is_doubtful: false,
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Failure {
        let class = match denied {
            // A smaller one may be let through.
            Denied::TooLarge => Class::TooLong,
            _ => Class::HeldBack,
        };
        let retry_after = match denied {
            Denied::Busy { retry_after } => retry_after,
            _ => None,
        };
        Failure {
            retry_after,
            denied: Some(denied),
            ..Failure::new(class, denied.to_string())
        }
    }
}

impl From<Failure> for LlmError {
    fn from(failure: Failure) -> LlmError {
        let Failure {
            class,
            reason,
            retry_after,
            remedy,
            denied,
            is_doubtful: _,
        } = failure;
        match denied {
            Some(Denied::OverBudget { of }) => return LlmError::OverBudget { of },
            Some(Denied::Unpriced) => return LlmError::Unpriced,
            _ => {}
        }
        match class.policy().then {
            Then::Elsewhere => LlmError::Refused {
                reason,
                remedy: remedy.unwrap_or_default(),
            },
            Then::Fail => LlmError::Unreadable { reason },
            Then::PutOff | Then::Split | Then::Isolate => LlmError::Busy {
                reason,
                retry_after,
            },
        }
    }
}

/// An answer other than 2xx.
pub(in crate::naming) struct HttpFailure {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// The whole text, up to the limit of answers.
    pub body: String,
}

/// How sure a reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Certain,
    Doubtful,
}

impl HttpFailure {
    /// What class it is of. `form_is_known`: the endpoint has answered a question of the same form
    /// before, so that what is wrong with this one must be its content.
    pub(super) fn class(&self, form_is_known: bool) -> Class {
        let HttpFailure { status, body, .. } = self;
        let says = |signs: &[&str]| signs.iter().any(|sign| body.contains(sign));
        let is_busy = status.is_server_error()
            || matches!(
                *status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
            );
        if self.is_out_of_money().is_some() {
            return Class::OutOfMoney;
        }
        if is_busy {
            return match (self.retry_after, *status) {
                // Whatever it asks for: it does not work.
                (_, status) if status.is_server_error() => Class::ServerError,
                (Some(_), _) => Class::AskedToWait,
                (None, StatusCode::TOO_MANY_REQUESTS) => Class::RateLimited,
                (None, _) => Class::ServerError,
            };
        }
        match *status {
            StatusCode::PAYLOAD_TOO_LARGE => Class::TooLong,
            StatusCode::UNAUTHORIZED => Class::Unauthorized,
            StatusCode::FORBIDDEN => Class::Forbidden,
            _ if !self.is_about_the_request() => Class::Misplaced,
            _ if says(TOO_LONG) => Class::TooLong,
            _ if says(FILTERED) => Class::Filtered,
            _ if form_is_known => Class::Declined,
            _ => Class::Form,
        }
    }

    /// What it means; `excerpt` is what of it may be shown.
    pub(in crate::naming) fn explained(
        &self,
        form_is_known: bool,
        excerpt: &str,
        role: Role,
    ) -> Failure {
        let class = self.class(form_is_known);
        Failure {
            class,
            reason: format!("{}: {excerpt}", self.status),
            retry_after: self.retry_after,
            remedy: Some(self.remedy(class, role)),
            denied: None,
            is_doubtful: self.is_out_of_money() == Some(Certainty::Doubtful),
        }
    }

    /// Whether it says that the account is empty: by its status, or by the code of its error. Other
    /// words may be those of a title.
    fn is_out_of_money(&self) -> Option<Certainty> {
        let is_limit = self.status == StatusCode::TOO_MANY_REQUESTS;
        if self.status == StatusCode::PAYMENT_REQUIRED {
            return Some(Certainty::Certain);
        }
        let (says, certainty) = match serde_json::from_str::<Value>(&self.body) {
            Ok(body) => {
                let error = &body["error"];
                let codes = [
                    error,
                    &error["code"],
                    &error["type"],
                    &body["code"],
                    &body["type"],
                ];
                let says = codes.iter().any(|code| **code == OUT_OF_MONEY);
                match is_limit {
                    true => (says, Certainty::Certain),
                    false => (says, Certainty::Doubtful),
                }
            }
            Err(_) => {
                let may_say = is_limit || self.status == StatusCode::FORBIDDEN;
                (
                    may_say && self.body.contains(OUT_OF_MONEY),
                    Certainty::Doubtful,
                )
            }
        };
        says.then_some(certainty)
    }

    /// Whether it is what was sent that the endpoint dislikes, rather than who sent it or where to.
    pub(super) fn is_about_the_request(&self) -> bool {
        matches!(
            self.status,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
        )
    }

    /// What the operator can do about a refusal.
    fn remedy(&self, class: Class, role: Role) -> String {
        let names = role.names();
        match (class, self.status) {
            (Class::OutOfMoney, _) => "the account is empty: add credit to it".into(),
            (_, StatusCode::UNAUTHORIZED) => {
                format!("check the key in {} or {}", names.key, names.key_file)
            }
            (_, StatusCode::FORBIDDEN) => format!(
                "check what the key in {} or {} may do",
                names.key, names.key_file
            ),
            (_, StatusCode::NOT_FOUND) => {
                format!("check {} and {}", names.endpoint, names.model)
            }
            (_, status) if status.is_redirection() => format!(
                "the endpoint is elsewhere: put its new URL into {}",
                names.endpoint
            ),
            _ => format!(
                "check that {} speaks the {} form and has {}",
                names.endpoint, names.form, names.model
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> HttpFailure {
        HttpFailure {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            body: body.into(),
        }
    }

    #[test]
    fn a_status_and_what_the_answer_says_tell_the_class() {
        let filter = r#"{"error":{"code":"content_filter"}}"#;
        let overflow = r#"{"error":{"code":"context_length_exceeded"}}"#;
        let empty = r#"{"error":{"type":"insufficient_quota"}}"#;
        let title = r#"{"error":{"message":"no: insufficient_quota"}}"#;
        for (status, body, class) in [
            (429, "slow down", Class::RateLimited),
            (408, "", Class::ServerError),
            (425, "", Class::ServerError),
            (500, "", Class::ServerError),
            (529, "overloaded", Class::ServerError),
            (429, empty, Class::OutOfMoney),
            (400, empty, Class::OutOfMoney),
            (429, "no: insufficient_quota", Class::OutOfMoney),
            (500, "no: insufficient_quota", Class::ServerError),
            (400, "no: insufficient_quota", Class::Form),
            (429, title, Class::RateLimited),
            (400, title, Class::Form),
            (402, "", Class::OutOfMoney),
            (401, filter, Class::Unauthorized),
            (403, "", Class::Forbidden),
            (404, "", Class::Misplaced),
            (301, "", Class::Misplaced),
            (413, "", Class::TooLong),
            (400, overflow, Class::TooLong),
            (400, filter, Class::Filtered),
            (400, "no model", Class::Form),
        ] {
            assert_eq!(failure(status, body).class(false), class, "{status} {body}");
        }
    }

    #[test]
    fn no_money_is_not_waited_for_however_late_the_answer_says_so() {
        let body = format!("{}insufficient_quota", " ".repeat(1000));
        let mut empty = failure(429, &body);
        empty.retry_after = Some(Duration::from_secs(1));
        assert_eq!(empty.class(true), Class::OutOfMoney);
    }

    #[test]
    fn only_the_code_of_an_error_says_for_certain_that_there_is_no_money() {
        let code = r#"{"error":{"code":"insufficient_quota"}}"#;
        for (status, body, is_doubtful) in [
            (402, "", false),
            (429, code, false),
            (403, code, true),
            (429, "insufficient_quota", true),
        ] {
            let failure = failure(status, body).explained(true, "", Role::First);
            assert_eq!(failure.class, Class::OutOfMoney, "{status} {body}");
            assert_eq!(failure.is_doubtful, is_doubtful, "{status} {body}");
        }
    }

    #[test]
    fn whoever_says_when_to_come_back_is_believed_but_one_that_fails_is_ill_all_the_same() {
        for (status, class) in [
            (429, Class::AskedToWait),
            (408, Class::AskedToWait),
            (500, Class::ServerError),
            (503, Class::ServerError),
        ] {
            let mut busy = failure(status, "");
            busy.retry_after = Some(Duration::ZERO);
            assert_eq!(busy.class(false), class, "{status}");
        }
    }

    #[test]
    fn a_form_that_was_answered_before_is_not_what_a_refusal_is_about() {
        for status in [400, 422] {
            let refusal = failure(status, "no");
            assert_eq!(refusal.class(false), Class::Form);
            assert_eq!(refusal.class(true), Class::Declined);
        }
        assert_eq!(failure(401, "no").class(true), Class::Unauthorized);
    }
}
