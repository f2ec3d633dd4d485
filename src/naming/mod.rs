//! Names for journeys: made of their terms, or written by a language model and checked.

mod answer;
mod batch;
mod cache;
mod choice;
mod curated;
mod endpoint;
#[cfg(feature = "cli")]
mod forecast;
mod grounding;
mod ledger;
mod limits;
mod llm;
mod locale;
mod moderation;
mod money;
mod prompt;
mod quality;
mod questions;
mod script;
mod session;
mod sharing;
mod siblings;
mod steps;
mod taken;
mod template;
mod terms;
#[cfg(feature = "cli")]
mod tokens;
mod transport;
mod tuning;
mod words;

pub use answer::Rejection;
pub use batch::BatchOptions;
pub use cache::{CacheOptions, NameCache};
pub use curated::CuratedError;
pub use endpoint::{Fallback, LlmError, LlmOptions, Patience};
#[cfg(feature = "cli")]
pub use forecast::{Forecast, Forecaster};
pub use ledger::{Exhausted, Ledger, LedgerEntry};
pub use limits::{Account, Denied, Expected, Headers, LimitOptions, Limits, Permit, Spent, Timing};
pub use llm::LlmNamer;
pub use locale::Locale;
pub use moderation::{Moderation, ModerationOptions};
pub use money::{InvalidMoney, Money, Prices, Usage};
pub use quality::{
    Asking, Excerpt, Grid, Group, QualityError, Results, Sample, SampleCounts, SampleOptions,
    Setting, Trial,
};
pub use steps::Naming;
pub use template::{Template, TemplateError};
pub use terms::name_of_terms;
#[cfg(feature = "cli")]
pub use tokens::TokenCounter;
pub use tuning::{TuningCounts, TuningError, TuningOptions, export_tuning};

use futures::FutureExt;

use self::session::Session;
use self::taken::Taken;
use crate::connection::Redis;
use crate::journey::{Journey, NameSource};

/// How journeys get their names.
#[derive(Debug)]
pub enum Namer {
    /// Of their terms.
    Terms,
    /// By a language model; of their terms where its answers fail the checks.
    Llm(Box<LlmNamer>),
}

/// A name for one journey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// What people read.
    pub name: String,
    /// Where it comes from.
    pub source: NameSource,
}

/// A name for one of the journeys that were to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Whose journey it is: position in the users.
    pub user: usize,
    /// Which journey: position in those of the user.
    pub journey: usize,
    /// Its name.
    pub name: Name,
    /// Why the first answer about it was not used, where there was one that was not.
    pub rejection: Option<Rejection>,
}

/// What is to be named for one user.
#[derive(Clone, Debug)]
pub struct Unnamed<'a> {
    /// The user id. It is not sent to a model.
    pub user: &'a str,
    /// Journeys that want a name.
    pub journeys: Vec<&'a Journey>,
    /// Names of the user's other journeys; no two journeys of a user share one.
    pub taken: Vec<&'a str>,
}

/// What became of the names of some users. What attempts have cost, those that failed too, is in the
/// ledger of their run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamingCounts {
    /// Questions that came to an end, by an answer or without.
    pub questions: u64,
    /// Tokens of those that were answered.
    pub tokens_in: u64,
    /// Tokens of their answers.
    pub tokens_out: u64,
    /// Calls whose answer was cut off at its limit of tokens.
    pub cut: u64,
    /// Journeys that the model named.
    pub llm: u64,
    /// Journeys that got the name of an equal one, of this user or another.
    pub cached: u64,
    /// Names that failed the checks, or were not in the answer.
    pub rejected: u64,
    /// Changed journeys that kept their earlier name because no answer passed the checks.
    pub kept: u64,
    /// Journeys that got a name made of terms because no answer passed the checks.
    pub fallbacks: u64,
}

impl std::ops::AddAssign for NamingCounts {
    fn add_assign(&mut self, more: NamingCounts) {
        self.questions += more.questions;
        self.tokens_in += more.tokens_in;
        self.tokens_out += more.tokens_out;
        self.cut += more.cut;
        self.llm += more.llm;
        self.cached += more.cached;
        self.rejected += more.rejected;
        self.kept += more.kept;
        self.fallbacks += more.fallbacks;
    }
}

impl Namer {
    /// Begins to name the journeys of some users. What that costs goes to the ledger of the account, by
    /// and by: see [`Namer::flush`].
    pub async fn begin<'a>(&'a self, users: &'a [Unnamed<'a>], account: &'a Account) -> Naming<'a> {
        match self {
            Namer::Terms => Naming::by_terms(users),
            Namer::Llm(namer) => {
                // Boxed, lest the futures of all callers hold this one.
                let session = Session::begin(namer, users, account).boxed();
                Naming::by_model(session.await)
            }
        }
    }

    /// Whether an answer may take a day, so that whoever has several questions must ask them at once.
    pub fn is_slow(&self) -> bool {
        match self {
            Namer::Terms => false,
            Namer::Llm(namer) => namer.is_slow(),
        }
    }

    /// How many journeys one question is about, at most.
    pub fn batch_size(&self) -> usize {
        match self {
            Namer::Terms => usize::MAX,
            Namer::Llm(namer) => namer.questions.journeys_per_call(),
        }
    }

    /// Names the journeys of some users; `users[u].journeys[j]` gets `names[u][j]`.
    ///
    /// # Errors
    /// See [`Naming::next`].
    pub async fn name(
        &self,
        users: &[Unnamed<'_>],
        account: &Account,
    ) -> Result<(Vec<Vec<Name>>, NamingCounts), LlmError> {
        let mut naming = self.begin(users, account).await;
        let mut named: Vec<Named> = Vec::new();
        while let Some(more) = naming.next().await? {
            named.extend(more);
        }
        named.sort_by_key(|named| (named.user, named.journey));
        let mut names = vec![Vec::new(); users.len()];
        for named in named {
            names[named.user].push(named.name);
        }
        Ok((names, naming.take_counts()))
    }

    /// Shares names with all processes that ask the same.
    pub fn share_names(&mut self, redis: &Redis, options: CacheOptions) {
        match self {
            Namer::Terms => {}
            Namer::Llm(namer) => namer.share_names(redis, options),
        }
    }

    /// Shares limits with all processes that ask the same model of the same endpoint.
    pub fn share_limits(&mut self, redis: &Redis, options: LimitOptions) {
        match self {
            Namer::Terms => {}
            Namer::Llm(namer) => namer.share_limits(redis, options),
        }
    }

    /// Writes what calls have cost to the ledgers of their runs, if it is not there yet.
    ///
    /// # Errors
    /// When Redis fails. It is written the next time, as long as the process lives.
    pub async fn flush(&self) -> Result<(), redis::RedisError> {
        match self {
            Namer::Terms => Ok(()),
            Namer::Llm(namer) => namer.flush().await,
        }
    }
}

/// Names made of terms for a user's journeys, each different from the others.
fn of_terms(user: &Unnamed<'_>) -> Vec<Name> {
    let template = Template::default();
    let mut taken: Taken = user.taken.iter().copied().collect();
    let name = |journey: &&Journey| {
        let name = terms::name_besides(journey, &taken, template.rules());
        taken.add(&name);
        Name {
            name,
            source: NameSource::Terms,
        }
    };
    user.journeys.iter().map(name).collect()
}
