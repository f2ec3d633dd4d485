//! How names come: step by step, so that what was paid for is written before more is paid for.

use futures::FutureExt;

use super::endpoint::LlmError;
use super::session::Session;
use super::{Named, NamingCounts, Unnamed, of_terms};

/// The naming of some users' journeys, step by step.
#[derive(Debug)]
pub struct Naming<'a>(State<'a>);

#[derive(Debug)]
enum State<'a> {
    Terms(&'a [Unnamed<'a>]),
    Llm(Box<Session<'a>>),
}

impl<'a> Naming<'a> {
    pub(super) fn by_terms(users: &'a [Unnamed<'a>]) -> Naming<'a> {
        Naming(State::Terms(users))
    }

    pub(super) fn by_model(session: Session<'a>) -> Naming<'a> {
        Naming(State::Llm(Box::new(session)))
    }

    /// The next names: those of one call, or those that need none. What was paid for is safe once they
    /// are written, before the next call is made. `None` when every journey has its name.
    ///
    /// # Errors
    /// When the model cannot be asked; then this is over. What it answers is never an error: a journey
    /// whose answers fail the checks gets a name made of its terms.
    pub async fn next(&mut self) -> Result<Option<Vec<Named>>, LlmError> {
        match &mut self.0 {
            State::Terms(users) => {
                let named: Vec<Named> = std::mem::take(users)
                    .iter()
                    .enumerate()
                    .flat_map(|(user, unnamed)| {
                        let names = of_terms(unnamed).into_iter().enumerate();
                        names.map(move |(journey, name)| Named {
                            user,
                            journey,
                            name,
                            rejection: None,
                        })
                    })
                    .collect();
                Ok((!named.is_empty()).then_some(named))
            }
            State::Llm(session) => session.next().boxed().await,
        }
    }

    /// What was spent since this was called before.
    pub fn take_counts(&mut self) -> NamingCounts {
        match &mut self.0 {
            State::Terms(_) => NamingCounts::default(),
            State::Llm(session) => session.take_counts(),
        }
    }
}
