//! Journeys: the few interests in a history, each a group of the user's own items.
//!
//! [`Extractor`] is the way from a history to journeys: the terms of its items ([`ItemVectors`])
//! are clustered ([`Icpc`]), and each cluster is described. [`keep_identity`] then gives journeys
//! that a user had before their old ids and names.

mod confidence;
mod describe;
mod exploration;
mod extractor;
mod groups;
mod icpc;
mod identity;
mod index;
mod merge;
mod params;
mod rank;
mod sum;
mod vectors;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use exploration::Exploration;
pub use extractor::{Extraction, Extractor};
pub use groups::Groups;
pub use icpc::{Clusters, Icpc};
pub use identity::keep_identity;
pub use params::{Assign, InvalidParams, JourneyParams};
pub use vectors::{ItemVectors, Vector};

/// One interest journey of one user, as it stands in the results.
///
/// A user has some two hundred short texts, ids of items and terms, which [`SmolStr`] keeps where they
/// stand: what a thread that clusters allocates and one that writes sets free is slow at both ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Journey {
    /// Stable name of the journey among this user's journeys, 8 hex digits.
    pub id: String,
    /// What people read.
    pub name: String,
    /// Where the name comes from.
    pub name_source: NameSource,
    /// What a name depends on, 16 hex digits: another signature, another name.
    pub signature: String,
    /// The terms that say most about what the members share, heaviest first, in the form that the
    /// catalogue writes most.
    pub terms: Vec<JourneyTerm>,
    /// Titles of the most typical items, the medoid first.
    pub titles: Vec<String>,
    /// Member items in time order, with their cosine to the journey; the most recent ones only
    /// where there are many.
    pub items: Vec<(SmolStr, f32)>,
    /// How many distinct items there are.
    pub size: u32,
    /// The journey's share of all weight in the user's history, 0 to 1; where weight fades, of what is
    /// left of it.
    pub strength: f32,
    /// Place among the user's journeys, from 1: by strength and confidence, and behind others that say
    /// nearly the same. Results of earlier versions have none, which reads as 0.
    #[serde(default)]
    pub rank: u32,
    /// The chance that two of the items are about one thing, 0 to 1. Results of earlier versions have
    /// none, which reads as 0.
    #[serde(default)]
    pub confidence: f32,
    /// First interaction with a member.
    pub first: Timestamp,
    /// Last interaction with a member.
    pub last: Timestamp,
    /// Lasting or passing, going on or over.
    pub stage: Stage,
}

/// A term of a journey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JourneyTerm {
    /// One or two words in the form that is commonest in the catalogue.
    pub term: SmolStr,
    /// Weight in the journey's unit vector, 0 to 1.
    pub weight: f32,
}

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameSource {
    /// Made of terms by the extraction, until a naming worker comes.
    Provisional,
    /// The name of an earlier state of the journey, or one made of terms by an earlier run, until a
    /// naming worker comes.
    Stale,
    /// Made of terms, by choice.
    Terms,
    /// Written by a language model.
    Llm,
    /// Made of terms, or kept from an earlier state of the journey that it still fits, because the
    /// model's answers failed the checks.
    Fallback,
}

impl Journey {
    /// Whether a naming worker should look at the journey.
    pub fn wants_name(&self) -> bool {
        self.name_source.wants_name()
    }
}

impl NameSource {
    /// Whether a naming worker should look at the journey.
    pub fn wants_name(self) -> bool {
        matches!(self, NameSource::Provisional | NameSource::Stale)
    }

    /// What the name of an unchanged journey is in the next run. Names made of terms by choice are
    /// offered again, because the choice may have changed since.
    fn in_next_run(self) -> NameSource {
        match self {
            NameSource::Terms => NameSource::Stale,
            other => other,
        }
    }

    /// As written in the results.
    pub fn as_str(self) -> &'static str {
        match self {
            NameSource::Provisional => "provisional",
            NameSource::Stale => "stale",
            NameSource::Terms => "terms",
            NameSource::Llm => "llm",
            NameSource::Fallback => "fallback",
        }
    }
}

/// Where a journey is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// How long the interest lasts.
    pub duration: StageDuration,
    /// Whether it goes on.
    pub activity: StageActivity,
}

/// How long an interest lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageDuration {
    /// Pursued for a month or longer.
    Evergreen,
    /// Shorter: a trip, a purchase, a season.
    Situational,
}

/// Whether an interest goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageActivity {
    /// Pursued lately.
    Ongoing,
    /// Not pursued for two months before the end of the dataset.
    Ended,
}
