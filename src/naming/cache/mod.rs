//! Names that users with equal journeys share.
//!
//! Journeys are equal when the same is said of them to the same model with the same instructions. The
//! first that needs the name claims it and asks; the others wait for its answer, and ask themselves
//! when the claim ends without one. A name is kept only once enough users have the journey; of those
//! before, each asks for itself, and nothing of the answer is kept.
//!
//! All keys of a name are in a slot of their own. What Redis does not answer costs calls and never
//! names: a cache that cannot be asked is taken for an empty one.

mod signature;

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use rand::RngExt;
use redis::Cmd;

use crate::code::Coded;
use crate::connection::{BatchScript, Redis};
use crate::store::StoreError;
pub(super) use signature::{Basis, Signature};

/// How long a claim lasts unless it is renewed: as long as those who wait for a process that was
/// killed may have to wait.
const CLAIM: Duration = Duration::from_secs(15);

/// How often claims are renewed. Two renewals may fail.
const RENEWAL: Duration = Duration::from_secs(5);

/// How long it is remembered, at most, that no answer gives a name. Models get better.
const NO_NAME: Duration = Duration::from_secs(24 * 3600);

static LOOK: LazyLock<BatchScript> = LazyLock::new(|| BatchScript::new(include_str!("look.lua")));
static KEEP: LazyLock<BatchScript> = LazyLock::new(|| BatchScript::new(include_str!("keep.lua")));
static RENEW: LazyLock<BatchScript> = LazyLock::new(|| BatchScript::new(include_str!("renew.lua")));

/// When names are shared, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct CacheOptions {
    /// How many users must have a journey before its name is kept and shared.
    pub share_after: NonZeroU32,
    /// How long a name is kept.
    pub keep: Duration,
}

impl CacheOptions {
    /// Two: what one person alone has met is never kept under a key that is not that person's, and
    /// every journey that two have is asked for once more at most.
    pub const SHARE_AFTER: NonZeroU32 = NonZeroU32::new(2).unwrap();
}

/// The names that are shared, in Redis. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NameCache {
    redis: Redis,
    options: CacheOptions,
}

/// Who looks: claims are made, renewed and ended in its name.
#[derive(Clone, Debug)]
pub(super) struct Asker(String);

impl Asker {
    /// One that nobody else is.
    pub(super) fn new() -> Asker {
        Asker(format!("{:016x}", rand::rng().random::<u64>()))
    }
}

/// What is known of the name of equal journeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is there.
    Name(String),
    /// No answer about it passed the checks.
    Nameless,
    /// Too few users have the journey: each asks, and nobody keeps.
    Alone,
    /// Nobody asks.
    Free,
    /// Who looked is to ask, and to keep the answer.
    Yours,
    /// Somebody else asks.
    Waits,
}

impl NameCache {
    /// The names in a Redis.
    pub fn new(redis: &Redis, options: CacheOptions) -> NameCache {
        NameCache {
            redis: redis.clone(),
            options,
        }
    }

    /// Looks for names, for these users, in one round trip. With `claim`, whoever looks is to ask for
    /// those that nobody else asks for.
    pub(super) async fn look<'a, U: Iterator<Item = &'a str>>(
        &self,
        asker: &Asker,
        claim: bool,
        journeys: impl Iterator<Item = (Signature, U)>,
    ) -> Vec<Known> {
        let most = self.options.share_after.get();
        let call = |(signature, users): (Signature, U)| {
            let mut call = self.call(&LOOK, signature);
            call.arg(if claim { asker.0.as_str() } else { "" })
                .arg(CLAIM.as_millis() as u64)
                .arg(self.options.keep.as_secs())
                .arg(most);
            if most > 1 {
                for user in users.take(most as usize) {
                    call.arg(signature.user(user));
                }
            }
            call
        };
        let calls: Vec<Cmd> = journeys.map(call).collect();
        let all = calls.len();
        let answers: Vec<Vec<String>> = self.query(&LOOK, calls).await.unwrap_or_default();
        let mut known: Vec<Known> = answers.into_iter().map(known).collect();
        known.resize(all, Known::Alone);
        known
    }

    /// Which names are there. Leaves no trace.
    ///
    /// # Errors
    /// When Redis fails.
    #[cfg(feature = "cli")]
    pub(super) async fn has(&self, journeys: &[Signature]) -> redis::RedisResult<Vec<bool>> {
        let exists = |signature| {
            let key = self.redis.keys().shared_name(signature);
            redis::cmd("EXISTS").arg(key).to_owned()
        };
        let commands = journeys.iter().map(exists).collect();
        self.redis.commands().all(commands).await
    }

    /// Keeps names, or that there is none, and ends the claims on them.
    pub(super) async fn keep(
        &self,
        asker: &Asker,
        names: impl Iterator<Item = (Signature, Option<&str>)>,
    ) {
        let call = |(signature, name): (Signature, Option<&str>)| {
            let seconds = match name {
                Some(_) => self.options.keep,
                None => self.options.keep.min(NO_NAME),
            };
            let mut call = self.call(&KEEP, signature);
            call.arg(&asker.0)
                .arg(name.unwrap_or_default())
                .arg(seconds.as_secs().max(1));
            call
        };
        let _: Option<Vec<i64>> = self.query(&KEEP, names.map(call).collect()).await;
    }

    /// Renews claims, again and again: to be done beside what takes long.
    pub(super) async fn renew(
        &self,
        asker: &Asker,
        claims: &[Signature],
    ) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(RENEWAL).await;
            self.set_claims(asker, claims, CLAIM).await;
        }
    }

    /// Ends claims without a name. Somebody who waits asks then.
    pub(super) async fn give_up(&self, asker: &Asker, claims: &[Signature]) {
        self.set_claims(asker, claims, Duration::ZERO).await;
    }

    async fn set_claims(&self, asker: &Asker, claims: &[Signature], last: Duration) {
        let call = |signature: &Signature| {
            let claim = self.redis.keys().name_claim(signature);
            let mut call = RENEW.call(&[&claim]);
            call.arg(&asker.0).arg(last.as_millis() as u64);
            call
        };
        let _: Option<Vec<i64>> = self.query(&RENEW, claims.iter().map(call).collect()).await;
    }

    fn call(&self, script: &BatchScript, signature: Signature) -> Cmd {
        let keys = self.redis.keys();
        script.call(&[
            &keys.shared_name(signature),
            &keys.name_users(signature),
            &keys.name_claim(signature),
        ])
    }

    async fn query<T: redis::FromRedisValue>(
        &self,
        script: &BatchScript,
        calls: Vec<Cmd>,
    ) -> Option<Vec<T>> {
        match script.query(&self.redis, calls).await {
            Ok(answers) => Some(answers),
            Err(error) => {
                let error = StoreError::from(error);
                tracing::warn!(code = %error.code(), %error, "going on without the names that are shared");
                None
            }
        }
    }
}

fn known(answer: Vec<String>) -> Known {
    let mut answer = answer.into_iter();
    let kind = answer.next();
    match (kind.as_deref(), answer.next()) {
        (Some("name"), Some(name)) if name.is_empty() => Known::Nameless,
        (Some("name"), Some(name)) => Known::Name(name),
        (Some("free"), _) => Known::Free,
        (Some("yours"), _) => Known::Yours,
        (Some("waits"), _) => Known::Waits,
        _ => Known::Alone,
    }
}
