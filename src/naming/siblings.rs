//! The journeys of one user, as far as they are named.

use super::answer::{check, check_unlike};
use super::grounding::Evidence;
use super::taken::Taken;
use super::terms::name_besides;
use super::{Name, NamingCounts, Rejection, Template, Unnamed};
use crate::journey::NameSource;

pub(super) struct Siblings<'a> {
    template: &'a Template,
    user: &'a Unnamed<'a>,
    evidence: Vec<Evidence>,
    /// All names that the user's journeys have.
    given: Taken,
    /// Those that were found.
    names: Vec<Option<String>>,
    /// Journeys that no answer names. They are named last: the others choose first.
    failed: Vec<usize>,
    /// Journeys of which neither is known.
    open: usize,
}

impl<'a> Siblings<'a> {
    pub(super) fn of(template: &'a Template, user: &'a Unnamed<'a>) -> Siblings<'a> {
        let journeys = &user.journeys;
        Siblings {
            template,
            user,
            evidence: journeys
                .iter()
                .map(|journey| Evidence::of_journey(template.rules(), journey))
                .collect(),
            given: user.taken.iter().copied().collect(),
            names: vec![None; journeys.len()],
            failed: Vec::new(),
            open: journeys.len(),
        }
    }

    pub(super) fn evidence(&self, journey: usize) -> &Evidence {
        &self.evidence[journey]
    }

    /// Whether a name that is good for a journey is one that the user does not have yet.
    pub(super) fn check_unlike(&self, name: &str) -> Result<String, Rejection> {
        check_unlike(name.to_owned(), &self.given)
    }

    /// Gives a journey a name that passed the checks.
    pub(super) fn give(&mut self, journey: usize, name: &str) {
        self.given.add(name);
        self.names[journey] = Some(name.to_owned());
        self.open -= 1;
    }

    /// Notes that no answer names a journey.
    pub(super) fn fail(&mut self, journey: usize) {
        self.failed.push(journey);
        self.open -= 1;
    }

    /// All names that the user's journeys have.
    pub(super) fn given(&self) -> &Taken {
        &self.given
    }

    /// Names that the user's journeys have already.
    pub(super) fn taken(&self) -> Vec<&str> {
        let found = self.names.iter().flatten().map(String::as_str);
        found.chain(self.user.taken.iter().copied()).collect()
    }

    /// Names for those that no answer names, once all others have theirs: the name that a journey had
    /// before it changed, where that passes the checks still; else its terms.
    pub(super) fn complete(&mut self, counts: &mut NamingCounts) -> Vec<(usize, Name)> {
        if self.open > 0 {
            return Vec::new();
        }
        let mut failed = std::mem::take(&mut self.failed);
        failed.sort_unstable();
        let name = |at: usize| {
            let journey = self.user.journeys[at];
            let before = (journey.name_source == NameSource::Stale).then_some(&*journey.name);
            let kept = check(self.template, before, &self.evidence[at], &[]);
            let name = match kept.and_then(|name| check_unlike(name, &self.given)) {
                Ok(kept) => {
                    counts.kept += 1;
                    kept
                }
                Err(_) => {
                    counts.fallbacks += 1;
                    name_besides(journey, &self.given, self.template.rules())
                }
            };
            self.given.add(&name);
            // Not `Llm` where a name is kept: an earlier name may itself be made of terms.
            let source = NameSource::Fallback;
            (at, Name { name, source })
        };
        failed.into_iter().map(name).collect()
    }
}
