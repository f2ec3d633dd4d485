//! What decides which terms an item gets and how much each counts.

use std::ops::RangeInclusive;

use rust_stemmers::Algorithm;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How many terms of an item are kept, at least and at most.
///
/// Below eight an item has too little to share with others; above sixteen the weights are noise
/// and the record of an item no longer fits in two cache lines.
pub const TERMS_PER_ITEM: RangeInclusive<usize> = 8..=16;

/// Most terms a vocabulary can hold: ids are `u32` and the last one marks an empty slot.
pub const VOCABULARY_LIMIT: usize = u32::MAX as usize;

/// How much an occurrence in each field of an item counts.
///
/// Equal boosts are the default because they cluster best: on mixes of four curated collections
/// from three sources and the demo's population, a title that counts twice costs 0.01 of the
/// adjusted Rand index, one that counts three times 0.04. Titles are often playful, descriptions say what it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldBoosts {
    /// The title: short, and somebody chose every word of it.
    pub title: f64,
    /// Labels.
    pub tags: f64,
    /// Search queries that led to the item: people's own words for it.
    pub queries: f64,
    /// Longer text, where most words say little.
    pub description: f64,
}

impl Default for FieldBoosts {
    fn default() -> Self {
        FieldBoosts {
            title: 1.0,
            tags: 1.0,
            queries: 1.0,
            description: 1.0,
        }
    }
}

/// The language whose stemmer is applied, to the tokens of the script it is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the variants are the names of languages")]
pub enum Language {
    /// No stemming: tokens match when they are equal but for case and accents.
    Any,
    Arabic,
    Danish,
    Dutch,
    #[default]
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
}

impl Language {
    pub(crate) fn algorithm(self) -> Option<Algorithm> {
        Some(match self {
            Language::Any => return None,
            Language::Arabic => Algorithm::Arabic,
            Language::Danish => Algorithm::Danish,
            Language::Dutch => Algorithm::Dutch,
            Language::English => Algorithm::English,
            Language::Finnish => Algorithm::Finnish,
            Language::French => Algorithm::French,
            Language::German => Algorithm::German,
            Language::Greek => Algorithm::Greek,
            Language::Hungarian => Algorithm::Hungarian,
            Language::Italian => Algorithm::Italian,
            Language::Norwegian => Algorithm::Norwegian,
            Language::Portuguese => Algorithm::Portuguese,
            Language::Romanian => Algorithm::Romanian,
            Language::Russian => Algorithm::Russian,
            Language::Spanish => Algorithm::Spanish,
            Language::Swedish => Algorithm::Swedish,
            Language::Tamil => Algorithm::Tamil,
            Language::Turkish => Algorithm::Turkish,
        })
    }
}

/// Where the weight of a term comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SalienceMethod {
    /// A formula of what is counted.
    Formula,
    /// The formula, times how relevant terms are by what was learned from the fields of the items and
    /// from what users took up one after the other.
    #[default]
    Learned,
}

/// Parameters of term analysis and salience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SalienceParams {
    /// Where the weights come from.
    pub method: SalienceMethod,
    /// Whose stemmer and stop words are applied.
    pub language: Language,
    /// What an occurrence counts, by field.
    pub boosts: FieldBoosts,
    /// Terms kept of each item, 8 to 16. With 12, an item's record fills one cache line; 16, the
    /// default, gain 0.02 of the adjusted Rand index on curated collections for a third more bytes.
    pub terms_per_item: usize,
    /// Items a term has to occur in. A term of one item alone can never connect it to another, yet
    /// would take its part of the vector's length: hence 2.
    pub min_df: u32,
    /// Items a bigram has to occur in; none chooses by the size of the catalogue, see
    /// [`SalienceParams::bigram_floor`].
    pub bigram_min_df: Option<u32>,
    /// Normalised pointwise mutual information a bigram has to reach, -1 to 1: 0 is two words
    /// that meet by chance, 1 two words that never go apart. Read by eye on films, shop items and
    /// links, nearly all pairs above 0.25 are phrases or names; from 0.15 to 0.25 about half.
    pub bigram_min_npmi: f64,
    /// Lambda: a bigram's weight is multiplied by `1 + lambda * NPMI`.
    pub bigram_bonus: f64,
    /// What is left of the weight of a word where all its occurrences stand in admitted bigrams,
    /// times the share of its items that do not have the bigram. At one half, the two words of a
    /// phrase together have at most half of its squared weight, so that a phrase does not count
    /// three times, while an item with one of its words is still related.
    pub bigram_damping: f64,
    /// How much of an item's vector comes from terms that its own terms go together with in the
    /// catalogue, 0 to 0.5. At a quarter, the adjusted Rand index of mixes of unlike collections
    /// gains 0.02 and that of like ones nothing; at more, like ones lose.
    pub related_share: f64,
    /// Most terms the vocabulary may hold; beyond, the rarest are cut. Four million terms take
    /// about 300 MB while a catalogue is made.
    pub max_vocabulary: usize,
}

