//! What a dead letter says, for people and for machines.

use jiff::Timestamp;
use serde_json::{Value, json};
use sojourn::job::{ExtractJob, NameJob, Selection};
use sojourn::queue::{Kind, Letter, decode};

/// Users that a summary names.
const USERS_SHOWN: usize = 3;

pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

pub(super) fn when(letter: &Letter) -> Timestamp {
    let millis = i64::try_from(letter.id.buried_ms()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

/// What a dead job asks for.
pub(super) enum Payload {
    Extract(ExtractJob),
    Name(NameJob),
    /// Why this build cannot tell.
    Unreadable(String),
}

pub(super) fn payload(letter: &Letter) -> Payload {
    let Some(bytes) = &letter.payload else {
        return Payload::Unreadable("there is no payload".into());
    };
    let read = match letter.id.kind {
        Kind::Extract => decode(bytes).map(Payload::Extract),
        Kind::Name => decode(bytes).map(Payload::Name),
    };
    read.unwrap_or_else(|error| Payload::Unreadable(error.to_string()))
}

/// What a dead job asks for, in a line.
pub(super) fn about(letter: &Letter) -> String {
    match payload(letter) {
        Payload::Extract(job) => {
            let users = match &job.selection {
                Selection::All => "all users".into(),
                Selection::ActiveSince(since) => {
                    let since = Timestamp::from_millisecond(*since).unwrap_or_default();
                    format!("users active since {since}")
                }
                Selection::Users(users) => named(users.iter().map(String::as_str)),
            };
            format!("shard {} of {}, {users}", job.shard, job.dataset)
        }
        Payload::Name(job) => {
            let journeys = job.users.iter().map(|user| u64::from(user.journeys)).sum();
            let users = named(job.users.iter().map(|user| user.user.as_str()));
            format!("{} of {users}", counted(journeys, "journey"))
        }
        Payload::Unreadable(why) => why,
    }
}

/// How many users, and the first of them.
pub(super) fn named<'a>(users: impl ExactSizeIterator<Item = &'a str>) -> String {
    let number = users.len();
    let first: Vec<&str> = users.take(USERS_SHOWN).collect();
    let more = if number > first.len() { ", ..." } else { "" };
    format!(
        "{} ({}{more})",
        counted(number as u64, "user"),
        first.join(", ")
    )
}

/// A letter for machines, without lists of users.
pub(super) fn summary(letter: &Letter) -> Value {
    let mut value = json!({
        "id": letter.id.to_string(),
        "kind": letter.id.kind.to_string(),
        "when": when(letter),
        "error": letter.error,
        "run": letter.run,
        "job": letter.job,
        "lane": letter.lane,
        "worker": letter.worker,
        "attempts": letter.attempts,
        "failures": letter.failures,
        "crashes": letter.crashes,
        "about": about(letter),
    });
    let (name, part) = match payload(letter) {
        Payload::Extract(job) => {
            let users = match &job.selection {
                Selection::Users(users) => Some(users.len()),
                Selection::All | Selection::ActiveSince(_) => None,
            };
            let (dataset, shard) = (job.dataset, job.shard);
            (
                "payload",
                json!({"dataset": dataset, "shard": shard, "users": users}),
            )
        }
        Payload::Name(job) => {
            let journeys: u64 = job.users.iter().map(|user| u64::from(user.journeys)).sum();
            (
                "payload",
                json!({"users": job.users.len(), "journeys": journeys}),
            )
        }
        Payload::Unreadable(why) => ("unreadable", why.into()),
    };
    value[name] = part;
    value
}

/// Everything about a letter, for machines.
pub(super) fn everything(letter: &Letter) -> Value {
    let mut value = summary(letter);
    match payload(letter) {
        Payload::Extract(job) => value["payload"] = json!(job),
        Payload::Name(job) => value["payload"] = json!(job),
        Payload::Unreadable(_) => {}
    }
    let text = |bytes: &Vec<u8>| bytes.escape_ascii().to_string();
    value["fields"] = letter
        .fields
        .iter()
        .map(|(name, value)| json!([text(name), text(value)]))
        .collect();
    value
}
