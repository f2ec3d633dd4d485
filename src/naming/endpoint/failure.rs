//! What it means when an endpoint does not answer a question.

use std::time::Duration;

use reqwest::StatusCode;

/// How endpoints say that there is no money left. They say it with 429, but waiting does not help.
const OUT_OF_MONEY: &str = "insufficient_quota";

/// How endpoints say that it is this question that they do not answer: it is too long, or a filter
/// dislikes somebody's title. Others they would answer.
const DECLINED: &[&str] = &[
    "content_filter",
    "content_policy",
    "ResponsibleAIPolicyViolation",
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
    #[error("the model endpoint refused the call with {status}: {body}; {remedy}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// Beginning of the answer.
        body: String,
        /// What the operator can do.
        remedy: &'static str,
    },
}

impl LlmError {
    /// Whether asking again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, LlmError::Busy { .. } | LlmError::Unreadable { .. })
    }

    /// Whether it is a refusal of what was asked, and not of who asked: another question may be
    /// answered.
    pub(in crate::naming) fn may_be_about_the_question(&self) -> bool {
        matches!(self, LlmError::Refused { status, .. } if is_about_the_request(*status))
    }
}

/// Whether it is what was sent that the endpoint dislikes, rather than who sent it or where to.
fn is_about_the_request(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
    )
}

/// An answer other than 2xx.
pub(super) struct HttpFailure {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// The whole text, up to the limit of answers.
    pub body: String,
}

/// What a failure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Later.
    Busy,
    /// Not this question.
    Declined,
    /// Nothing, or nothing in this form.
    Refused,
}

impl HttpFailure {
    /// What it says. `form_is_known`: the endpoint has answered a question of the same form before,
    /// so that what is wrong with this one must be its content.
    pub(super) fn meaning(&self, form_is_known: bool) -> Meaning {
        let HttpFailure { status, body, .. } = self;
        let is_busy = status.is_server_error()
            || matches!(
                *status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
            );
        let says_so = || DECLINED.iter().any(|sign| body.contains(sign));
        let is_about_the_question = *status == StatusCode::PAYLOAD_TOO_LARGE
            || (self.is_about_the_request() && (form_is_known || says_so()));
        match () {
            () if body.contains(OUT_OF_MONEY) => Meaning::Refused,
            () if is_busy => Meaning::Busy,
            () if is_about_the_question => Meaning::Declined,
            () => Meaning::Refused,
        }
    }

    /// Whether it is what was sent that the endpoint dislikes.
    pub(super) fn is_about_the_request(&self) -> bool {
        is_about_the_request(self.status)
    }

    /// What the operator can do about a refusal.
    pub(super) fn remedy(&self) -> &'static str {
        match self.status {
            _ if self.body.contains(OUT_OF_MONEY) => "the account is empty: add credit to it",
            StatusCode::PAYMENT_REQUIRED => "the account is empty: add credit to it",
            StatusCode::UNAUTHORIZED => {
                "check the key in SOJOURN_LLM_API_KEY or --llm-api-key-file"
            }
            StatusCode::FORBIDDEN => {
                "check what the key in SOJOURN_LLM_API_KEY or --llm-api-key-file may do"
            }
            StatusCode::NOT_FOUND => "check --endpoint and --model",
            status if status.is_redirection() => {
                "the endpoint is elsewhere: put its new URL into --endpoint"
            }
            _ => "check that --endpoint speaks the chat-completions form and has --model",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: StatusCode, body: &str) -> HttpFailure {
        HttpFailure {
            status,
            retry_after: None,
            body: body.into(),
        }
    }

    #[test]
    fn no_money_is_not_waited_for_however_late_the_answer_says_so() {
        let body = format!("{}insufficient_quota", " ".repeat(1000));
        let empty = failure(StatusCode::TOO_MANY_REQUESTS, &body);
        assert_eq!(empty.meaning(true), Meaning::Refused);
        let slow = failure(StatusCode::TOO_MANY_REQUESTS, "slow down");
        assert_eq!(slow.meaning(true), Meaning::Busy);
    }

    #[test]
    fn a_question_that_a_filter_dislikes_says_nothing_about_others() {
        let body = r#"{"error":{"code":"content_filter"}}"#;
        for (status, body, meaning) in [
            (StatusCode::BAD_REQUEST, body, Meaning::Declined),
            (StatusCode::PAYLOAD_TOO_LARGE, "", Meaning::Declined),
            (StatusCode::BAD_REQUEST, "no model", Meaning::Refused),
            (StatusCode::UNAUTHORIZED, body, Meaning::Refused),
        ] {
            assert_eq!(failure(status, body).meaning(false), meaning, "{status}");
        }
    }

    #[test]
    fn a_form_that_was_answered_before_is_not_what_a_refusal_is_about() {
        for status in [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY] {
            let refusal = failure(status, "no");
            assert_eq!(refusal.meaning(false), Meaning::Refused);
            assert_eq!(refusal.meaning(true), Meaning::Declined);
        }
        let unknown_key = failure(StatusCode::UNAUTHORIZED, "no");
        assert_eq!(unknown_key.meaning(true), Meaning::Refused);
    }
}
