//! Cohorts: sets of users that anybody fills, and that a recompute can be about.

use futures::TryStreamExt;
use rand::RngExt;
use redis::{AsyncCommands, RedisError};
use sojourn::connection::Redis;
use sojourn::run::RunId;

use crate::register::{Register, RegisterError};

/// Users in one command.
const USERS_AT_ONCE: usize = 10_000;

/// How long a cohort that was made from a list of users is kept for the scheduler to read.
const UPLOADED_SECONDS: i64 = 24 * 3600;

/// How long a copy that is being made is kept.
const BUILDING_SECONDS: i64 = 3600;

/// Why a cohort cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CohortError {
    /// Redis did not do it.
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    /// The register did not do it.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// There is nobody in it.
    #[error("cohort {cohort:?} is empty; fill it with SADD {key} USER...")]
    Empty {
        /// Its name.
        cohort: String,
        /// Its key.
        key: String,
    },
    /// Something else has the key.
    #[error("cohort {cohort:?}: {key} is no set; delete it, and fill it with SADD {key} USER...")]
    NoSet {
        /// Its name.
        cohort: String,
        /// Its key.
        key: String,
    },
}

/// The users of a cohort in ascending order, as they were when the run asked for the first time: a
/// run that is planned again, by whichever scheduler, is planned the same.
///
/// # Errors
/// [`CohortError`]
pub async fn snapshot(
    redis: &Redis,
    register: &Register,
    run: &RunId,
    cohort: &str,
) -> Result<Vec<String>, CohortError> {
    let snapshot = redis.keys().run_users(run);
    let key = redis.keys().cohort(cohort);
    let mut connection = redis.commands();
    if !connection.exists(&snapshot).await? {
        let kind: String = redis::cmd("TYPE")
            .arg(&key)
            .query_async(&mut connection)
            .await?;
        if kind != "set" && kind != "none" {
            let cohort = cohort.into();
            return Err(CohortError::NoSet { cohort, key });
        }
        let users = members(redis, &key).await?;
        if users.is_empty() {
            let cohort = cohort.into();
            return Err(CohortError::Empty { cohort, key });
        }
        let building = format!("{snapshot}:{:016x}", rand::rng().random::<u64>());
        fill(redis, &building, &users, BUILDING_SECONDS).await?;
        register.keep_users(run, &building).await?;
    }
    Ok(members(redis, &snapshot).await?)
}

/// Makes a cohort of a list of users; returns its name. It goes away after a day.
///
/// # Errors
/// When Redis fails.
pub async fn upload(redis: &Redis, users: &[&str]) -> Result<String, RedisError> {
    let name = format!("file-{:016x}", rand::rng().random::<u64>());
    let key = redis.keys().cohort(&name);
    fill(redis, &key, users, UPLOADED_SECONDS).await?;
    Ok(name)
}

/// The members of a set in ascending order. One that is not UTF-8 is no user's id; it is kept,
/// readable, so that it is counted as unknown.
async fn members(redis: &Redis, key: &str) -> Result<Vec<String>, RedisError> {
    let mut connection = redis.commands();
    let members: Vec<Vec<u8>> = connection.sscan(key).await?.try_collect().await?;
    let mut users: Vec<String> = members
        .iter()
        .map(|member| String::from_utf8_lossy(member).into_owned())
        .collect();
    users.sort_unstable();
    users.dedup();
    Ok(users)
}

/// Adds users to a set that expires: at once with the first of them, so that none stays for ever.
async fn fill(
    redis: &Redis,
    key: &str,
    users: &[impl redis::ToSingleRedisArg + Send + Sync],
    seconds: i64,
) -> Result<(), RedisError> {
    for users in users.chunks(USERS_AT_ONCE) {
        redis::pipe()
            .atomic()
            .sadd(key, users)
            .expire(key, seconds)
            .exec_async(&mut redis.commands())
            .await?;
    }
    Ok(())
}
