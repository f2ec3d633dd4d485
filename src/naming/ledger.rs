//! What naming has cost a run, and what it may cost.
//!
//! Written by the scripts that settle calls, so that those of attempts that failed are in it; read by
//! the scheduler and the command line, which also say what a run may cost.

use std::collections::HashMap;

use redis::{AsyncCommands, RedisError};
use serde::Serialize;

use super::money::Money;
use crate::connection::Redis;
use crate::queue::KEEP_RUNS;
use crate::run::RunId;

/// What naming has cost a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerEntry {
    /// Calls that were sent, whatever became of them.
    pub calls: u64,
    /// Tokens of questions.
    pub tokens_in: u64,
    /// Of these, how many the provider had in its cache.
    pub tokens_cached: u64,
    /// Tokens of answers.
    pub tokens_out: u64,
    /// What it cost, and what calls that are under way may cost.
    pub money: Money,
    /// Calls that were another attempt.
    pub retries: u64,
    /// Calls to the endpoint that stands in for the first.
    pub fallback_calls: u64,
    /// What it may cost, as workers are told.
    #[serde(skip)]
    pub budget: Option<Money>,
    /// Whether and why a call was not made that could have cost too much.
    pub exhausted: Option<Exhausted>,
}

/// Why a call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Exhausted {
    /// What the run may cost.
    Run,
    /// What naming may cost on this day, counted from 1970.
    Day(u64),
    /// There is a budget, and a worker was not told what tokens cost.
    Unpriced,
}

impl LedgerEntry {
    fn read(fields: &HashMap<String, String>) -> LedgerEntry {
        let number = |name: &str| fields.get(name)?.parse::<u64>().ok();
        let count = |name: &str| number(name).unwrap_or(0);
        LedgerEntry {
            calls: count("calls"),
            tokens_in: count("tokens_in"),
            tokens_cached: count("tokens_cached"),
            tokens_out: count("tokens_out"),
            money: Money::from_nanos(count("money")),
            retries: count("retries"),
            fallback_calls: count("fallback_calls"),
            budget: number("budget").map(Money::from_nanos),
            exhausted: match fields.get("exhausted").map(String::as_str) {
                Some("run") => Some(Exhausted::Run),
                Some("unpriced") => Some(Exhausted::Unpriced),
                Some(text) => {
                    let day = text.strip_prefix("day:");
                    day.and_then(|day| day.parse().ok()).map(Exhausted::Day)
                }
                None => None,
            },
        }
    }
}

/// Reads and writes ledgers.
#[derive(Clone, Debug)]
pub struct Ledger {
    redis: Redis,
}

impl Ledger {
    /// The ledgers in `redis`.
    pub fn new(redis: &Redis) -> Ledger {
        Ledger {
            redis: redis.clone(),
        }
    }

    /// How the ledger of a run stands; that of a run that has cost nothing is empty.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn entry(&self, run: &RunId) -> Result<LedgerEntry, RedisError> {
        let key = self.redis.keys().ledger(run);
        let fields: HashMap<String, String> = self.redis.commands().hgetall(key).await?;
        Ok(LedgerEntry::read(&fields))
    }

    /// The day on the server's clock, counted from 1970 in UTC: the one that money is counted by.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn today(&self) -> Result<u64, RedisError> {
        let (seconds, _): (u64, u64) = redis::cmd("TIME")
            .query_async(&mut self.redis.commands())
            .await?;
        Ok(seconds / 86_400)
    }

    /// Keeps the ledger of a run, and sees to it that it knows of the budget: a Redis that has lost
    /// its memory must not spend without end.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn keep(&self, run: &RunId, budget: Option<Money>) -> Result<(), RedisError> {
        let key = self.redis.keys().ledger(run);
        let mut connection = self.redis.commands();
        if let Some(budget) = budget {
            let () = connection.hset_nx(&key, "budget", budget.nanos()).await?;
        }
        let () = connection.expire(&key, KEEP_RUNS.as_secs() as i64).await?;
        Ok(())
    }

    /// Says what a run may cost from now on, in all.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn set_budget(&self, run: &RunId, budget: Money) -> Result<(), RedisError> {
        let key = self.redis.keys().ledger(run);
        let mut connection = self.redis.commands();
        let () = connection.hset(&key, "budget", budget.nanos()).await?;
        self.try_again(run).await
    }

    /// Lets calls of a run be tried again that could have cost too much; where they still could, they
    /// are not made.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn try_again(&self, run: &RunId) -> Result<(), RedisError> {
        let key = self.redis.keys().ledger(run);
        let mut connection = self.redis.commands();
        let () = connection.hdel(&key, "exhausted").await?;
        let () = connection.expire(&key, KEEP_RUNS.as_secs() as i64).await?;
        Ok(())
    }
}
