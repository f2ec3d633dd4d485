//! In what ways a question is not answered, and what is done about each: one table, which
//! docs/naming.md repeats.

/// In what way a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::naming) enum Class {
    /// It was not asked: there is no room within the limits, or no money, or the endpoint wants to be
    /// left alone.
    HeldBack,
    /// 429, 408 or 425 that says when to come back.
    AskedToWait,
    /// 429 that does not say when.
    RateLimited,
    /// 5xx, which does not work though it may say when to come back; 408 or 425 that does not.
    ServerError,
    /// No connection.
    Unreachable,
    /// No answer, or not all of it, in the time that a call may take.
    Timeout,
    /// The connection ended before the answer did.
    CutOff,
    /// 2xx with what is no chat completion, or with too much.
    Unreadable,
    /// The answer reached its limit of tokens.
    Truncated,
    /// The question is longer than the model's context, or than the endpoint takes.
    TooLong,
    /// A filter dislikes what is in the question, or in the answer.
    Filtered,
    /// It failed while a harmless question is answered: it is this question. 400 or 422 in a form in
    /// which others were answered, until that is found out.
    Declined,
    /// 400 or 422, and no question is answered in any form.
    Form,
    /// The account is empty. Endpoints say it with 429, and waiting does not help.
    OutOfMoney,
    /// 401: the key is not known.
    Unauthorized,
    /// 403, also to a harmless question: the key may not do this. To one with titles in it may be
    /// said by whatever stands before the endpoint and dislikes a title.
    Forbidden,
    /// There is no such model, or the endpoint is elsewhere.
    Misplaced,
}

/// What is done about a class of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::naming) struct Policy {
    /// How often a question is asked that fails in this way, the first time included; no more than
    /// the retry budget allows.
    pub attempts: u32,
    /// What it says of the endpoint.
    pub health: Health,
    /// What follows when there are no attempts left.
    pub then: Then,
}

/// What a failure says of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::naming) enum Health {
    /// Nothing.
    Unknown,
    /// It works.
    Well,
    /// It does not; several such failures open its circuit breaker.
    Ill,
    /// It refuses whatever is asked; its breaker opens at once.
    Refuses,
}

/// What becomes of a question that has no attempts left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::naming) enum Then {
    /// The job waits, which is no failure of the job.
    PutOff,
    /// The attempt at the job has failed.
    Fail,
    /// Its journeys are asked about by halves, since less fits.
    Split,
    /// Its journeys are asked about by halves, until the one that is disliked stands alone.
    Isolate,
    /// The fallback is asked; where there is none that answers, the process ends.
    Elsewhere,
}

impl Class {
    /// What is done about it.
    pub(in crate::naming) const fn policy(self) -> Policy {
        let (attempts, health, then) = match self {
            Class::HeldBack => (1, Health::Unknown, Then::PutOff),
            // It is up to the limits, and not to the endpoint: that one works.
            Class::AskedToWait | Class::RateLimited => (4, Health::Well, Then::PutOff),
            Class::ServerError | Class::Unreachable | Class::CutOff => {
                (4, Health::Ill, Then::PutOff)
            }
            // Each attempt takes minutes, and may be paid for though nobody hears the answer.
            Class::Timeout => (2, Health::Ill, Then::PutOff),
            // A proxy that is being deployed goes away; a server that is no model does not, so the
            // job must not wait for ever.
            Class::Unreadable => (4, Health::Ill, Then::Fail),
            Class::Truncated | Class::TooLong => (1, Health::Well, Then::Split),
            // A filter says the same each time.
            Class::Filtered | Class::Declined => (1, Health::Well, Then::Isolate),
            Class::Form
            | Class::OutOfMoney
            | Class::Unauthorized
            | Class::Forbidden
            | Class::Misplaced => (1, Health::Refuses, Then::Elsewhere),
        };
        Policy {
            attempts,
            health,
            then,
        }
    }

    /// Whether a question that fails so, however often it is asked, may be what is wrong: the
    /// endpoint has it, and does not survive it.
    pub(super) fn may_be_the_question(self) -> bool {
        matches!(
            self,
            Class::ServerError | Class::Timeout | Class::CutOff | Class::Unreadable
        )
    }

    /// What the reason says for which a model ended its answer, if it is not that it was done.
    pub(super) fn of_finish_reason(reason: &str) -> Option<Class> {
        match reason {
            "length" => Some(Class::Truncated),
            "content_filter" => Some(Class::Filtered),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the table of the document calls them.
    const NAMES: [(Class, &str); 17] = [
        (Class::HeldBack, "held back"),
        (Class::AskedToWait, "asked to wait"),
        (Class::RateLimited, "rate limited"),
        (Class::ServerError, "server error"),
        (Class::Unreachable, "unreachable"),
        (Class::Timeout, "timeout"),
        (Class::CutOff, "cut off"),
        (Class::Unreadable, "unreadable"),
        (Class::Truncated, "truncated"),
        (Class::TooLong, "too long"),
        (Class::Filtered, "filtered"),
        (Class::Declined, "declined"),
        (Class::Form, "form"),
        (Class::OutOfMoney, "out of money"),
        (Class::Unauthorized, "unauthorized"),
        (Class::Forbidden, "forbidden"),
        (Class::Misplaced, "misplaced"),
    ];

    #[test]
    fn the_document_has_the_same_table() {
        let document = include_str!("../../../docs/naming.md");
        for (class, name) in NAMES {
            let policy = class.policy();
            let health = match policy.health {
                Health::Unknown | Health::Well => "no",
                Health::Ill => "yes",
                Health::Refuses => "at once",
            };
            let then = match policy.then {
                Then::PutOff => "the job waits",
                Then::Fail => "the attempt has failed",
                Then::Split => "split",
                Then::Isolate => "isolated",
                Then::Elsewhere => "the fallback, or the process ends",
            };
            let begins = format!("| {name} | ");
            let ends = format!(" | {} | {health} | {then} |", policy.attempts);
            let mut lines = document.lines();
            assert!(
                lines.any(|line| line.starts_with(&begins) && line.ends_with(&ends)),
                "docs/naming.md has no line {begins}…{ends}"
            );
        }
    }
}
