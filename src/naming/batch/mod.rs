//! Questions by the provider's batches: files of many, answered within a day for half the price.
//!
//! A question is asked once, whatever happens: it is claimed in Redis for a batch that has a token
//! before the provider knows of it, and whoever finds it claimed waits for that batch. A job that is
//! handed back, or whose worker is killed, asks the same again when it is taken again, and comes to
//! the same batch. If a process dies while it creates one, the next finds out by the token whether the
//! provider has it.

mod gathering;
mod interface;
mod lines;
mod options;
mod register;
mod token;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::RedisError;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use options::BatchOptions;

use self::gathering::{Asked, Gathering};
use self::interface::{Batch, Interface, Status};
use self::lines::Answered;
use self::register::{Known, Part, Register, Standing};
use self::token::{QuestionId, Token};
use super::endpoint::{
    Class, Failure, LlmError, LlmOptions, Reply, Role, Site, Then, expected, full_jitter,
};
use super::limits::{Account, LimitOptions, Limits, Permit};
use super::money::{Money, Prices};
use crate::backoff::{Backoff, jittered};
use crate::code::Coded;
use crate::connection::Redis;

/// First and longest wait for a provider that is in trouble. Nobody is in a hurry.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How a provider says that too much is waiting in batches already: it says so by letting a batch
/// fail.
const TOO_MUCH: &str = "token_limit_exceeded";

/// How long to wait then: batches take hours.
const TOO_MUCH_WAIT: Duration = Duration::from_secs(900);

/// Longest excerpt of why a batch failed, in characters.
const MAX_EXCERPT: usize = 200;

/// What became of a batch's questions.
type Answers = HashMap<QuestionId, Answered>;

/// A model that is asked by batches. One per process; needs a Tokio runtime.
#[derive(Debug)]
pub(super) struct Batches {
    limits: Arc<OnceLock<Limits>>,
    scope: String,
    asked: mpsc::UnboundedSender<Asked>,
    /// Ends what goes on in the background.
    _work: DropGuard,
}

impl Batches {
    pub(super) fn new(
        options: &LlmOptions,
        redis: &Redis,
        times: BatchOptions,
    ) -> Result<Batches, LlmError> {
        let site = Site::new(Role::First, &options.endpoint, options.api_key.clone())?;
        let scope = format!("{}-batches", site.scope(&options.model));
        let limits = Arc::default();
        let (asked, gathered) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let work = Work {
            interface: Interface::new(site),
            register: Register::new(redis, times.lease),
            limits: Arc::clone(&limits),
            again: asked.downgrade(),
            times,
            stop: stop.clone(),
        };
        let work = Arc::new(work).gather(gathered);
        tokio::spawn(stop.clone().run_until_cancelled_owned(work));
        let _work = stop.drop_guard();
        Ok(Batches {
            limits,
            scope,
            asked,
            _work,
        })
    }

    /// Takes part in the budgets, at half the price. Limits per minute are not for batches.
    pub(super) fn share_limits(&self, redis: &Redis, options: LimitOptions) {
        let half = |price: Money| Money::from_nanos(price.nanos().div_ceil(2));
        let options = LimitOptions {
            money_per_day: options.money_per_day,
            prices: options.prices.map(|prices| Prices {
                input: half(prices.input),
                cached: half(prices.cached),
                output: half(prices.output),
            }),
            ..LimitOptions::requests(NonZeroU32::MAX)
        };
        // Whoever sets them a second time has the same.
        let _ = self.limits.set(Limits::new(redis, &self.scope, options));
    }

    /// Tells the limits what is known of questions.
    pub(super) async fn flush(&self) -> Result<(), RedisError> {
        match self.limits.get() {
            Some(limits) => limits.flush().await,
            None => Ok(()),
        }
    }

