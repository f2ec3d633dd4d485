//! The calls that all processes together may have under way, and how many of them this one may.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use redis::{RedisError, Script};
use tokio::time::Instant;

use super::concurrency::Concurrency;
use crate::backoff::{Backoff, jittered};
use crate::connection::Redis;

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
        let mut answered = Instant::now();
        // Ends with the limit.
        while let Some(concurrency) = concurrency.upgrade() {
            let (under_way, wanted) = concurrency.demand();
            let asked = Instant::now();
            let pause = match self.ask(under_way, wanted).await {
                Ok(held) => {
                    (answered, trouble) = (asked, Backoff::default());
                    concurrency.hold(held);
                    if held < wanted { ASK } else { RENEW }
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot ask Redis for slots");
                    if answered.elapsed() > FORGET / 2 {
                        // Others may have them soon.
                        concurrency.hold(0);
                    }
                    trouble.pause()
                }
            };
            let is_short = pause < RENEW;
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = concurrency.wanted.notified(), if !is_short => {}
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
