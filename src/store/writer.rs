//! Writing results, fenced.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use futures::future::try_join_all;
use redis::cluster_routing::Slot;
use redis::{Arg, Cmd};

use super::{META_FIELD, Meta, StoreError};
use crate::connection::{BatchScript, Redis};
use crate::journey::{Journey, NameSource};
use crate::keys::UserKeys;
use crate::run::Epoch;

static WRITE_NAMES: LazyLock<BatchScript> =
    LazyLock::new(|| BatchScript::new(include_str!("write_names.lua")));

/// Results that one transaction writes, but for a user who alone has more. It costs the server as much
/// as writing a user or two, which many users share; and while it writes them, half a millisecond,
/// nobody else is served.
const BYTES_PER_TRANSACTION: usize = 256 * 1024;

/// About what a journey takes, for which there is room at once.
const BYTES_PER_JOURNEY: usize = 1024;

/// The new results of one user.
#[derive(Clone, Debug)]
pub struct UserResult<'a> {
    /// The user.
    pub user: &'a str,
    /// Where the results come from; `revision` is the new one.
    pub meta: Meta,
    /// The journeys, possibly none.
    pub journeys: Cow<'a, [Journey]>,
    /// Whether what stands there is of no form that this version knows, and is to be replaced.
    pub replaces_foreign: bool,
}

/// A name for a journey as it was read.
#[derive(Clone, Copy, Debug)]
pub struct NewName<'a> {
    /// The journey as it stood.
    pub journey: &'a Journey,
    /// Its name from now on.
    pub name: &'a str,
    /// Where that comes from.
    pub source: NameSource,
}

impl NewName<'_> {
    /// The journey with its name.
    fn after(&self) -> Journey {
        Journey {
            name: self.name.to_owned(),
            name_source: self.source,
            ..self.journey.clone()
        }
    }
}

/// What became of a user's results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// They are there.
    Written,
    /// A newer run or a later attempt had written already; nothing was changed.
    Stale,
    /// Somebody wrote since the results were read; nothing was changed, read again.
    Changed,
}

/// Writes results. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JourneyWriter {
    redis: Redis,
}

impl JourneyWriter {
    /// A writer over a connection.
    pub fn new(redis: &Redis) -> JourneyWriter {
        JourneyWriter {
            redis: redis.clone(),
        }
    }

