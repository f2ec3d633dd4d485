//! Writing results, fenced.

use std::sync::LazyLock;
use std::time::Duration;

use super::{Meta, StoreError};
use crate::connection::{BatchScript, Redis};
use crate::journey::{Journey, NameSource};
use crate::run::Epoch;

static WRITE_JOURNEYS: LazyLock<BatchScript> =
    LazyLock::new(|| BatchScript::new(include_str!("write_journeys.lua")));
static WRITE_NAMES: LazyLock<BatchScript> =
    LazyLock::new(|| BatchScript::new(include_str!("write_names.lua")));

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
        let ttl = ttl.map_or(0, |ttl| ttl.as_secs().max(1));
        let mut calls = Vec::with_capacity(results.len());
        for result in results {
            let Meta {
                epoch,
                attempt,
                revision,
                ..
            } = result.meta;
            let keys = self.redis.keys();
            let (names, journeys) = (keys.names(&result.user), keys.journeys(&result.user));
            let mut call = WRITE_JOURNEYS.call(&[&names, &journeys]);
            call.arg(epoch.0).arg(attempt);
            if result.replaces_foreign {
                call.arg("foreign");
            } else {
                call.arg(revision.saturating_sub(1));
            }
            call.arg(ttl);
            call.arg(json(&result.meta));
            for journey in &result.journeys {
                call.arg(&journey.id).arg(&journey.name).arg(json(journey));
            }
            calls.push(call);
        }
        let replies: Vec<String> = WRITE_JOURNEYS.query(&self.redis, calls).await?;
        let written = |reply: String| match reply.as_str() {
            "written" => Written::Written,
            "stale" => Written::Stale,
            _ => Written::Changed,
        };
        Ok(replies.into_iter().map(written).collect())
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

/// Results are plain data; serialising them cannot fail.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
