//! Counting terms in bounded memory.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{ParamsError, SalienceParams, Vocabulary};
use crate::item::Item;

/// Counts in how many items each term occurs, and how it is written.
pub struct VocabularyCounter {}

/// Why a vocabulary could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// The parameters cannot be used.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Reading or writing a scratch file failed.
    #[error("cannot count terms in scratch folder {}: {source}; free space there or choose another", scratch.display())]
    Scratch {
        /// The folder for scratch files.
        scratch: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl VocabularyCounter {
    /// A counter that keeps about `memory_budget_bytes` in memory and the rest in unnamed files
    /// in `scratch`.
    pub fn new(
        params: &SalienceParams,
        memory_budget_bytes: usize,
        scratch: &Path,
    ) -> Result<VocabularyCounter, VocabularyError> {
        let _ = (params, memory_budget_bytes, scratch);
        todo!()
    }

    /// Counts a batch of items. The order of items and how they are cut into batches makes no
    /// difference; an item that is added twice is counted twice.
    pub fn add(&mut self, batch: &[Item]) -> Result<(), VocabularyError> {
        let _ = batch;
        todo!()
    }

    /// Chooses the terms that are worth keeping.
    pub fn finish(self) -> Result<Vocabulary, VocabularyError> {
        todo!()
    }
}
