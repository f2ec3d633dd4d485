//! A second opinion on names, from an endpoint of the OpenAI moderations form.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::Rejection;
use super::endpoint::{
    Class, Failure, LlmError, MAX_ANSWER, MODERATIONS, Patience, Role, Site, Then, full_jitter,
};
use crate::backoff::jittered;

/// Attempts at one request before its names are given up.
const ATTEMPTS: u32 = 4;

/// A name that is judged to see whether names are judged.
const HARMLESS: &str = "Sourdough Bread";

/// How to reach it.
#[derive(Clone)]
pub struct ModerationOptions {
    /// Base URL up to and including `/v1`, or the full URL of `moderations`.
    pub endpoint: String,
    /// Model to ask for; the endpoint's own choice if none is named.
    pub model: Option<String>,
    /// Key that is sent as a bearer token.
    pub api_key: Option<String>,
}

/// Asks an endpoint which names are unsafe. What it does not answer is not used: it fails closed.
#[derive(Debug)]
pub struct Moderation {
    site: Site,
    model: Option<String>,
    patience: Patience,
    /// Until when nobody tries it, if it did not answer when it was last asked.
    down_until: Mutex<Option<Instant>>,
}

#[derive(Deserialize)]
struct Judgement {
    results: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    flagged: bool,
}

impl Moderation {
    /// How long is waited by default: as long as for names, since nothing can be done without it, but
    /// not for answers that take a machine minutes.
    const PATIENCE: Patience = Patience {
        call: Duration::from_secs(30),
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(60),
    };

    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the endpoint is not a URL, or the key cannot be sent.
    pub fn new(options: ModerationOptions) -> Result<Moderation, LlmError> {
        Ok(Moderation {
            site: Site::new(Role::Moderation, &options.endpoint, options.api_key)?,
            model: options.model,
            patience: Moderation::PATIENCE,
            down_until: Mutex::default(),
        })
    }

    /// Waits for it longer or shorter than by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Moderation {
        self.patience = patience;
        self
    }

    /// Whether names are judged at present: those that nobody judges are paid for in vain. One that
    /// did not answer is asked about a name that costs nothing, once it has had its time.
    ///
    /// # Errors
    /// When it is busy or away, or refuses whatever is asked.
    pub(super) async fn ready(&self) -> Result<(), LlmError> {
        let Some(until) = *self.down_until() else {
            return Ok(());
        };
        let wait = until.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            return Err(away(wait, "it did not answer when it was last asked"));
        }
        match self.attempt(&[HARMLESS]).await {
            Ok(_) => {
                *self.down_until() = None;
                Ok(())
            }
            Err(failure) if failure.class.policy().then == Then::Elsewhere => Err(failure.into()),
            Err(failure) => Err(away(self.leave_alone(&failure), &failure.reason)),
        }
    }

    /// Nobody tries it for as long as it wants, or for the longest wait.
    fn leave_alone(&self, failure: &Failure) -> Duration {
        let wait = failure.retry_after.unwrap_or_default();
        let wait = wait.max(jittered(self.patience.longest_wait));
        *self.down_until() = Instant::now().checked_add(wait);
        wait
    }

    /// A time is replaced in one step, so whoever panicked left a whole one.
    fn down_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.down_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Rejects those names that are unsafe, and all of them if nobody says so after some attempts.
    ///
    /// # Errors
    /// When the endpoint refuses whatever is asked: no name would ever pass.
    pub(super) async fn judge(
        &self,
        names: &mut [Result<String, Rejection>],
    ) -> Result<(), LlmError> {
        let asked: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let unsafe_names = match self.ask(&asked).await {
            Ok(verdicts) => verdicts.into_iter().map(|verdict| verdict.flagged),
            Err(failure) if failure.class.policy().then == Then::Elsewhere => {
                return Err(failure.into());
            }
            Err(failure) => {
                self.leave_alone(&failure);
                let reason = failure.reason;
                let names_lost = asked.len();
                tracing::warn!(
                    reason,
                    names_lost,
                    "the moderation endpoint is busy or away"
                );
                names
                    .iter_mut()
                    .filter(|name| name.is_ok())
                    .for_each(|name| {
                        *name = Err(Rejection::Unmoderated);
                    });
                return Ok(());
            }
        };
        for (name, is_unsafe) in names
            .iter_mut()
            .filter(|name| name.is_ok())
            .zip(unsafe_names)
        {
            if is_unsafe {
                *name = Err(Rejection::Unsafe);
            }
        }
        Ok(())
    }

    /// One verdict for each name.
    async fn ask(&self, names: &[&str]) -> Result<Vec<Verdict>, Failure> {
        let Patience {
            first_wait,
            longest_wait,
            ..
        } = self.patience;
        let mut failures = 0;
        loop {
            let failure = match self.attempt(names).await {
                Ok(verdicts) => return Ok(verdicts),
                Err(failure) => failure,
            };
            failures += 1;
            let asked = failure.retry_after.unwrap_or_default();
            let may_pass = matches!(failure.class.policy().then, Then::PutOff | Then::Fail);
            if !may_pass || failures == ATTEMPTS || asked > longest_wait {
                return Err(failure);
            }
            let wait = asked.saturating_add(full_jitter(first_wait, longest_wait, failures));
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, names: &[&str]) -> Result<Vec<Verdict>, Failure> {
        let unreadable = |reason: String| Failure::new(Class::Unreadable, reason);
        let mut body = json!({"input": names});
        if let Some(model) = &self.model {
            body["model"] = json!(model);
        }
        let request = self.site.request(Method::POST, MODERATIONS);
        let request = request.timeout(self.patience.call).json(&body);
        let response = self.site.send(request, MAX_ANSWER).await?;
        if !response.status.is_success() {
            let excerpt = self.site.excerpt(&response.body);
            let failure = response.failure();
            return Err(failure.explained(false, &excerpt, Role::Moderation));
        }
        if !response.is_whole {
            return Err(unreadable("its answer is too long".into()));
        }
        let Judgement { results } = serde_json::from_slice(&response.body).map_err(|error| {
            let said = self.site.excerpt_of(&error, &response.body);
            unreadable(format!("its answer is no judgement: {said}"))
        })?;
        match results.len() == names.len() {
            true => Ok(results),
            false => Err(unreadable("its answer is not about as many names".into())),
        }
    }
}

/// Why no names are asked for.
fn away(wait: Duration, why: &str) -> LlmError {
    LlmError::Busy {
        reason: format!("nobody would judge its names, as the moderation endpoint is away: {why}"),
        retry_after: Some(wait),
    }
}
