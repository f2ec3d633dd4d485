//! The terms that are worth keeping, numbered.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::TermId;
use super::strings::Strings;

/// How a vocabulary came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VocabularyStats {
    /// Items counted.
    pub items: u64,
    /// Single words in the vocabulary.
    pub unigrams: u64,
    /// Pairs of neighbouring words in the vocabulary.
    pub bigrams: u64,
    /// Terms that were good enough but cut, because the vocabulary was full.
    pub cut: u64,
}

/// The terms of a catalogue in byte order, with what was counted of them.
///
/// A word is its stem ("hydropon"), a bigram two stems and a space ("hydropon system").
#[derive(Debug)]
pub struct Vocabulary {
    terms: Terms,
    /// Positions by hash of the stem form: every word of every item is looked up, and a search in
    /// four million sorted strings waits for memory twenty times.
    index: HashTable<u32>,
    stats: VocabularyStats,
}

/// The columns of a vocabulary, one entry a term.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) stems: Strings,
    pub(super) surfaces: Strings,
    pub(super) document_frequencies: Vec<u32>,
    /// Of bigrams; 0 for words.
    pub(super) npmi: Vec<f32>,
}

impl Vocabulary {
    /// The vocabulary of terms whose stems are in strictly ascending byte order.
    pub(super) fn new(terms: Terms, stats: VocabularyStats) -> Vocabulary {
        let mut index = HashTable::with_capacity(terms.stems.len());
        let hash = |&position: &u32| hash(terms.stems.get(position as usize).unwrap_or(""));
        for position in 0..terms.stems.len() as u32 {
            index.insert_unique(hash(&position), position, hash);
        }
        Vocabulary {
            terms,
            index,
            stats,
        }
    }

    /// Counts items to terms that occur in more of them than was counted.
    pub(super) fn add_items(&mut self, more: Vec<(TermId, u32)>) {
        let most = u32::try_from(self.stats.items).unwrap_or(u32::MAX);
        for (term, items) in more {
            let frequency = &mut self.terms.document_frequencies[term.position()];
            *frequency = frequency.saturating_add(items).min(most);
        }
    }

    /// How it came about.
    pub fn stats(&self) -> VocabularyStats {
        self.stats
    }

    /// Number of terms.
    pub fn len(&self) -> usize {
        self.terms.stems.len()
    }

    /// Whether no term was worth keeping.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The term with this stem form.
    pub fn find(&self, stem: &str) -> Option<TermId> {
        let is_stem = |&position: &u32| self.terms.stems.get(position as usize) == Some(stem);
        self.index.find(hash(stem), is_stem).copied().map(TermId)
    }

    /// The form that is matched, empty for a term that is not in the vocabulary.
    pub fn term(&self, term: TermId) -> &str {
        self.terms.stems.get(term.position()).unwrap_or("")
    }

    /// The form that is written most, empty for a term that is not in the vocabulary.
    pub fn surface(&self, term: TermId) -> &str {
        self.terms.surfaces.get(term.position()).unwrap_or("")
    }

    /// Number of items that the term occurs in, 0 for a term that is not in the vocabulary.
    pub fn document_frequency(&self, term: TermId) -> u32 {
        self.terms
            .document_frequencies
            .get(term.position())
            .copied()
            .unwrap_or(0)
    }

    /// For a bigram, its normalised pointwise mutual information; none for a word.
    pub fn npmi(&self, term: TermId) -> Option<f64> {
        let is_bigram = self.term(term).contains(' ');
        self.terms
            .npmi
            .get(term.position())
            .filter(|_| is_bigram)
            .map(|&npmi| f64::from(npmi))
    }

    pub(crate) fn stems(&self) -> &Strings {
        &self.terms.stems
    }

    pub(crate) fn surfaces(&self) -> &Strings {
        &self.terms.surfaces
    }

    pub(crate) fn document_frequencies(&self) -> &[u32] {
        &self.terms.document_frequencies
    }
}

fn hash(stem: &str) -> u64 {
    xxh3_64(stem.as_bytes())
}