    /// Asks a question, and waits for the batch that it is asked in. Whoever stops waiting loses
    /// nothing.
    pub(super) async fn ask(&self, question: &Value, account: &Account) -> Result<Reply, LlmError> {
        let (asker, answer) = oneshot::channel();
        let gone = || LlmError::Busy {
            reason: "the process is stopping".into(),
            retry_after: None,
        };
        let asked = Asked::new(question.clone(), account.clone(), asker);
        self.asked.send(asked).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// What goes on in the background.
struct Work {
    interface: Interface,
    register: Register,
    limits: Arc<OnceLock<Limits>>,
    again: mpsc::WeakUnboundedSender<Asked>,
    times: BatchOptions,
    stop: CancellationToken,
}

/// How far the making of a batch came.
enum Made {
    /// The provider has it.
    There,
    /// Another process is about it.
    NotMine,
    /// The provider refuses it.
    Refused(Failure),
}

impl Work {
    /// Gathers questions, and sends them away together.
    async fn gather(self: Arc<Self>, mut asked: mpsc::UnboundedReceiver<Asked>) {
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

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(work));
    }

    /// Sends questions in a batch, but those that are in one already, and waits for all of these.
    async fn send(self: Arc<Self>, mut asked: Gathering) {
        asked.forget_who_left();
        if asked.is_empty() {
            return;
        }
        let token = Token::new();
        // Before the claims: whoever finds one must find, too, that somebody is about the batch.
        self.adopt(&token, Part::Makes).await;
        let claims = asked.claims();
        let batches = with_redis(|| self.register.claim(&token, &claims)).await;
        let mut batches = asked.by_batch(batches);
        let mine = batches.remove(&token);
        for (token, asked) in batches {
            tracing::info!(batch = %token, questions = asked.len(), "questions are in a batch already");
            self.spawn(self.clone().follow(token, asked, false));
        }
        let Some(asked) = mine else { return };
        let (asked, permits) = self.admit(asked).await;
        if asked.is_empty() {
            self.note(&token, Part::Makes, Known::Lost).await;
            return;
        }
        let made = self.make(&token, &asked).await;
        // What it takes is charged when it is known.
        permits.into_iter().for_each(Permit::release);
        self.settle().await;
        match made {
            Made::There => {
                tracing::info!(batch = %token, questions = asked.len(), "sent a batch");
                self.follow(token, asked, true).await
            }
            Made::NotMine => self.follow(token, asked, false).await,
            Made::Refused(failure) => {
                self.note(&token, Part::Makes, Known::Lost).await;
                asked.answer(&token, true, |_| Some(Answered::Refused(failure.clone())));
            }
        }
    }

    /// Turns away questions for which there is no money. Those of one batch must be paid for together;
    /// what earlier ones are going to cost is not known.
    async fn admit(&self, asked: Gathering) -> (Gathering, Vec<Permit>) {
        let Some(limits) = self.limits.get() else {
            return (asked, Vec::new());
        };
        let (mut admitted, mut permits) = (Gathering::default(), Vec::new());
        for asked in asked.into_questions() {
            let (question, account) = asked.bill();
            match limits.admit(account, expected(question)).await {
                Ok(permit) => {
                    permits.push(permit);
                    admitted.add(asked);
                }
                Err(denied) => asked.answer(|| Err(Failure::from(denied).into())),
            }
        }
        (admitted, permits)
    }

    /// Gives back what was reserved, before somebody kills this process: it would count as spent.
    async fn settle(&self) {
        if let Some(limits) = self.limits.get() {
            with_redis(|| limits.flush()).await;
        }
    }

    /// Charges answers for which nobody has paid yet.
    async fn charge(&self, asked: &Gathering, answers: &Answers) {
        let Some(limits) = self.limits.get() else {
            return;
        };
        for (question, account, usage) in asked.bills(answers) {
            if with_redis(|| self.register.is_unpaid(question)).await {
                limits.charge(account, usage);
            }
        }
    }

    /// Has the provider make a batch, and finds out whether it has, however often that takes.
    async fn make(&self, token: &Token, asked: &Gathering) -> Made {
        let mut failures = 0;
        loop {
            // Right before each step that the provider takes for good.
            let file = match self.adopt(token, Part::Makes).await {
                Standing::Mine { file } => file,
                Standing::Made { .. } => return Made::There,
                Standing::Others { .. } | Standing::Lost => return Made::NotMine,
            };
            let failure = match file {
                None => match self.interface.upload(token, &asked.file()).await {
                    Ok(file) => {
                        self.note(token, Part::Makes, Known::File(&file)).await;
                        continue;
                    }
                    Err(failure) => failure,
                },
                Some(file) => match self.interface.create(token, &file).await {
                    Ok(batch) => {
                        self.note(token, Part::Makes, Known::Made(&batch.id)).await;
                        return Made::There;
                    }
                    Err(failure) => failure,
                },
            };
            if failure.class.policy().then == Then::Elsewhere {
                return Made::Refused(failure);
            }
            failures += 1;
            trouble(&failure, failures).await;
            // It may have been made all the same.
            if let Ok(Some(batch)) = self.interface.find(token).await {
                self.note(token, Part::Makes, Known::Made(&batch.id)).await;
                return Made::There;
            }
        }
    }

    /// Waits for a batch to be over, and hands out its answers.
    async fn follow(self: Arc<Self>, token: Token, mut asked: Gathering, is_ours: bool) {
        let mut failures = 0;
        loop {
            asked.forget_who_left();
            if asked.is_empty() {
                return;
            }
            let wait = match self.adopt(&token, Part::Waits).await {
                Standing::Made { id } => match self.outcome(&id, &asked).await {
                    Ok(Some(mut answers)) => {
                        self.charge(&asked, &answers).await;
                        let again = asked.answer(&token, is_ours, |id| answers.remove(id));
                        return self.ask_again(again);
                    }
                    Ok(None) => {
                        failures = 0;
                        self.times.poll
                    }
                    Err(failure) if failure.class.policy().then == Then::Elsewhere => {
                        asked.answer(&token, true, |_| Some(Answered::Refused(failure.clone())));
                        return;
                    }
                    Err(failure) => {
                        failures += 1;
                        trouble(&failure, failures).await;
                        continue;
                    }
                },
                Standing::Others { left } => left.min(self.times.poll),
                Standing::Lost => return self.ask_again(asked.answer(&token, is_ours, |_| None)),
                // Whoever was about it is gone.
                Standing::Mine { .. } => match self.interface.find(&token).await {
                    Ok(Some(batch)) => {
                        tracing::info!(batch = batch.id, "found a batch of a process that is gone");
                        self.note(&token, Part::Waits, Known::Made(&batch.id)).await;
                        continue;
                    }
                    Ok(None) => {
                        self.note(&token, Part::Waits, Known::Lost).await;
                        continue;
                    }
                    Err(failure) => {
                        failures += 1;
                        trouble(&failure, failures).await;
                        continue;
                    }
                },
            };
            tokio::time::sleep(jittered(wait)).await;
        }
    }

    /// What became of a batch's questions; nothing while it goes on.
    async fn outcome(&self, id: &str, asked: &Gathering) -> Result<Option<Answers>, Failure> {
        let batch = match self.interface.show(id).await {
            // It was deleted, and its answers with it.
            Err(failure) if failure.class == Class::Misplaced => return Ok(Some(Answers::new())),
            batch => batch?,
        };
        match batch.status {
            Status::UnderWay => Ok(None),
            Status::Failed => Ok(Some(failed(&batch, asked).await)),
            Status::Completed | Status::Expired | Status::Cancelled => {
                let files = [&batch.output_file_id, &batch.error_file_id];
                let mut contents = Vec::new();
                for file in files.into_iter().flatten() {
                    match self.interface.content(file).await {
                        // Asking again would cost as much again.
                        Err(failure) if failure.class == Class::Misplaced => {
                            let reason = format!("the answers of batch {id} are gone");
                            let gone = Failure::new(Class::Unreadable, reason);
                            return Ok(Some(asked.all(|| Answered::Refused(gone.clone()))));
                        }
                        content => contents.push(content?),
                    }
                }
                let answers = tokio::task::spawn_blocking(move || lines::read(&contents)).await;
                // Reading does not panic.
                let answers = answers.unwrap_or_else(|error| Err(error.to_string()));
                let unreadable = |reason| Failure::new(Class::Unreadable, reason);
                answers.map(Some).map_err(unreadable)
            }
        }
    }

    async fn adopt(&self, token: &Token, part: Part) -> Standing {
        with_redis(|| self.register.adopt(token, part)).await
    }

    async fn note(&self, token: &Token, part: Part, known: Known<'_>) {
        with_redis(|| self.register.note(token, part, known)).await;
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

/// What a batch that failed as a whole means: none of its questions was answered, and later they may
/// be, or never.
async fn failed(batch: &Batch, asked: &Gathering) -> Answers {
    let errors = batch.errors.to_string();
    if errors.contains(TOO_MUCH) {
        tracing::warn!(
            batch = batch.id,
            "the provider has too much of this account's batches"
        );
        tokio::time::sleep(jittered(TOO_MUCH_WAIT)).await;
        return Answers::new();
    }
    let refused = Failure {
        remedy: Some("check that --endpoint has batches and --model takes part in them".into()),
        ..Failure::new(Class::Form, errors.chars().take(MAX_EXCERPT).collect())
    };
    asked.all(|| Answered::Refused(refused.clone()))
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
async fn with_redis<T, F: Future<Output = Result<T, RedisError>>>(
    mut attempt: impl FnMut() -> F,
) -> T {
    let mut backoff = Backoff::default();
    let mut is_said = false;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => {
                if !std::mem::replace(&mut is_said, true) {
                    tracing::warn!(code = %Coded::code(&error), %error, "batches wait for Redis");
                }
                tokio::time::sleep(backoff.pause()).await;
            }
        }
    }
}
