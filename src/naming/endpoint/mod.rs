//! A model behind an endpoint of the OpenAI chat-completions form, and a second one for when that
//! does not work: one question, one answer.

mod breaker;
mod class;
mod completion;
mod failure;
mod form;
mod gate;
mod options;
mod pace;
mod retries;
mod server;
mod site;
mod trust;

use std::time::{Duration, Instant};

use serde_json::Value;

pub(super) use class::{Class, Then};
pub(super) use completion::Completion;
pub use failure::LlmError;
pub(super) use failure::{Failure, HttpFailure};
pub(super) use gate::expected;
pub(super) use options::Role;
pub use options::{Fallback, LlmOptions, Patience};
pub(super) use retries::full_jitter;
pub(super) use server::MAX_ANSWER;
pub(super) use site::{COMPLETIONS, MODERATIONS, Site};

use super::limits::{Account, Denied, LimitOptions, Limits};
use super::money::Usage;
use crate::connection::Redis;
use breaker::Pass;
use pace::Pace;
use server::Server;

/// What became of a question.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// An answer, whatever it says.
    Answer {
        /// One for each sample that was asked for, or fewer.
        texts: Vec<String>,
        /// One was not finished when it reached its limit of tokens.
        is_cut: bool,
        /// A fallback has answered, by another model than the first.
        is_of_other_model: bool,
        /// What it took, where the endpoint says so.
        usage: Option<Usage>,
    },
    /// The endpoint answers others, but not this one.
    Declined { reason: String },
    /// It takes more than the limits let through at all.
    OverLimit { reason: String },
}

impl Reply {
    /// What becomes of a question that is not asked again as it is.
    fn without_answer(failure: Failure) -> Result<Reply, LlmError> {
        if failure.denied == Some(Denied::TooLarge) {
            let Failure { reason, .. } = failure;
            return Ok(Reply::OverLimit { reason });
        }
        match failure.class.policy().then {
            Then::Split | Then::Isolate => {
                let Failure { reason, .. } = failure;
                Ok(Reply::Declined { reason })
            }
            _ => Err(failure.into()),
        }
    }
}

/// Where questions are sent: an endpoint, and perhaps a fallback. One per process.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// In the order in which they are tried.
    servers: Vec<Server>,
    fallback_limits: Option<LimitOptions>,
    patience: Patience,
}

impl Endpoint {
    pub(super) fn new(options: &LlmOptions) -> Result<Endpoint, LlmError> {
        let patience = Patience::default();
        let server = |role, (endpoint, key, model, rate): (&str, &Option<String>, &str, _)| {
            let site = Site::new(role, endpoint, key.clone())?;
            let pace = Pace::new(rate);
            Ok::<_, LlmError>(Server::new(role, site, model, pace, &patience))
        };
        let first = (
            options.endpoint.as_str(),
            &options.api_key,
            options.model.as_str(),
            options.requests_per_minute,
        );
        let mut servers = vec![server(Role::First, first)?];
        if let Some(second) = &options.fallback {
            let second = (
                second.endpoint.as_str(),
                &second.api_key,
                second.model.as_str(),
                second.limits.requests_per_minute,
            );
            servers.push(server(Role::Fallback, second)?);
        }
        Ok(Endpoint {
            servers,
            fallback_limits: options.fallback.as_ref().map(|fallback| fallback.limits),
            patience,
        })
    }

    pub(super) fn set_patience(&mut self, patience: Patience) {
        for server in &mut self.servers {
            server.set_patience(&patience);
        }
        self.patience = patience;
    }

    /// Shares limits with all processes that ask the same: `options` are those of the first endpoint.
    /// The fallback has its own, but for the money of a day, which all endpoints together may cost.
    pub(super) fn share_limits(&mut self, redis: &Redis, options: LimitOptions) {
        let first = self.servers[0].scope();
        for (at, server) in self.servers.iter_mut().enumerate() {
            let mut scope = server.scope();
            if at > 0 && scope == first {
                // Another account of the same vendor.
                scope.push_str("-fallback");
            }
            let options = match self.fallback_limits {
                Some(limits) if at > 0 => LimitOptions {
                    money_per_day: options.money_per_day,
                    ..limits
                },
                _ => options,
            };
            server.set_limits(Limits::new(redis, &scope, options));
        }
    }