    /// Replaces the results of some users in one round trip; each user's atomically. A call that is
    /// made twice finds that somebody wrote, which callers are prepared for.
    ///
    /// # Errors
    /// When Redis fails. Some of the users may have been written; writing all again is safe.
    pub async fn write(
        &self,
        results: &[UserResult<'_>],
        ttl: Option<Duration>,
    ) -> Result<Vec<Written>, StoreError> {
        let batches = self.batches(results, ttl);
        let transactions = batches.into_iter().map(|batch| self.replace(batch));
        let mut written = vec![Written::Changed; results.len()];
        for (at, reply) in try_join_all(transactions).await?.into_iter().flatten() {
            written[at] = reply;
        }
        Ok(written)
    }

    /// What is written, divided into what is written together: of users of one slot, and of some bytes.
    fn batches(&self, results: &[UserResult<'_>], ttl: Option<Duration>) -> Vec<Vec<Row>> {
        let mut full = Vec::new();
        let mut open: HashMap<Option<Slot>, (usize, Vec<Row>)> = HashMap::new();
        let mut json = Vec::new();
        for (at, result) in results.iter().enumerate() {
            let row = Row::new(
                at,
                result,
                self.redis.keys().of_user(result.user),
                ttl,
                &mut json,
            );
            let slot = self.redis.slot(&row.keys.names);
            let row_bytes = row.bytes();
            let (bytes, rows) = open.entry(slot).or_default();
            if !rows.is_empty() && *bytes + row_bytes > BYTES_PER_TRANSACTION {
                full.push(std::mem::take(rows));
                *bytes = 0;
            }
            *bytes += row_bytes;
            rows.push(row);
        }
        full.extend(open.into_values().map(|(_, rows)| rows));
        full
    }

    /// Replaces results of one slot in one transaction. Returns what became of each, and its position.
    ///
    /// A script is what can judge and write in one go, but whatever goes through Lua is hashed and
    /// copied twice, which costs the server half as much as writing it. So commands write the new
    /// results beside the old ones, and the script, which sees keys and numbers only, puts them in
    /// their place.
    async fn replace(&self, rows: Vec<Row>) -> Result<Vec<(usize, Written)>, StoreError> {
        // Left over where the script has failed.
        let mut tidy = redis::cmd("DEL");
        let mut publish = redis::cmd("EVAL");
        publish.arg(include_str!("publish.lua"));
        publish.arg(rows.len() * UserKeys::COUNT);
        for Row { keys, .. } in &rows {
            tidy.arg(&keys.new_names).arg(&keys.new_journeys);
            publish.arg(&keys.all());
        }
        let mut transaction = redis::pipe();
        transaction.atomic();
        transaction.add_command(tidy).ignore();
        let mut places = Vec::with_capacity(rows.len());
        for row in rows {
            places.push(row.at);
            publish.arg(row.epoch).arg(row.attempt).arg(&row.read);
            for command in row.commands {
                transaction.add_command(command).ignore();
            }
        }
        transaction.add_command(publish);
        let mut connection = self.redis.commands();
        let (replies,): (Vec<String>,) = transaction.query_async(&mut connection).await?;
        let written = |reply: String| match reply.as_str() {
            "written" => Written::Written,
            "stale" => Written::Stale,
            _ => Written::Changed,
        };
        Ok(places
            .into_iter()
            .zip(replies.into_iter().map(written))
            .collect())
    }

    /// Names journeys of some users in one round trip. `epoch` is that of the results as they were
    /// read. Returns how many names of each user were written; the others' journeys have changed
    /// or were named by somebody else.
    ///
    /// # Errors
    /// When Redis fails; writing again is safe.
    pub async fn write_names(
        &self,
        users: &[(&str, Epoch, Vec<NewName<'_>>)],
    ) -> Result<Vec<u64>, StoreError> {
        let mut calls = Vec::with_capacity(users.len());
        for (user, epoch, names) in users {
            let keys = self.redis.keys();
            let mut call = WRITE_NAMES.call(&[&keys.names(user), &keys.journeys(user)]);
            call.arg(epoch.0);
            for name in names {
                let before = name.journey;
                call.arg(&before.id)
                    .arg(&before.signature)
                    .arg(before.name_source.as_str());
                call.arg(name.name).arg(json(&name.after()));
            }
            calls.push(call);
        }
        Ok(WRITE_NAMES.query(&self.redis, calls).await?)
    }
}

/// What is written of one user.
struct Row {
    /// Position among the results.
    at: usize,
    keys: UserKeys,
    epoch: u64,
    attempt: u32,
    /// The revision that was read, or that it was not to be read.
    read: String,
    /// What makes the new hashes.
    commands: Vec<Cmd>,
}

impl Row {
    /// `json` is scratch.
    fn new(
        at: usize,
        result: &UserResult<'_>,
        keys: UserKeys,
        ttl: Option<Duration>,
        json: &mut Vec<u8>,
    ) -> Row {
        let UserResult {
            meta,
            journeys,
            replaces_foreign,
            ..
        } = result;
        let mut commands = Vec::new();
        let mut add = |command: Cmd, key: &str| {
            commands.push(command);
            if let Some(ttl) = ttl {
                let mut expire = redis::cmd("EXPIRE");
                // Moves with the key.
                expire.arg(key).arg(ttl.as_secs().max(1));
                commands.push(expire);
            }
        };
        if !journeys.is_empty() {
            let mut names = redis::cmd("HSET");
            names.arg(&keys.new_names);
            for journey in journeys.iter() {
                names.arg(&journey.id).arg(&journey.name);
            }
            add(names, &keys.new_names);
        }
        let mut hash = Cmd::with_capacity(
            2 * journeys.len() + 4,
            BYTES_PER_JOURNEY * (journeys.len() + 1),
        );
        hash.arg("HSET").arg(&keys.new_journeys);
        hash.arg(META_FIELD).arg(write_json(meta, json));
        for journey in journeys.iter() {
            hash.arg(&journey.id).arg(write_json(journey, json));
        }
        add(hash, &keys.new_journeys);
        Row {
            at,
            keys,
            epoch: meta.epoch.0,
            attempt: meta.attempt,
            read: match replaces_foreign {
                true => "foreign".into(),
                false => meta.revision.saturating_sub(1).to_string(),
            },
            commands,
        }
    }

    fn bytes(&self) -> usize {
        let arguments = self.commands.iter().flat_map(Cmd::args_iter);
        let bytes = arguments.map(|argument| match argument {
            Arg::Simple(bytes) => bytes.len(),
            _ => 0,
        });
        bytes.sum()
    }
}

/// Results are plain data; serialising them cannot fail.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The same in memory that is used again.
fn write_json<'a, T: serde::Serialize>(value: &T, json: &'a mut Vec<u8>) -> &'a [u8] {
    json.clear();
    let _ = serde_json::to_writer(&mut *json, value);
    json
}
