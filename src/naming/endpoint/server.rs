//! One of the endpoints: its form, its limits, and whether it works.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::breaker::{Breaker, Change, Pass};
use super::class::{Class, Health, Then};
use super::completion::Completion;
use super::failure::Failure;
use super::form::KnownForm;
use super::gate::{Gate, Passage, expected};
use super::options::{Patience, Role};
use super::pace::{Pace, retry_after};
use super::retries::RetryBudget;
use super::site::{COMPLETIONS, Site};
use super::trust::Trust;
use super::{LlmError, Reply};
use crate::naming::limits::{Account, Denied, Expected, Limits};

/// 529, of vendors that have no capacity.
const OVERLOADED: u16 = 529;

/// Longest answer that is read, in bytes. A name takes a hundred.
pub(in crate::naming) const MAX_ANSWER: usize = 1024 * 1024;

/// A model behind an endpoint. One per process: it holds the rate and what was learnt.
pub(super) struct Server {
    role: Role,
    site: Site,
    model: String,
    pace: Pace,
    /// Between all processes.
    gate: Gate,
    known_form: KnownForm,
    /// That a refusal is about the question.
    trust: Trust,
    breaker: Breaker,
    pub(super) retries: RetryBudget,
    /// Why it refused whatever is asked when it last did.
    refusal: Mutex<Option<Failure>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("site", &self.site)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(
        role: Role,
        site: Site,
        model: &str,
        pace: Pace,
        patience: &Patience,
    ) -> Server {
        Server {
            role,
            site,
            model: model.into(),
            pace,
            gate: Gate::default(),
            known_form: KnownForm::default(),
            trust: Trust::default(),
            breaker: Breaker::new(patience.first_wait, patience.longest_wait),
            retries: RetryBudget::default(),
            refusal: Mutex::default(),
        }
    }

    /// Tells endpoints and models apart.
    pub(super) fn scope(&self) -> String {
        self.site.scope(&self.model)
    }

    /// Whether it asks another model than `other`.
    pub(super) fn has_other_model(&self, other: &Server) -> bool {
        self.model != other.model
    }

