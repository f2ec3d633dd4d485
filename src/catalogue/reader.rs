//! Reading a catalogue.

use std::path::Path;

use super::CatalogueError;
use crate::item::ItemIndex;
use crate::terms::TermId;

/// A catalogue, mapped into memory.
pub struct Catalogue {}

impl Catalogue {
    /// Maps the file and checks it from end to end.
    pub fn open(path: &Path) -> Result<Catalogue, CatalogueError> {
        let _ = path;
        todo!()
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most terms an item has.
    pub fn terms_per_item(&self) -> usize {
        todo!()
    }

    /// The id of an item; empty for an item that is not in the catalogue.
    pub fn item_id(&self, item: ItemIndex) -> &str {
        let _ = item;
        todo!()
    }

    /// The item with this id.
    pub fn find(&self, id: &str) -> Option<ItemIndex> {
        let _ = id;
        todo!()
    }

    /// The title of an item; empty for an item that is not in the catalogue.
    pub fn title(&self, item: ItemIndex) -> &str {
        let _ = item;
        todo!()
    }

    /// The popularity of an item, where the input had one.
    pub fn popularity(&self, item: ItemIndex) -> Option<f32> {
        let _ = item;
        todo!()
    }

    /// The terms of an item with weights of unit norm, in descending order of weight, at most
    /// [`Catalogue::terms_per_item`]; none for an item that is not in the catalogue.
    pub fn terms(&self, item: ItemIndex) -> impl Iterator<Item = (TermId, f32)> + '_ {
        let _ = item;
        std::iter::empty()
    }

    /// The term in the form that is matched: stems, a space between two.
    pub fn term(&self, term: TermId) -> &str {
        let _ = term;
        todo!()
    }

    /// The term in the form that is written most, for display.
    pub fn surface(&self, term: TermId) -> &str {
        let _ = term;
        todo!()
    }

    /// Number of items the term occurs in.
    pub fn document_frequency(&self, term: TermId) -> u32 {
        let _ = term;
        todo!()
    }

    /// Number of terms.
    pub fn vocabulary_len(&self) -> usize {
        todo!()
    }
}
