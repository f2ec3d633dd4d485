//! The naming of some collections in one way.

use serde::{Deserialize, Serialize};

use super::{Group, Setting};
use crate::journey::NameSource;
use crate::naming::{Account, LlmError, Namer, NamingCounts, Rejection, Unnamed};

/// A collection that was named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// In which way.
    pub setting: Setting,
    /// Seed of the sample.
    pub seed: u64,
    /// The file.
    pub source: String,
    /// The line in it.
    pub line: u64,
    /// What the collection is about.
    pub subject: String,
    /// Whose journey it was, by number.
    pub user: usize,
    /// What people called it.
    pub title: String,
    /// What it was called here.
    pub name: String,
    /// Where the name is from.
    pub name_source: NameSource,
    /// Why the first answer about it was not used, where there was one that was not.
    pub rejection: Option<Rejection>,
    /// Its share of the calls for those that were named together with it.
    pub calls: f64,
    /// Its share of the tokens that were sent.
    pub tokens_in: f64,
    /// Its share of the tokens that came back.
    pub tokens_out: f64,
    /// Its share of the time.
    pub seconds: f64,
}

impl Group {
    /// Names all of them, as a worker would. What it costs is divided among them evenly; the time is
    /// not known here, and zero.
    ///
    /// # Errors
    /// When the model cannot be asked.
    pub async fn name(
        &self,
        setting: &Setting,
        seed: u64,
        namer: &Namer,
        account: &Account,
    ) -> Result<Vec<Trial>, LlmError> {
        let ids: Vec<String> = (self.first..)
            .take(self.users.len())
            .map(|n| n.to_string())
            .collect();
        let users: Vec<Unnamed<'_>> = self
            .users
            .iter()
            .zip(&ids)
            .map(|(curated, user)| Unnamed {
                user,
                journeys: curated.iter().map(|curated| &curated.journey).collect(),
                taken: Vec::new(),
            })
            .collect();
        let mut naming = namer.begin(&users, account).await;
        let (mut named, mut cost) = (Vec::new(), NamingCounts::default());
        while let Some(more) = naming.next().await? {
            named.extend(more);
            cost += naming.take_counts();
        }
        cost += naming.take_counts();
        named.sort_by_key(|named| (named.user, named.journey));
        let share = |total: u64| total as f64 / self.journeys().max(1) as f64;
        let trial = |named: crate::naming::Named| {
            let curated = &self.users[named.user][named.journey];
            Trial {
                setting: setting.clone(),
                seed,
                source: curated.source.clone(),
                line: curated.line,
                subject: curated.subject.clone(),
                user: self.first + named.user,
                title: curated.title.clone(),
                name: named.name.name,
                name_source: named.name.source,
                rejection: named.rejection,
                calls: share(cost.questions),
                tokens_in: share(cost.tokens_in),
                tokens_out: share(cost.tokens_out),
                seconds: 0.0,
            }
        };
        Ok(named.into_iter().map(trial).collect())
    }
}
