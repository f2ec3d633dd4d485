//! Questions by the provider's batches: files of many, answered within a day for half the price.
//!
//! A question is asked once, whatever happens: it is claimed in Redis for a batch that has a token
//! before the provider knows of it, and whoever finds it claimed waits for that batch. A job that is
//! handed back, or whose worker is killed, asks the same again when it is taken again, and comes to
//! the same batch. If a process dies while it creates one, the next finds out by the token whether the
//! provider has it.

mod costs;
mod gathering;
mod interface;
mod lines;
mod options;
mod register;
mod token;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use options::BatchOptions;

use self::costs::{Costs, Tariff};
use self::gathering::{Asked, Gathering};
use self::interface::{Batch, Interface, Status};
use self::lines::Answered;
use self::register::{Known, Part, Register, Standing};
use self::token::{QuestionId, Token};
use super::endpoint::{Class, Failure, LlmError, LlmOptions, Reply, Role, Site, Then, full_jitter};
use super::limits::{Account, LimitOptions};
use super::money::{Money, Prices};
use crate::backoff::{Backoff, jittered};
use crate::code::{Code, Coded};
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
    costs: Costs,
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
        let costs = Costs::new(redis);
        let (asked, gathered) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let work = Work {
            interface: Interface::new(site),
            register: Register::new(redis, times.lease),
            costs: costs.clone(),
            again: asked.downgrade(),
            times,
            stop: stop.clone(),
        };
        let work = Arc::new(work).gather(gathered);
        tokio::spawn(stop.clone().run_until_cancelled_owned(work));
        let _work = stop.drop_guard();
        Ok(Batches {
            costs,
            asked,
            _work,
        })
    }

    /// Takes part in the budgets, at half the price. Limits per minute are not for batches.
    pub(super) fn share_limits(&self, options: LimitOptions) {
        let half = |price: Money| Money::from_nanos(price.nanos().div_ceil(2));
        self.costs.set_tariff(Tariff {
            money_per_day: options.money_per_day,
            prices: options.prices.map(|prices| Prices {
                input: half(prices.input),
                cached: half(prices.cached),
                output: half(prices.output),
            }),
        });
    }

    /// Asks a question, and waits for the batch that it is asked in. Whoever stops waiting loses
    /// nothing.
    pub(super) async fn ask(&self, question: &Value, account: &Account) -> Result<Reply, LlmError> {
        let (asker, answer) = oneshot::channel();
        let gone = || LlmError::Busy {
            reason:
                "nobody waits for its batch: Redis refused a command, or the process is stopping"
                    .into(),
            retry_after: None,
        };
        let asked = Asked::new(question.clone(), account.clone(), asker);
        self.asked.send(asked).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// What goes on in the background. Where Redis refuses a command for good, whoever asked hears that
/// nobody waits any more.
struct Work {
    interface: Interface,
    register: Register,
    costs: Costs,
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
    /// The provider does not have it, and never will.
    Refused(Failure),
    /// The provider may have it, and nobody can find out.
    Unknown(Failure),
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

    /// Has the provider make a batch, and finds out whether it has, however often that takes.
    async fn make(&self, token: &Token, asked: &Gathering) -> Result<Made, RedisError> {
        let mut failures = 0;
        let mut may_be_there = false;
        loop {
            // Right before each step that the provider takes for good.
            let file = match self.adopt(token, Part::Makes).await? {
                Standing::Mine { file } => file,
                Standing::Made { .. } => return Ok(Made::There),
                Standing::Others { .. } | Standing::Lost => return Ok(Made::NotMine),
            };
            let made = match file {
                None => match self.interface.upload(token, &asked.file()).await {
                    Ok(file) => {
                        self.note(token, Part::Makes, Known::File(&file)).await?;
                        continue;
                    }
                    Err(failure) => Err(failure),
                },
                // Another would be paid for as well.
                Some(_) if may_be_there => match self.interface.find(token).await {
                    Ok(None) => {
                        may_be_there = false;
                        continue;
                    }
                    Ok(Some(batch)) => Ok(batch),
                    Err(failure) => Err(failure),
                },
                Some(file) => {
                    let made = self.interface.create(token, &file).await;
                    may_be_there = made.as_ref().is_err_and(may_be_done);
                    if may_be_there {
                        tokio::time::sleep(self.times.settling).await;
                    }
                    made
                }
            };
            let failure = match made {
                Ok(batch) => {
                    self.note(token, Part::Makes, Known::Made(&batch.id))
                        .await?;
                    return Ok(Made::There);
                }
                Err(failure) => failure,
            };
            failures += 1;
            if is_last(&failure, failures) {
                return Ok(match may_be_there {
                    true => Made::Unknown(failure),
                    false => Made::Refused(failure),
                });
            }
            trouble(&failure, failures).await;
        }
    }

    /// Waits for a batch to be over, and hands out its answers.
    async fn follow(
        self: Arc<Self>,
        token: Token,
        mut asked: Gathering,
        is_ours: bool,
    ) -> Result<(), RedisError> {
        let mut failures = 0;
        loop {
            asked.forget_who_left();
            if asked.is_empty() {
                return Ok(());
            }
            let looked = match self.adopt(&token, Part::Waits).await? {
                Standing::Made { id } => match self.outcome(&id, &asked).await {
                    Ok(Outcome::Over(mut answers)) => {
                        with_redis(|| self.costs.settle(&token, &answers)).await?;
                        let again = asked.answer(&token, is_ours, |id| answers.remove(id));
                        self.ask_again(again);
                        return Ok(());
                    }
                    Ok(Outcome::Gone(mut answers)) => {
                        let again = asked.answer(&token, is_ours, |id| answers.remove(id));
                        self.ask_again(again);
                        return Ok(());
                    }
                    Ok(Outcome::TooMuch) => {
                        let nothing = &Answers::new();
                        with_redis(|| self.costs.settle(&token, nothing)).await?;
                        tracing::warn!(
                            batch = id,
                            "the provider has too much of this account's batches"
                        );
                        tokio::time::sleep(jittered(TOO_MUCH_WAIT)).await;
                        self.ask_again(asked.answer(&token, is_ours, |_| None));
                        return Ok(());
                    }
                    Ok(Outcome::UnderWay) => Ok(self.times.poll),
                    Err(failure) => Err(failure),
                },
                Standing::Others { left } => Ok(left.min(self.times.poll)),
                Standing::Lost => {
                    self.ask_again(asked.answer(&token, is_ours, |_| None));
                    return Ok(());
                }
                // Whoever was about it is gone.
                Standing::Mine { .. } => match self.interface.find(&token).await {
                    Ok(Some(batch)) => {
                        tracing::info!(batch = batch.id, "found a batch of a process that is gone");
                        self.note(&token, Part::Waits, Known::Made(&batch.id))
                            .await?;
                        continue;
                    }
                    Ok(None) => {
                        self.lose(&token, Part::Waits).await?;
                        continue;
                    }
                    Err(failure) => Err(failure),
                },
            };
            match looked {
                Ok(wait) => {
                    failures = 0;
                    tokio::time::sleep(jittered(wait)).await;
                }
                Err(failure) => {
                    failures += 1;
                    if is_last(&failure, failures) {
                        asked.answer(&token, true, |_| Some(Answered::Refused(failure.clone())));
                        return Ok(());
                    }
                    trouble(&failure, failures).await;
                }
            }
        }
    }

    /// What became of a batch's questions.
    async fn outcome(&self, id: &str, asked: &Gathering) -> Result<Outcome, Failure> {
        let batch = match self.interface.show(id).await {
            // It was deleted, and nobody knows what was answered; so it is asked again.
            Err(failure) if failure.class == Class::Misplaced => {
                return Ok(Outcome::Gone(Answers::new()));
            }
            batch => batch?,
        };
        match batch.status {
            Status::UnderWay => Ok(Outcome::UnderWay),
            Status::Failed => Ok(failed(&batch, asked)),
            Status::Completed | Status::Expired | Status::Cancelled => {
                let files = [&batch.output_file_id, &batch.error_file_id];
                let mut contents = Vec::new();
                for file in files.into_iter().flatten() {
                    match self.interface.content(file).await {
                        // Asking again would cost as much again.
                        Err(failure) if failure.class == Class::Misplaced => {
                            let reason = format!("the answers of batch {id} are gone");
                            let gone = Failure::new(Class::Unreadable, reason);
                            let gone = asked.all(|| Answered::Refused(gone.clone()));
                            return Ok(Outcome::Gone(gone));
                        }
                        content => contents.push(content?),
                    }
                }
                let answers = tokio::task::spawn_blocking(move || lines::read(&contents)).await;
                // Reading does not panic.
                let answers = answers.unwrap_or_else(|error| Err(error.to_string()));
                let unreadable = |reason| Failure::new(Class::Unreadable, reason);
                answers.map(Outcome::Over).map_err(unreadable)
            }
        }
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

/// How far a batch is.
enum Outcome {
    UnderWay,
    /// It is over, and what it has not answered costs nothing.
    Over(Answers),
    /// It is over, and nobody knows what it cost: as much as was expected.
    Gone(Answers),
    /// None of it was begun, as too much of the account is waiting already.
    TooMuch,
}

/// What a batch that failed as a whole means: none of its questions was answered, and later they may
/// be, or never.
fn failed(batch: &Batch, asked: &Gathering) -> Outcome {
    let errors = batch.errors.to_string();
    if errors.contains(TOO_MUCH) {
        return Outcome::TooMuch;
    }
    let refused = Failure {
        remedy: Some("check that --endpoint has batches and --model takes part in them".into()),
        ..Failure::new(Class::Form, errors.chars().take(MAX_EXCERPT).collect())
    };
    Outcome::Over(asked.all(|| Answered::Refused(refused.clone())))
}

/// Whether the provider may have done what it did not confirm.
fn may_be_done(failure: &Failure) -> bool {
    matches!(
        failure.class,
        Class::AskedToWait
            | Class::ServerError
            | Class::Timeout
            | Class::CutOff
            | Class::Unreadable
    )
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
