//! The calls that all processes together may have under way, and how many of them this one may.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use super::concurrency::Concurrency;
use crate::backoff::{Backoff, jittered};
use crate::connection::Redis;
use redis::{RedisError, Script};

static SLOTS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("slots.lua")));

/// After this silence a process is taken for dead, and others have its slots.
const FORGET: Duration = Duration::from_secs(30);

/// How often a process that wants no more says that it is alive.
const RENEW: Duration = Duration::from_secs(5);

/// How often one asks that wants more.
const ASK: Duration = Duration::from_millis(100);

/// Asks for slots as long as the process has use for the limit.
pub(super) fn keep(
    redis: &Redis,
    scope: &str,
    process: &str,
    all: NonZeroU32,
    concurrency: &Arc<Concurrency>,
) {
    let slots = Slots {
        redis: redis.clone(),
        key: redis.keys().slots(scope),
        process: process.to_owned(),
        all,
    };
    tokio::spawn(slots.keep(Arc::downgrade(concurrency)));
}

struct Slots {
    redis: Redis,
    key: String,
    process: String,
    all: NonZeroU32,
}

impl Slots {
    async fn keep(self, concurrency: Weak<Concurrency>) {
        let mut trouble = Backoff::default();
        // Ends with the limit.
        while let Some(concurrency) = concurrency.upgrade() {
            let (under_way, wanted) = concurrency.freeze();
            let pause = match self.ask(under_way, wanted).await {
                Ok(slots) => {
                    trouble = Backoff::default();
                    concurrency.hold(slots);
                    if slots < wanted { ASK } else { RENEW }
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot ask Redis for slots");
                    // No call begins meanwhile.
                    trouble.pause()
                }
            };
            // Always some, in which calls can begin: none does while this asks.
            tokio::time::sleep(jittered(pause.min(ASK))).await;
            tokio::select! {
                () = tokio::time::sleep(jittered(pause.saturating_sub(ASK))) => {}
                () = concurrency.wanted.notified(), if pause == RENEW => {}
            }
        }
    }

    async fn ask(&self, under_way: usize, wanted: usize) -> Result<usize, RedisError> {
        let mut call = SLOTS.key(&self.key);
        call.arg(&self.process)
            .arg(self.all.get())
            .arg(FORGET.as_millis() as u64)
            .arg(under_way)
            .arg(wanted);
        call.invoke_async(&mut self.redis.commands()).await
    }
}
