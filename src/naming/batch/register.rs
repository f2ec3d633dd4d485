//! In which batch each question is asked, as Redis has it: whoever finds a question asked waits for
//! that batch instead of paying for another.

use std::sync::LazyLock;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use rand::RngExt;
use redis::{RedisError, Script};

use super::token::{QuestionId, Token};
use crate::connection::Redis;

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("claim.lua")));
static UNCLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("unclaim.lua")));
static ADOPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("adopt.lua")));
static NOTE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("note.lua")));

/// How long it is known in which batch a question is asked: the day that a batch may take, and the days
/// in which a job that was handed back, or is dead and replayed, comes for the answer.
pub(super) const KEPT: Duration = Duration::from_secs(8 * 24 * 3600);

/// Claims under way at once.
const CLAIMS_AT_ONCE: usize = 64;

/// The register. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Register {
    redis: Redis,
    /// This process, unlike any other.
    process: String,
    /// How long a process that says nothing keeps the right to create a batch.
    lease: Duration,
}

/// What a process has to do with a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// It has the provider make it.
    Makes,
    /// Its questions are in it.
    Waits,
}

/// What is found out about a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<'a> {
    /// Its questions are uploaded as this file.
    File(&'a str),
    /// The provider has it under this id.
    Made(&'a str),
    /// The provider never got it, and will not.
    Lost,
}

/// How far a batch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The provider has it.
    Made { id: String },
    /// The provider never got it.
    Lost,
    /// This process may create it, of this file if it is uploaded.
    Mine { file: Option<String> },
    /// Another process may, for that long.
    Others { left: Duration },
}

impl Register {
    pub(super) fn new(redis: &Redis, lease: Duration) -> Register {
        Register {
            redis: redis.clone(),
            process: format!("{:032x}", rand::rng().random::<u128>()),
            lease,
        }
    }

    /// Claims questions for a batch, each instead of the batch that had no answer to it. Returns in
    /// which batch each is asked.
    pub(super) async fn claim(
        &self,
        token: &Token,
        questions: &[(QuestionId, Option<Token>)],
    ) -> Result<Vec<Token>, RedisError> {
        let claim = async |(question, instead_of): &(QuestionId, Option<Token>)| {
            let mut call = CLAIM.prepare_invoke();
            call.key(self.redis.keys().batched_question(question));
            call.arg(token.to_string());
            call.arg(instead_of.as_ref().map_or(String::new(), Token::to_string));
            call.arg(KEPT.as_secs());
            let held: String = call.invoke_async(&mut self.redis.commands()).await?;
            Ok(Token::from(held))
        };
        let claims = stream::iter(questions.iter().map(claim));
        claims.buffered(CLAIMS_AT_ONCE).try_collect().await
    }

    /// Takes back the claims of questions that are not in the batch after all.
    pub(super) async fn unclaim(
        &self,
        token: &Token,
        questions: &[QuestionId],
    ) -> Result<(), RedisError> {
        let unclaim = async |question: &QuestionId| {
            let mut call = UNCLAIM.prepare_invoke();
            call.key(self.redis.keys().batched_question(question));
            call.arg(token.to_string());
            let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
            Ok(())
        };
        let unclaims = stream::iter(questions.iter().map(unclaim));
        unclaims.buffered(CLAIMS_AT_ONCE).try_collect().await
    }

    /// How far a batch is. If nobody is about it, it is this process's from now on, to make it, or to
    /// find out what became of whoever was about it. The two are not the same: who waits for a batch
    /// must not take it from the same process that is just making it.
    pub(super) async fn adopt(&self, token: &Token, part: Part) -> Result<Standing, RedisError> {
        let mut call = ADOPT.prepare_invoke();
        call.key(self.redis.keys().batch(token));
        call.arg(self.owner(part));
        call.arg(self.lease.as_millis() as u64);
        call.arg(KEPT.as_secs());
        let found: Vec<String> = call.invoke_async(&mut self.redis.commands()).await?;
        let mut found = found.into_iter();
        let (standing, value) = (found.next(), found.next().unwrap_or_default());
        Ok(match standing.as_deref() {
            Some("made") => Standing::Made { id: value },
            Some("lost") => Standing::Lost,
            Some("mine") => Standing::Mine {
                file: Some(value).filter(|file| !file.is_empty()),
            },
            _ => Standing::Others {
                left: Duration::from_millis(value.parse().unwrap_or(0)),
            },
        })
    }

    /// Notes what is known of a batch. False if it is another's by now, who finds out for himself.
    pub(super) async fn note(
        &self,
        token: &Token,
        part: Part,
        known: Known<'_>,
    ) -> Result<bool, RedisError> {
        let (field, value) = match known {
            Known::File(file) => ("file", file),
            Known::Made(id) => ("id", id),
            Known::Lost => ("lost", "1"),
        };
        let mut call = NOTE.prepare_invoke();
        call.key(self.redis.keys().batch(token));
        call.arg(self.owner(part)).arg(field).arg(value);
        call.invoke_async(&mut self.redis.commands()).await
    }

    fn owner(&self, part: Part) -> String {
        match part {
            Part::Makes => format!("{}:makes", self.process),
            Part::Waits => format!("{}:waits", self.process),
        }
    }
}
