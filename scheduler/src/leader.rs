//! Which of several schedulers works. Two at once would do no harm, only everything twice.

use std::sync::LazyLock;
use std::time::Duration;

use rand::RngExt;
use redis::{RedisError, Script};
use sojourn::connection::Redis;

static LEAD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lead.lua")));
static RESIGN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("resign.lua")));

/// A scheduler that wants to lead.
#[derive(Debug)]
pub struct Candidate {
    redis: Redis,
    identity: String,
    lead: Duration,
}

impl Candidate {
    /// A candidate with an identity of its own, whose lead lasts `lead` without renewal.
    pub fn new(redis: &Redis, lead: Duration) -> Candidate {
        Candidate {
            redis: redis.clone(),
            identity: format!("{:016x}", rand::rng().random::<u64>()),
            lead,
        }
    }

    /// Under which name it leads.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Takes or renews the lead; returns whether this candidate has it.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn lead(&self) -> Result<bool, RedisError> {
        let mut call = LEAD.key(self.redis.keys().leader());
        call.arg(&self.identity)
            .arg(u64::try_from(self.lead.as_millis()).unwrap_or(u64::MAX));
        let leads: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(leads == 1)
    }

    /// Gives up the lead, so that another need not wait for its end.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn resign(&self) -> Result<(), RedisError> {
        let mut call = RESIGN.key(self.redis.keys().leader());
        call.arg(&self.identity);
        let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(())
    }
}