    /// From now on, asks only what these limits let through.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.gate.set(limits, self.role == Role::Fallback);
    }

    /// Tells the limits what is known of calls.
    pub(super) async fn flush(&self) -> Result<(), redis::RedisError> {
        self.gate.flush().await
    }

    pub(super) fn set_patience(&mut self, patience: &Patience) {
        self.breaker = Breaker::new(patience.first_wait, patience.longest_wait);
    }

    /// Lets a question through, or says how long it is not worth trying: the endpoint does not work,
    /// or wants to be left alone for longer than anybody waits in the middle of a job.
    pub(super) fn enter(&self, patience: &Patience) -> Result<Pass<'_>, Duration> {
        let asked = self.pace.closed_for();
        if asked > patience.longest_wait {
            return Err(asked);
        }
        self.breaker.enter(Instant::now())
    }

    /// Whether it refuses whatever is asked.
    pub(super) fn refuses(&self) -> bool {
        self.breaker.refuses()
    }

    /// Asks once, in other forms too where the endpoint does not take the first.
    pub(super) async fn ask(
        &self,
        question: &Value,
        account: &Account,
        is_retry: bool,
        patience: &Patience,
    ) -> Result<Reply, Failure> {
        let asked = self.ask_in_some_form(question, account, is_retry, patience);
        let refusal = match asked.await {
            Ok(reply) => {
                self.trust.end();
                return Ok(reply);
            }
            Err(refusal) => refusal,
        };
        let may_be_the_question = match refusal.class {
            // A form that was answered before may be refused from now on: an account is empty, or has
            // another model.
            Class::Declined | Class::Form | Class::Forbidden => true,
            Class::OutOfMoney => refusal.is_doubtful,
            _ => false,
        };
        if !may_be_the_question {
            return Err(refusal);
        }
        let Some(trial) = self.trust.spend().await else {
            return Err(Failure {
                class: Class::Declined,
                ..refusal
            });
        };
        let found = self.try_harmless(question, account, refusal, patience);
        let found = found.await;
        if found.class == Class::Declined {
            trial.passed();
        }
        Err(found)
    }

    /// Whether an endpoint fails in this way whatever is asked, or only here: one question that no
    /// stranger has a word in tells. If that is answered, the question is declined.
    pub(super) async fn try_harmless(
        &self,
        question: &Value,
        account: &Account,
        failure: Failure,
        patience: &Patience,
    ) -> Failure {
        let harmless = harmless(question);
        let asked = self.ask_in_some_form(&harmless, account, true, patience);
        match asked.await {
            Ok(_) => Failure {
                class: Class::Declined,
                ..failure
            },
            Err(mut of_trial) => {
                let then = of_trial.class.policy().then;
                if of_trial.denied.is_none() && matches!(then, Then::Split | Then::Isolate) {
                    // There is nothing in it that could be declined.
                    of_trial.class = Class::Form;
                }
                of_trial
            }
        }
    }

    async fn ask_in_some_form(
        &self,
        question: &Value,
        account: &Account,
        mut is_retry: bool,
        patience: &Patience,
    ) -> Result<Reply, Failure> {
        let mut form = self.known_form.first();
        loop {
            self.turn(patience).await?;
            let mut body = form.of(question);
            body["model"] = self.model.as_str().into();
            let request = self.site.request(Method::POST, COMPLETIONS);
            let request = request.timeout(patience.call).json(&body);
            let passage = self.pass(account, &body, is_retry, patience).await?;
            if passage.is_late() {
                passage.unsent();
                continue;
            }
            is_retry = true;
            let response = match self.site.send(request, MAX_ANSWER).await {
                Ok(response) => response,
                Err(failure) => {
                    match failure.class {
                        Class::Unreachable => passage.unsent(),
                        Class::Timeout => passage.timed_out(),
                        // Nobody knows what the endpoint made of it.
                        _ => drop(passage),
                    }
                    return Err(failure);
                }
            };
            let wait = retry_after(&response.headers);
            self.gate.correct(&response.headers, wait).await;
            if response.status.is_success() {
                if !response.is_whole {
                    let reason = format!("the answer is too long, over {MAX_ANSWER} bytes");
                    return Err(Failure::new(Class::Unreadable, reason));
                }
                let completion: Completion =
                    serde_json::from_slice(&response.body).map_err(|error| {
                        let reason = self.site.excerpt_of(&error, &response.body);
                        Failure::new(Class::Unreadable, reason)
                    })?;
                passage.answered(completion.usage());
                self.known_form.learn(form);
                return Ok(completion.into());
            }
            match response.status {
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    passage.overloaded();
                }
                status if status.as_u16() == OVERLOADED => passage.overloaded(),
                // The model may have run before it failed.
                status if status.is_server_error() => drop(passage),
                _ => passage.declined(),
            }
            let http = response.failure();
            let excerpt = self.site.excerpt(&response.body);
            let failure = http.explained(self.known_form.is(&form), &excerpt, self.role);
            if failure.class == Class::Form
                && let Some(parameter) = form.give_way(&http, question)
            {
                tracing::warn!(
                    parameter,
                    reason = failure.reason,
                    "the model endpoint refused a request; asking without this parameter"
                );
                continue;
            }
            if let Some(wait) = failure.retry_after {
                self.pace.close_for(wait);
            }
            return Err(failure);
        }
    }

    /// Waits until the limits let a request through.
    async fn pass(
        &self,
        account: &Account,
        body: &Value,
        is_retry: bool,
        patience: &Patience,
    ) -> Result<Passage, Failure> {
        let passed = self.gate.pass(account, body, is_retry).await;
        passed.map_err(|mut failure| {
            if let Some(wait) = failure.retry_after
                && wait > patience.longest_wait
            {
                // Another process was told so. Whom else to ask is up to all questions of this one.
                self.pace.close_for(wait);
            }
            if failure.denied == Some(Denied::TooLarge) {
                let Expected {
                    input_tokens,
                    output_tokens,
                } = expected(body);
                let options = self.role.names().limits;
                failure.reason = format!(
                    "a question takes about {input_tokens} tokens, and its answer up to \
                     {output_tokens}, more than {options} lets through in a minute: raise it"
                );
            }
            failure
        })
    }

    /// Waits until it is this process's turn to send a request.
    async fn turn(&self, patience: &Patience) -> Result<(), Failure> {
        let turn = self.pace.turn(patience.longest_wait).await;
        turn.map_err(|wait| Failure {
            retry_after: Some(wait),
            ..Failure::new(
                Class::HeldBack,
                format!("it asked to be left alone for another {wait:.0?}"),
            )
        })
    }

    /// Tells the breaker what a question that it let through found.
    pub(super) fn judge(&self, pass: Pass<'_>, asked: Result<&Reply, &Failure>) {
        let now = Instant::now();
        let health = match asked {
            Ok(_) => Health::Well,
            // It was not asked.
            Err(failure) if failure.denied.is_some() => Health::Unknown,
            Err(failure) => failure.class.policy().health,
        };
        if let (Health::Refuses, Err(failure)) = (health, asked) {
            *self.refusal() = Some(failure.clone());
        }
        let change = match health {
            Health::Unknown => {
                drop(pass);
                None
            }
            Health::Well => pass.well(now),
            Health::Ill => pass.ill(now),
            Health::Refuses => pass.refuses(now),
        };
        let endpoint = self.role.names().endpoint;
        match (change, asked) {
            (Some(Change::Opened(pause)), Err(failure)) => {
                let reason = &failure.reason;
                tracing::warn!(
                    endpoint,
                    reason,
                    ?pause,
                    "nobody asks the model for a while"
                );
            }
            (Some(Change::Closed(down)), _) => {
                tracing::info!(endpoint, ?down, "the model answers again");
            }
            _ => {}
        }
    }

    /// Why nobody asks it at present.
    pub(super) fn closed(&self, wait: Duration) -> LlmError {
        let refusal = self.refusal().clone().filter(|_| self.refuses());
        refusal.map_or_else(
            || LlmError::Busy {
                reason: format!(
                    "it does not work, or asked to be left alone, and is tried again in {wait:.0?}"
                ),
                retry_after: Some(wait),
            },
            LlmError::from,
        )
    }

    /// A refusal is replaced in one step, so whoever panicked left a whole one.
    fn refusal(&self) -> MutexGuard<'_, Option<Failure>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question with the same parameters that holds nothing anybody wrote.
fn harmless(question: &Value) -> Value {
    let mut harmless = question.clone();
    harmless["messages"] = json!([{"role": "user", "content": r#"{"users":[]}"#}]);
    harmless
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn what_the_limits_deny_says_nothing_of_the_endpoint() {
        let patience = Patience {
            first_wait: Duration::from_millis(50),
            longest_wait: Duration::from_millis(50),
            ..Patience::default()
        };
        // As a program does when it starts; another test may have.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let site = Site::new(Role::First, "http://localhost/v1", None).unwrap();
        let server = Server::new(
            Role::First,
            site,
            "any",
            Pace::new(NonZeroU32::MAX),
            &patience,
        );
        let fails = Failure::new(Class::ServerError, "broken".into());
        let pause = loop {
            match server.enter(&patience) {
                Ok(pass) => server.judge(pass, Err(&fails)),
                Err(pause) => break pause,
            }
        };
        std::thread::sleep(pause);
        let probe = server.enter(&patience).ok().unwrap();
        server.judge(probe, Err(&Failure::from(Denied::TooLarge)));
        let _probe = server.enter(&patience).ok().unwrap();
        assert!(server.enter(&patience).is_err(), "it was taken to work");
    }
}
