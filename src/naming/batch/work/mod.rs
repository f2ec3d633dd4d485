//! What becomes of questions in the background: gathered, claimed, paid for, sent away, waited for.

mod following;
mod making;

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::making::Made;
use super::costs::Costs;
use super::gathering::{Asked, Gathering};
use super::interface::Interface;
use super::lines::Answered;
use super::register::{Known, Part, Register, Standing};
use super::token::{QuestionId, Token};
use super::{Answers, BatchOptions};
use crate::backoff::Backoff;
use crate::code::{Code, Coded};
use crate::naming::endpoint::{Failure, Then, full_jitter};

/// First and longest wait for a provider that is in trouble. Nobody is in a hurry.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What goes on in the background. Where Redis refuses a command for good, whoever asked hears that
/// nobody waits any more.
pub(super) struct Work {
    pub(super) interface: Interface,
    pub(super) register: Register,
    pub(super) costs: Costs,
    pub(super) again: mpsc::WeakUnboundedSender<Asked>,
    pub(super) times: BatchOptions,
    pub(super) stop: CancellationToken,
}

impl Work {
    /// Gathers questions, and sends them away together.
    pub(super) async fn gather(self: Arc<Self>, mut asked: mpsc::UnboundedReceiver<Asked>) {
        while let Some(first) = asked.recv().await {
            let mut gathering = Gathering::default();
            gathering.add(first);
            let end = tokio::time::sleep(self.times.gather);
            tokio::pin!(end);
            while !gathering.is_full() {
                tokio::select! {
                    next = asked.recv() => match next {
                        Some(next) => gathering.add(next),
                        None => break,
                    },
                    () = &mut end => break,
                }
            }
            self.spawn(self.clone().send(gathering));
        }
    }

