//! Terms: what an item is about, in words that two items can share.
//!
//! The way from text to vector, in the order in which it runs:
//!
//! 1. [`Analyser`] cuts an item's fields into tokens: normalised, stemmed, with the form that was
//!    written kept for display.
//! 2. [`VocabularyCounter`] counts, in bounded memory, how many items each word and each pair of
//!    neighbouring words occurs in, and makes the [`Vocabulary`] of those that are worth keeping.
//! 3. [`Salience`] weighs a term of one item by what step 2 counted and perhaps by what a
//!    [`SalienceLearner`] learned, and [`TermVector`] keeps the best of them at unit length.
//! 4. [`RelatedTerms`] adds to each vector a little of what its terms go together with in the
//!    catalogue, so that items about one thing in other words meet.
//! 5. [`QuantisedVector`] is the form of step 4 that the catalogue stores: one byte a weight.

mod analyser;
mod boilerplate;
mod capitals;
mod compounds;
mod counter;
mod evidence;
#[cfg(test)]
mod examples;
mod korean;
mod learner;
mod params;
mod related;
mod relevance;
mod salience;
mod selection;
mod spill;
mod stemming;
mod stop_words;
pub(crate) mod strings;
mod surface;
mod tally;
mod text;
mod vector;
mod vocabulary;
mod words;

pub use analyser::{Analyser, Analysis, FIELDS, Field, Pair, Token};
pub use counter::{VocabularyCounter, VocabularyError};
pub use evidence::Evidence;
pub use learner::{Fold, SalienceLearner, Transition};
pub use params::{
    FieldBoosts, Language, ParamsError, SalienceMethod, SalienceParams, TERMS_PER_ITEM,
    VOCABULARY_LIMIT,
};
pub use related::{RelatedCounter, RelatedTerms};
pub use salience::Salience;
pub use vector::{QuantisedVector, TermVector};
pub use vocabulary::{Vocabulary, VocabularyStats};

// Names are compared with terms and titles word by word, in the same form.
pub(crate) use stemming::Stemming;
pub(crate) use stop_words::{phrase_only, stop_words};
pub(crate) use text::clean;
pub(crate) use words::words;

use serde::{Deserialize, Serialize};

/// Dense number of a term inside one vocabulary: its rank in byte order of the terms.
///
/// Comparing two ids of the same vocabulary therefore compares their terms, which is what makes
/// "ties: term" a comparison of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TermId(pub u32);

impl TermId {
    /// The id as a position in arrays of the vocabulary.
    pub fn position(self) -> usize {
        self.0 as usize
    }
}
