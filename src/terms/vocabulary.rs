//! The terms that are worth keeping, numbered.

use serde::{Deserialize, Serialize};

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

/// The terms of a catalogue, in byte order, with what was counted of them.
#[derive(Debug)]
pub struct Vocabulary {
    stats: VocabularyStats,
}

impl Vocabulary {
    /// How it came about.
    pub fn stats(&self) -> VocabularyStats {
        self.stats
    }

    /// Number of terms.
    pub fn len(&self) -> usize {
        (self.stats.unigrams + self.stats.bigrams) as usize
    }

    /// Whether no term was worth keeping.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
