//! Reading results. Nothing here writes.

use std::collections::{BTreeMap, HashMap};

use super::{META_FIELD, Meta, StoreError};
use crate::connection::{ConnectError, Connection, Redis, RedisOptions};
use crate::journey::Journey;
use crate::keys::Keys;

/// Journey id to name. Empty for a user without journeys.
pub type Names = BTreeMap<String, String>;

/// One user's journeys among those of many: `None` for a user that no run has seen, an error for
/// results that are not of this version.
pub type UserRead = Result<Option<UserJourneys>, StoreError>;

/// All that is known of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct UserJourneys {
    /// Where the results come from.
    pub meta: Meta,
    /// Journeys, strongest first.
    pub journeys: Vec<Journey>,
}

/// Reads journeys and their names. Cheap to clone; one connection serves any number of requests.
#[derive(Clone)]
pub struct JourneyReader {
    connection: Connection,
    keys: Keys,
}

impl JourneyReader {
    /// Connects to `url`, with the default key prefix.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(url: &str) -> Result<JourneyReader, ConnectError> {
        Ok(JourneyReader::new(
            &Redis::connect(&RedisOptions::new(url)).await?,
        ))
    }

    /// A reader over a connection that is there.
    pub fn new(redis: &Redis) -> JourneyReader {
        JourneyReader {
            connection: redis.commands(),
            keys: redis.keys().clone(),
        }
    }

    /// The names of a user's journeys: one HGETALL.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn names(&self, user: &str) -> Result<Names, StoreError> {
        let key = self.keys.names(user);
        let mut connection = self.connection.clone();
        Ok(redis::cmd("HGETALL")
            .arg(key)
            .query_async(&mut connection)
            .await?)
    }

    /// The names of many users' journeys in one round trip, in the order of `users`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn names_of_many<U: AsRef<str>>(
        &self,
        users: &[U],
    ) -> Result<Vec<Names>, StoreError> {
        let keys = users.iter().map(|user| self.keys.names(user.as_ref()));
        self.hashes(keys).await
    }

    /// A user's journeys with all that is known of them; `None` for a user that no run has seen.
    ///
    /// # Errors
    /// When Redis fails, or the results are not of this version.
    pub async fn journeys(&self, user: &str) -> UserRead {
        self.journeys_of_many(&[user])
            .await?
            .pop()
            .unwrap_or(Ok(None))
    }

    /// The journeys of many users in one round trip, in the order of `users`. What is wrong with
    /// the results of one does not keep those of the others back.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn journeys_of_many<U: AsRef<str>>(
        &self,
        users: &[U],
    ) -> Result<Vec<UserRead>, StoreError> {
        let keys: Vec<String> = users
            .iter()
            .map(|user| self.keys.journeys(user.as_ref()))
            .collect();
        let hashes: Vec<HashMap<String, String>> = self.hashes(keys.iter()).await?;
        let users = keys.iter().zip(hashes);
        Ok(users.map(|(key, hash)| parse(key, hash)).collect())
    }

    async fn hashes<T: redis::FromRedisValue>(
        &self,
        keys: impl Iterator<Item = impl redis::ToRedisArgs>,
    ) -> Result<Vec<T>, StoreError> {
        let commands = keys.map(|key| redis::cmd("HGETALL").arg(key).to_owned());
        Ok(self.connection.all(commands.collect()).await?)
    }
}

fn parse(key: &str, mut hash: HashMap<String, String>) -> UserRead {
    let foreign = |field: &str, reason: String| StoreError::Foreign {
        key: key.into(),
        field: field.into(),
        reason,
    };
    if hash.is_empty() {
        return Ok(None);
    }
    let meta = hash
        .remove(META_FIELD)
        .ok_or_else(|| foreign(META_FIELD, "missing".into()))?;
    let meta = serde_json::from_str(&meta).map_err(|e| foreign(META_FIELD, e.to_string()))?;
    let mut journeys = hash
        .iter()
        .map(|(id, json)| serde_json::from_str(json).map_err(|e| foreign(id, e.to_string())))
        .collect::<Result<Vec<Journey>, _>>()?;
    // Results of earlier versions have no ranks.
    journeys.sort_by(|a, b| {
        let by_rank = a.rank.cmp(&b.rank);
        by_rank
            .then(b.strength.total_cmp(&a.strength))
            .then_with(|| a.id.cmp(&b.id))
    });
    Ok(Some(UserJourneys { meta, journeys }))
}
