//! The lines of a batch's files.

use std::collections::HashMap;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::token::QuestionId;
use crate::naming::endpoint::{COMPLETIONS, Completion, Failure, HttpFailure, Reply, Role, Then};
use crate::naming::money::Usage;

/// Longest excerpt of what a line says, in characters.
const MAX_EXCERPT: usize = 200;

/// What became of a question in a batch.
#[derive(Debug)]
pub(super) enum Answered {
    /// It was answered, which took as much as the provider counted.
    Reply(Reply, Option<Usage>),
    /// It is declined.
    Declined { reason: String },
    /// It was not, and may be in another batch.
    Not { reason: String },
    /// And neither will it be in another.
    Refused(Failure),
}

#[derive(Deserialize)]
struct Line {
    custom_id: String,
    response: Option<Response>,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct Response {
    status_code: u16,
    #[serde(default)]
    body: Value,
}

/// A question as a line.
pub(super) fn line(id: QuestionId, question: &Value) -> String {
    let line = json!({
        "custom_id": id.to_string(),
        "method": "POST",
        "url": format!("/v1{COMPLETIONS}"),
        "body": question,
    });
    format!("{line}\n")
}

/// Reads what became of questions from the files of a batch. A line that cannot be read answers
/// nothing; a file that does not begin with one that can is not that of a batch, but what stands
/// before the provider has said instead. A file without lines answers nothing: some providers have
/// one where others have none.
pub(super) fn read(files: &[Vec<u8>]) -> Result<HashMap<QuestionId, Answered>, String> {
    for file in files.iter().filter(|file| !file.trim_ascii().is_empty()) {
        let first = file.split(|&byte| byte == b'\n').next().unwrap_or_default();
        if let Err(error) = serde_json::from_slice::<Line>(first) {
            let begin = String::from_utf8_lossy(&first[..first.len().min(MAX_EXCERPT)]);
            return Err(format!("{error}: {begin}"));
        }
    }
    let lines = files
        .iter()
        .flat_map(|file| file.split(|&byte| byte == b'\n'));
    let lines = lines.filter_map(|line| {
        let line: Line = serde_json::from_slice(line).ok()?;
        Some((QuestionId::parse(&line.custom_id)?, line))
    });
    let lines: Vec<(QuestionId, Line)> = lines.collect();
    // Where others are answered, it is not the form that a refusal is about.
    let form_is_known = lines.iter().any(|(_, line)| line.is_answered());
    let answered = lines.into_iter();
    Ok(answered
        .map(|(id, line)| (id, line.answered(form_is_known)))
        .collect())
}

impl Line {
    fn is_answered(&self) -> bool {
        let response = self.response.as_ref();
        response.is_some_and(|response| response.status_code == 200)
    }

    fn answered(self, form_is_known: bool) -> Answered {
        let Some(response) = self.response else {
            let reason = excerpt(&self.error);
            return Answered::Not { reason };
        };
        let status = StatusCode::from_u16(response.status_code).unwrap_or_default();
        let said = excerpt(&response.body);
        if status.is_success() {
            return match serde_json::from_value::<Completion>(response.body) {
                Ok(completion) => {
                    let usage = completion.usage();
                    Answered::Reply(completion.into(), usage)
                }
                Err(error) => Answered::Not {
                    reason: format!("{error}: {said}"),
                },
            };
        }
        let failure = HttpFailure {
            status,
            retry_after: None,
            body: response.body.to_string(),
        };
        let failure = failure.explained(form_is_known, &said, Role::First);
        let reason = failure.reason.clone();
        match failure.class.policy().then {
            Then::Split | Then::Isolate => Answered::Declined { reason },
            Then::PutOff | Then::Fail => Answered::Not { reason },
            Then::Elsewhere => Answered::Refused(failure),
        }
    }
}

fn excerpt(value: &Value) -> String {
    value.to_string().chars().take(MAX_EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(lines: &[Value]) -> Vec<(u8, &'static str)> {
        let file: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut read: Vec<_> = read(&[file.into()])
            .unwrap()
            .into_iter()
            .map(|(id, answered)| {
                let id = id.to_string()[31..].parse().unwrap();
                let what = match answered {
                    Answered::Reply(..) => "answer",
                    Answered::Declined { .. } => "declined",
                    Answered::Not { .. } => "not",
                    Answered::Refused(_) => "refused",
                };
                (id, what)
            })
            .collect();
        read.sort_unstable();
        read
    }

    fn line(id: u8, status: u16, body: Value) -> Value {
        json!({"custom_id": id.to_string(), "response": {"status_code": status, "body": body}})
    }

    #[test]
    fn each_line_says_what_became_of_its_own_question() {
        let lines = [
            line(1, 200, json!({"choices": [{"message": {"content": "x"}}]})),
            line(2, 200, json!("x")),
            line(3, 400, json!({"error": {"code": "content_filter"}})),
            line(4, 400, json!({"error": {"code": "who knows"}})),
            line(5, 429, json!({"error": {"code": "rate_limit_exceeded"}})),
            line(6, 500, Value::Null),
            line(7, 429, json!({"error": {"code": "insufficient_quota"}})),
            json!({"custom_id": "8", "response": null, "error": {"code": "batch_expired"}}),
            json!({"custom_id": "not one of ours", "response": null}),
            json!("no line"),
        ];
        let expected = [
            (1, "answer"),
            (2, "not"),
            (3, "declined"),
            (4, "declined"),
            (5, "not"),
            (6, "not"),
            (7, "refused"),
            (8, "not"),
        ];
        assert_eq!(answered(&lines), expected);
    }

    #[test]
    fn what_is_no_file_of_a_batch_says_nothing() {
        for file in ["<html>a proxy</html>", "{}"] {
            assert!(read(&[file.into()]).is_err(), "{file}");
        }
    }

    #[test]
    fn a_file_without_lines_answers_nothing() {
        assert!(read(&[]).unwrap().is_empty());
        assert!(read(&["".into(), "\n".into()]).unwrap().is_empty());
    }

    #[test]
    fn a_form_in_which_nothing_is_answered_is_not_the_fault_of_a_question() {
        let lines = [line(
            1,
            400,
            json!({"error": {"message": "no such parameter"}}),
        )];
        assert_eq!(answered(&lines), [(1, "refused")]);
    }
}
