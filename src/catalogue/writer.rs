//! Writing a catalogue.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CatalogueError;
use crate::item::Item;
use crate::terms::{SalienceParams, Vocabulary};

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueSummary {
    /// Items in the catalogue.
    pub items: u64,
    /// Items among them that have no term: nothing in their text is shared with another item.
    pub without_terms: u64,
    /// Terms in the vocabulary.
    pub terms: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Writes a catalogue, one batch of items after the other, in memory that does not grow with
/// the number of items.
pub struct CatalogueWriter<'v> {
    vocabulary: &'v Vocabulary,
}

impl<'v> CatalogueWriter<'v> {
    /// Starts a catalogue that will stand at `path` once it is finished; until then nothing
    /// stands there. `scratch` takes unnamed files of about the size of the catalogue.
    pub fn create(
        path: &Path,
        vocabulary: &'v Vocabulary,
        params: &SalienceParams,
        scratch: &Path,
    ) -> Result<CatalogueWriter<'v>, CatalogueError> {
        let _ = (path, params, scratch);
        Ok(CatalogueWriter { vocabulary })
    }

    /// Adds a batch of items, in strictly ascending order of ids, over all batches.
    pub fn add(&mut self, batch: &[Item]) -> Result<(), CatalogueError> {
        let _ = batch;
        todo!()
    }

    /// Writes the file.
    pub fn finish(self) -> Result<CatalogueSummary, CatalogueError> {
        let _ = self.vocabulary;
        todo!()
    }
}
