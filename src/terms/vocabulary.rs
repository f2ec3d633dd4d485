//! The terms that are worth keeping, numbered.

use serde::{Deserialize, Serialize};

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
#[derive(Debug, Default)]
pub struct Vocabulary {
    pub(super) stems: Strings,
    pub(super) surfaces: Strings,
    pub(super) document_frequencies: Vec<u32>,
    /// Of bigrams; 0 for words.
    pub(super) npmi: Vec<f32>,
    pub(super) stats: VocabularyStats,
}

impl Vocabulary {
    /// How it came about.
    pub fn stats(&self) -> VocabularyStats {
        self.stats
    }

    /// Number of terms.
    pub fn len(&self) -> usize {
        self.stems.len()
    }

    /// Whether no term was worth keeping.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The term with this stem form.
    pub fn find(&self, stem: &str) -> Option<TermId> {
        self.stems
            .find(stem)
            .map(|position| TermId(position as u32))
    }

    /// The form that is matched, empty for a term that is not in the vocabulary.
    pub fn term(&self, term: TermId) -> &str {
        self.stems.get(term.position()).unwrap_or("")
    }

    /// The form that is written most, empty for a term that is not in the vocabulary.
    pub fn surface(&self, term: TermId) -> &str {
        self.surfaces.get(term.position()).unwrap_or("")
    }

    /// Number of items that the term occurs in, 0 for a term that is not in the vocabulary.
    pub fn document_frequency(&self, term: TermId) -> u32 {
        self.document_frequencies
            .get(term.position())
            .copied()
            .unwrap_or(0)
    }

    /// For a bigram, its normalised pointwise mutual information; none for a word.
    pub fn npmi(&self, term: TermId) -> Option<f64> {
        let is_bigram = self.term(term).contains(' ');
        self.npmi
            .get(term.position())
            .filter(|_| is_bigram)
            .map(|&npmi| f64::from(npmi))
    }

    pub(crate) fn stems(&self) -> &Strings {
        &self.stems
    }

    pub(crate) fn surfaces(&self) -> &Strings {
        &self.surfaces
    }

    pub(crate) fn document_frequencies(&self) -> &[u32] {
        &self.document_frequencies
    }
}
