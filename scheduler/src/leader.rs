//! Which of several schedulers works. Two at once would do no harm to the queues, only everything
//! twice; the register listens to the one that leads.

use std::sync::LazyLock;
use std::time::Duration;

use rand::RngExt;
use redis::{RedisError, Script};
use sojourn::connection::Redis;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

static LEAD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lead.lua")));
static RESIGN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("resign.lua")));

/// The lead is renewed this many times before it would end, so that a lost renewal does no harm.
const RENEWALS_PER_LEAD: u32 = 3;

/// A scheduler that wants to lead.
#[derive(Clone, Debug)]
pub struct Candidate {
    redis: Redis,
    identity: String,
    lead: Duration,
}

/// The lead for as long as this is kept: it is renewed in the background, whatever else takes long.
#[derive(Debug)]
pub struct Lead {
    lost: CancellationToken,
    _renewal: AbortOnDropHandle<()>,
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

    /// What stands in the register while this candidate leads.
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

    /// Takes the lead, if nobody has it, and keeps it.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn take_lead(&self) -> Result<Option<Lead>, RedisError> {
        // From before the call: the server counts from when it gets there.
        let taken = Instant::now();
        if !self.lead().await? {
            return Ok(None);
        }
        let lost = CancellationToken::new();
        let renewal = self.clone().renew(taken + self.lead, lost.clone());
        Ok(Some(Lead {
            lost,
            _renewal: AbortOnDropHandle::new(tokio::spawn(renewal)),
        }))
    }

    /// Renews the lead until another has it, or until it ended because Redis did not answer; then
    /// sets `lost`.
    async fn renew(self, mut ends: Instant, lost: CancellationToken) {
        loop {
            tokio::time::sleep(self.lead / RENEWALS_PER_LEAD).await;
            let asked = Instant::now();
            match tokio::time::timeout_at(ends, self.lead()).await {
                // It may have ended while this process was stopped; somebody else may have led.
                Ok(Ok(true)) if asked < ends => ends = asked + self.lead,
                Ok(Err(error)) if asked < ends => {
                    tracing::warn!(%error, "cannot renew the lead yet");
                }
                Ok(_) | Err(_) => break lost.cancel(),
            }
        }
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

impl Lead {
    /// Returns when the lead is lost.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }
}
