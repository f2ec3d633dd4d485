//! Writing results, fenced.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use futures::future::try_join_all;
use redis::cluster_routing::Slot;

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

/// The new results of one user.
#[derive(Clone, Debug)]
pub struct UserResult {
    /// The user.
    pub user: String,
    /// Where the results come from; `revision` is the new one.
    pub meta: Meta,
    /// The journeys, possibly none.
    pub journeys: Vec<Journey>,
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
        results: &[UserResult],
        ttl: Option<Duration>,
    ) -> Result<Vec<Written>, StoreError> {
        let rows: Vec<Row<'_>> = results.iter().map(|result| self.row(result)).collect();
        let batches = self.batches(&rows);
        let transactions = batches
            .iter()
            .map(|batch| self.replace(batch.iter().map(|&at| &rows[at]).collect(), ttl));
        let replies = try_join_all(transactions).await?;
        let mut written = vec![Written::Changed; results.len()];
        for (at, reply) in batches
            .into_iter()
            .flatten()
            .zip(replies.into_iter().flatten())
        {
            written[at] = reply;
        }
        Ok(written)
    }

    /// Replaces results of one slot in one transaction.
    ///
    /// A script is what can judge and write in one go, but all that goes through Lua is hashed and
    /// copied twice, which costs the server as much as writing it. So the scripts see keys and numbers
    /// only: the first judges, the commands after it write what it has made room for, and the last puts
    /// back what was to stay. Both are sent as text: one that the server has forgotten would fail within
    /// the transaction, and that would go on without its fence.
    async fn replace(
        &self,
        rows: Vec<&Row<'_>>,
        ttl: Option<Duration>,
    ) -> Result<Vec<Written>, StoreError> {
        let mut transaction = redis::pipe();
        transaction.atomic();
        let script = |text: &str| {
            let mut call = redis::cmd("EVAL");
            call.arg(text).arg(rows.len() * UserKeys::COUNT);
            for row in &rows {
                call.arg(&row.keys.all());
            }
            call
        };
        let mut fence = script(include_str!("fence.lua"));
        for row in &rows {
            fence.arg(row.epoch).arg(row.attempt).arg(&row.read);
        }
        transaction.add_command(fence);
        for row in &rows {
            for (key, hash) in [
                (&row.keys.names, &row.names),
                (&row.keys.journeys, &row.journeys),
            ] {
                if hash.is_empty() {
                    continue;
                }
                transaction.hset_multiple(key, hash).ignore();
                if let Some(ttl) = ttl {
                    transaction
                        .expire(key, ttl.as_secs().max(1) as i64)
                        .ignore();
                }
            }
        }
        transaction
            .add_command(script(include_str!("put_back.lua")))
            .ignore();
        let mut connection = self.redis.commands();
        let (replies,): (Vec<String>,) = transaction.query_async(&mut connection).await?;
        let written = |reply: String| match reply.as_str() {
            "written" => Written::Written,
            "stale" => Written::Stale,
            _ => Written::Changed,
        };
        Ok(replies.into_iter().map(written).collect())
    }

    fn row<'a>(&self, result: &'a UserResult) -> Row<'a> {
        let UserResult {
            user,
            meta,
            journeys,
            replaces_foreign,
        } = result;
        let meta_field = std::iter::once((META_FIELD, json(meta).into()));
        let journey_field = |journey: &'a Journey| (journey.id.as_str(), json(journey).into());
        Row {
            keys: self.redis.keys().of_user(user),
            epoch: meta.epoch.0,
            attempt: meta.attempt,
            read: match replaces_foreign {
                true => "foreign".into(),
                false => meta.revision.saturating_sub(1).to_string(),
            },
            names: journeys
                .iter()
                .map(|journey| (journey.id.as_str(), journey.name.as_str().into()))
                .collect(),
            journeys: meta_field
                .chain(journeys.iter().map(journey_field))
                .collect(),
        }
    }

    /// Positions of the users that are written together: of one slot, and of some bytes.
    fn batches(&self, rows: &[Row<'_>]) -> Vec<Vec<usize>> {
        let mut full = Vec::new();
        // In the order in which they are begun, so that equal calls are equal commands.
        let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut place: HashMap<Option<Slot>, usize> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            let slot = self.redis.slot(&row.keys.names);
            let place = *place.entry(slot).or_insert_with(|| {
                open.push((0, Vec::new()));
                open.len() - 1
            });
            let (bytes, users) = &mut open[place];
            if !users.is_empty() && *bytes + row.bytes() > BYTES_PER_TRANSACTION {
                full.push(std::mem::take(users));
                *bytes = 0;
            }
            *bytes += row.bytes();
            users.push(at);
        }
        full.extend(open.into_iter().map(|(_, users)| users));
        full
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
struct Row<'a> {
    keys: UserKeys,
    epoch: u64,
    attempt: u32,
    /// The revision that was read, or that it was not to be read.
    read: String,
    /// The fields of both hashes.
    names: Vec<(&'a str, Cow<'a, str>)>,
    journeys: Vec<(&'a str, Cow<'a, str>)>,
}

impl Row<'_> {
    fn bytes(&self) -> usize {
        let names = self.names.iter().map(|(id, name)| id.len() + name.len());
        let journeys = self.journeys.iter().map(|(id, json)| id.len() + json.len());
        names.chain(journeys).sum()
    }
}

/// Results are plain data; serialising them cannot fail.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
