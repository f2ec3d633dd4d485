//! A batch that is waited for, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;

use super::{Work, is_last, trouble, with_redis};
use crate::backoff::jittered;
use crate::naming::batch::Answers;
use crate::naming::batch::gathering::Gathering;
use crate::naming::batch::interface::{Batch, Status};
use crate::naming::batch::lines::{self, Answered};
use crate::naming::batch::register::{Known, Part, Standing};
use crate::naming::batch::token::Token;
use crate::naming::endpoint::{Class, Failure};

/// How a provider says that too much is waiting in batches already: it says so by letting a batch
/// fail.
const TOO_MUCH: &str = "token_limit_exceeded";

/// How long to wait then: batches take hours.
const TOO_MUCH_WAIT: Duration = Duration::from_secs(900);

/// Longest excerpt of why a batch failed, in characters.
const MAX_EXCERPT: usize = 200;

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

impl Work {
    /// Waits for a batch to be over, and hands out its answers.
    pub(super) async fn follow(
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
