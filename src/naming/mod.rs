//! Names for journeys: made of their terms, or written by a language model and checked.

mod answer;
mod choice;
mod endpoint;
mod grounding;
mod llm;
mod locale;
mod moderation;
mod prompt;
mod script;
mod taken;
mod template;
mod terms;
mod tuning;
mod words;

pub use answer::Rejection;
pub use endpoint::{LlmError, LlmOptions, Patience};
pub use llm::LlmNamer;
pub use locale::Locale;
pub use moderation::{Moderation, ModerationOptions};
pub use template::{Template, TemplateError};
pub use terms::name_of_terms;
pub use tuning::{TuningCounts, TuningError, TuningOptions, export_tuning};

use self::taken::Taken;
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

/// What is to be named for one user.
#[derive(Clone, Debug)]
pub struct Unnamed<'a> {
    /// Journeys that want a name.
    pub journeys: Vec<&'a Journey>,
    /// Names of the user's other journeys; no two journeys of a user share one.
    pub taken: Vec<&'a str>,
}

/// What naming some users cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamingCounts {
    /// Calls to the model.
    pub calls: u64,
    /// Tokens sent, as the endpoint counts them.
    pub tokens_in: u64,
    /// Tokens received, as the endpoint counts them.
    pub tokens_out: u64,
    /// Calls whose answer was cut off at its limit of tokens.
    pub cut: u64,
    /// Names that failed the checks, or were not in the answer.
    pub rejected: u64,
    /// Changed journeys that kept their earlier name because no answer passed the checks.
    pub kept: u64,
    /// Journeys that got a name made of terms because no answer passed the checks.
    pub fallbacks: u64,
}

impl std::ops::AddAssign for NamingCounts {
    fn add_assign(&mut self, more: NamingCounts) {
        self.calls += more.calls;
        self.tokens_in += more.tokens_in;
        self.tokens_out += more.tokens_out;
        self.cut += more.cut;
        self.rejected += more.rejected;
        self.kept += more.kept;
        self.fallbacks += more.fallbacks;
    }
}

impl Namer {
    /// How many journeys are best named at once: the answers of one call are safe before the next
    /// is made.
    pub fn batch_size(&self) -> usize {
        match self {
            Namer::Terms => usize::MAX,
            Namer::Llm(namer) => namer.batch_size(),
        }
    }

    /// Names the journeys of some users; `users[u].journeys[j]` gets `names[u][j]`.
    ///
    /// # Errors
    /// When the model cannot be asked. What it answers is never an error: a journey whose answers
    /// fail the checks gets a name made of its terms.
    pub async fn name(
        &self,
        users: &[Unnamed<'_>],
    ) -> Result<(Vec<Vec<Name>>, NamingCounts), LlmError> {
        match self {
            Namer::Terms => {
                let names = users.iter().map(of_terms).collect();
                Ok((names, NamingCounts::default()))
            }
            Namer::Llm(namer) => namer.name(users).await,
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