    fn spawn(&self, work: impl Future<Output = Result<(), RedisError>> + Send + 'static) {
        let work = async {
            if let Err(error) = work.await {
                tracing::error!(code = %Coded::code(&error), %error, "cannot go on with a batch");
            }
        };
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(work));
    }

    /// Sends questions in a batch, but those that are in one already, and has somebody wait for all of
    /// these. Where they are too much for one batch, they are sent in two.
    async fn send(self: Arc<Self>, asked: Gathering) -> Result<(), RedisError> {
        let mut waiting = vec![asked];
        while let Some(mut asked) = waiting.pop() {
            asked.forget_who_left();
            if !asked.is_empty() {
                waiting.extend(self.send_in_one(asked).await?);
            }
        }
        Ok(())
    }

    /// The same in one batch. Returns what is to be sent instead.
    async fn send_in_one(self: &Arc<Self>, asked: Gathering) -> Result<Vec<Gathering>, RedisError> {
        let token = Token::new();
        // Before the claims: whoever finds one must find, too, that somebody is about the batch.
        self.adopt(&token, Part::Makes).await?;
        let claims = asked.claims();
        let batches = with_redis(|| self.register.claim(&token, &claims)).await?;
        let mut batches = asked.by_batch(batches);
        let mine = batches.remove(&token);
        for (token, asked) in batches {
            tracing::info!(batch = %token, questions = asked.len(), "questions are in a batch already");
            self.spawn(self.clone().follow(token, asked, false));
        }
        let Some(asked) = mine else {
            return Ok(Vec::new());
        };
        let asked = self.pay(&token, asked).await?;
        if asked.is_empty() {
            self.note(&token, Part::Makes, Known::Lost).await?;
            return Ok(Vec::new());
        }
        match self.make(&token, &asked).await? {
            Made::There => {
                tracing::info!(batch = %token, questions = asked.len(), "sent a batch");
                self.spawn(self.clone().follow(token, asked, true));
            }
            Made::NotMine => self.spawn(self.clone().follow(token, asked, false)),
            Made::Refused(failure) => {
                self.lose(&token, Part::Makes).await?;
                let is_too_much = is_about_content(&failure);
                if is_too_much && asked.len() > 1 {
                    return Ok(asked.halves(&token).into());
                }
                let reason = &failure.reason;
                asked.answer(&token, true, |_| {
                    Some(match is_too_much {
                        true => Answered::Declined {
                            reason: reason.clone(),
                        },
                        false => Answered::Refused(failure.clone()),
                    })
                });
            }
            Made::Unknown(failure) => {
                asked.answer(&token, true, |_| Some(Answered::Refused(failure.clone())));
            }
        }
        Ok(Vec::new())
    }

    /// Pays for questions of a batch before it is made, and turns away those for which there is no money.
    async fn pay(&self, token: &Token, asked: Gathering) -> Result<Gathering, RedisError> {
        let (mut paid, mut unpaid) = (Gathering::default(), Vec::new());
        for (run, mut asked) in asked.by_run() {
            let spent = with_redis(|| self.costs.spend(token, &run, &asked)).await?;
            if let (first, Some(why)) = spent {
                unpaid.push((asked.split_off(first), why));
            }
            asked.into_iter().for_each(|asked| paid.add(asked));
        }
        for (asked, why) in unpaid {
            let questions: Vec<QuestionId> = asked.iter().map(Asked::id).collect();
            // First: whoever asks them again must not wait for a batch that they are not in.
            with_redis(|| self.register.unclaim(token, &questions)).await?;
            for asked in asked {
                asked.answer(|| Err(Failure::from(why).into()));
            }
        }
        Ok(paid)
    }

    /// Notes that a batch was never made, and will not be: it costs nothing.
    async fn lose(&self, token: &Token, part: Part) -> Result<(), RedisError> {
        if self.note(token, part, Known::Lost).await? {
            let nothing = &Answers::new();
            with_redis(|| self.costs.settle(token, nothing)).await?;
        }
        Ok(())
    }

    async fn adopt(&self, token: &Token, part: Part) -> Result<Standing, RedisError> {
        with_redis(|| self.register.adopt(token, part)).await
    }

    async fn note(&self, token: &Token, part: Part, known: Known<'_>) -> Result<bool, RedisError> {
        with_redis(|| self.register.note(token, part, known)).await
    }

    fn ask_again(&self, asked: Vec<Asked>) {
        let Some(again) = self.again.upgrade() else {
            return;
        };
        for asked in asked {
            // Nobody gathers any more only while the process ends.
            let _ = again.send(asked);
        }
    }
}

/// Whether it is what was sent that the provider does not take: too much, or what a filter dislikes.
fn is_about_content(failure: &Failure) -> bool {
    matches!(failure.class.policy().then, Then::Split | Then::Isolate)
}

/// Whether the provider is not asked once more after so many failures in a row. One that is busy or
/// away is waited for.
fn is_last(failure: &Failure, failures: u32) -> bool {
    let policy = failure.class.policy();
    match policy.then {
        Then::PutOff => false,
        Then::Fail => failures >= policy.attempts,
        Then::Split | Then::Isolate | Then::Elsewhere => true,
    }
}

/// Waits before a provider in trouble is asked again.
async fn trouble(failure: &Failure, failures: u32) {
    let (first, longest) = WAITS;
    let asked = failure.retry_after.unwrap_or_default().min(longest);
    let wait = asked.saturating_add(full_jitter(first, longest, failures));
    tracing::warn!(
        reason = failure.reason,
        ?wait,
        "the provider of batches is busy or away"
    );
    tokio::time::sleep(wait).await;
}

/// Does what needs Redis, again and again while that is in trouble: who waits for a batch has time.
///
/// # Errors
/// When Redis refuses it for good, for want of a right for instance.
async fn with_redis<T, F: Future<Output = Result<T, RedisError>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, RedisError> {
    let mut backoff = Backoff::default();
    let mut is_said = false;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let code = Coded::code(&error);
        if matches!(code, Code::Unauthorized | Code::CommandFailed) {
            return Err(error);
        }
        if !std::mem::replace(&mut is_said, true) {
            tracing::warn!(%code, %error, "batches wait for Redis");
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}