    /// Tells the limits what is known of calls, so that the ledgers of runs are complete.
    pub(super) async fn flush(&self) -> Result<(), redis::RedisError> {
        for server in &self.servers {
            server.flush().await?;
        }
        Ok(())
    }

    /// Asks a question, again where that may help: the first endpoint while it works, else the
    /// fallback.
    pub(super) async fn ask(&self, question: &Value, account: &Account) -> Result<Reply, LlmError> {
        let patience = &self.patience;
        let deadline = Instant::now() + patience.longest_wait;
        let mut failures = 0;
        loop {
            let (server, pass) = self.choose(deadline).await?;
            if failures == 0 {
                server.retries.earn(Instant::now());
            }
            let is_retry = failures > 0;
            let asked = server.ask(question, account, is_retry, patience).await;
            server.judge(pass, asked.as_ref());
            let failure = match asked {
                Ok(mut reply) => {
                    if let Reply::Answer {
                        is_of_other_model, ..
                    } = &mut reply
                    {
                        *is_of_other_model = server.has_other_model(&self.servers[0]);
                    }
                    return Ok(reply);
                }
                Err(failure) => failure,
            };
            let policy = failure.class.policy();
            match policy.then {
                Then::Split | Then::Isolate => return Reply::without_answer(failure),
                Then::Elsewhere if self.servers.iter().all(Server::refuses) => {
                    return Err(failure.into());
                }
                Then::Elsewhere => {}
                Then::PutOff | Then::Fail => {
                    failures += 1;
                    let asked = failure.retry_after.unwrap_or_default();
                    // Whom else to ask is looked for at once, and only if there is somebody.
                    if asked > patience.longest_wait && self.servers.len() > 1 && failures == 1 {
                        continue;
                    }
                    if asked > patience.longest_wait {
                        return Err(failure.into());
                    }
                    if failures >= policy.attempts {
                        let found = self.find_out(server, question, account, failure).await;
                        let then = found.class.policy().then;
                        if then == Then::Elsewhere && !self.servers.iter().all(Server::refuses) {
                            continue;
                        }
                        return Reply::without_answer(found);
                    }
                    if !server.retries.spend(Instant::now()) {
                        return Err(failure.into());
                    }
                    // On top of what was asked for, lest everybody come back at the same moment.
                    let jitter = full_jitter(patience.first_wait, patience.longest_wait, failures);
                    let wait = asked.saturating_add(jitter);
                    let reason = failure.reason;
                    tracing::debug!(reason, ?wait, "asking the model again");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// What is wrong when a question has failed as often as it may: the question itself, if another is
    /// answered, lest it stand in the way of those behind it for ever. While the endpoint is left
    /// alone, nobody finds out.
    async fn find_out(
        &self,
        server: &Server,
        question: &Value,
        account: &Account,
        failure: Failure,
    ) -> Failure {
        let patience = &self.patience;
        if !failure.class.may_be_the_question() {
            return failure;
        }
        let Ok(pass) = server.enter(patience) else {
            return failure;
        };
        let found = server.try_harmless(question, account, failure, patience);
        let found = found.await;
        server.judge(pass, Err(&found));
        found
    }

    /// The first endpoint that lets a question through, waiting for one until `deadline`. One that
    /// refuses whatever is asked says so only if all do: another may be busy, and come back.
    async fn choose(&self, deadline: Instant) -> Result<(&Server, Pass<'_>), LlmError> {
        loop {
            let mut closed: Option<(&Server, (bool, Duration))> = None;
            for server in &self.servers {
                match server.enter(&self.patience) {
                    Ok(pass) => return Ok((server, pass)),
                    Err(wait) => {
                        let rank = (server.refuses(), wait);
                        if closed.is_none_or(|(_, least)| rank < least) {
                            closed = Some((server, rank));
                        }
                    }
                }
            }
            // There is at least one.
            let (server, (_, wait)) = closed.unwrap_or((&self.servers[0], (false, Duration::ZERO)));
            if Instant::now() + wait > deadline {
                return Err(server.closed(wait));
            }
            tokio::time::sleep(wait).await;
        }
    }
}