impl Default for SalienceParams {
    fn default() -> Self {
        SalienceParams {
            method: SalienceMethod::default(),
            language: Language::English,
            boosts: FieldBoosts::default(),
            terms_per_item: 16,
            min_df: 2,
            bigram_min_df: None,
            bigram_min_npmi: 0.25,
            bigram_bonus: 0.5,
            bigram_damping: 0.5,
            related_share: 0.25,
            max_vocabulary: 4_000_000,
        }
    }
}

impl SalienceParams {
    /// Checks every value against its bounds.
    pub fn validate(&self) -> Result<(), ParamsError> {
        let boosts = [
            ("boosts.title", self.boosts.title),
            ("boosts.tags", self.boosts.tags),
            ("boosts.queries", self.boosts.queries),
            ("boosts.description", self.boosts.description),
        ];
        for (name, boost) in boosts {
            within(name, boost, 0.0..=1000.0)?;
        }
        if boosts.iter().all(|&(_, boost)| boost == 0.0) {
            return Err(ParamsError::NothingCounts);
        }
        let terms = TERMS_PER_ITEM;
        let counts = [
            (
                "terms_per_item",
                self.terms_per_item,
                *terms.start(),
                *terms.end(),
            ),
            ("min_df", self.min_df as usize, 1, u32::MAX as usize),
            (
                "bigram_min_df",
                self.bigram_min_df.unwrap_or(1) as usize,
                1,
                u32::MAX as usize,
            ),
            ("max_vocabulary", self.max_vocabulary, 1, VOCABULARY_LIMIT),
        ];
        for (name, value, low, high) in counts {
            if !(low..=high).contains(&value) {
                return Err(ParamsError::OutOfRange {
                    name,
                    value: value as f64,
                    low: low as f64,
                    high: high as f64,
                });
            }
        }
        within("bigram_min_npmi", self.bigram_min_npmi, -1.0..=1.0)?;
        within("bigram_bonus", self.bigram_bonus, 0.0..=10.0)?;
        within("bigram_damping", self.bigram_damping, 0.0..=1.0)?;
        within("related_share", self.related_share, 0.0..=0.5)
    }

    /// Items a bigram has to occur in, in a catalogue of `items` items.
    ///
    /// Unless set, it is the number of digits of `items`, less one, but at least 2: 3 among a
    /// thousand items, 5 among a hundred thousand, 7 among ten million. The number of pairs that
    /// meet by chance grows with the catalogue, and one more item of evidence for each tenfold
    /// keeps pace with it, while a catalogue of a few hundred items keeps its phrases.
    pub fn bigram_floor(&self, items: u64) -> u32 {
        const FEWEST: u32 = 2;
        self.bigram_min_df
            .unwrap_or_else(|| items.checked_ilog10().unwrap_or(0).max(FEWEST))
            .max(self.min_df)
    }
}

fn within(name: &'static str, value: f64, bounds: RangeInclusive<f64>) -> Result<(), ParamsError> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(ParamsError::OutOfRange {
        name,
        value,
        low: *bounds.start(),
        high: *bounds.end(),
    })
}

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// A number lies outside its bounds (or is not a number).
    #[error("salience parameter {name} is {value}, it has to be between {low} and {high}")]
    OutOfRange {
        /// The parameter, as it is written in a settings file.
        name: &'static str,
        /// What it was set to.
        value: f64,
        /// The smallest value allowed.
        low: f64,
        /// The largest value allowed.
        high: f64,
    },
    /// All boosts are zero, so that no item would have a term.
    #[error(
        "all of boosts.title, boosts.tags, boosts.queries and boosts.description are 0, at least one has to be above"
    )]
    NothingCounts,
}
