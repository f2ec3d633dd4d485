//! Items: what a recommender recommends and a user interacts with.

use serde::{Deserialize, Serialize};

/// Dense number of an item inside one catalogue: its rank in byte order of the item ids.
///
/// Comparing two indices of the same catalogue therefore compares their ids, which is what makes
/// "ties: item id" a comparison of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemIndex(pub u32);

impl ItemIndex {
    /// The index as a position in arrays of the catalogue.
    pub fn position(self) -> usize {
        self.0 as usize
    }
}

/// One item as it came in, before any text was analysed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The id that the outside uses; unique in a catalogue, never empty.
    pub id: String,
    /// What people see.
    pub title: String,
    /// Longer text, possibly empty.
    pub description: String,
    /// Labels that somebody gave the item.
    pub tags: Vec<String>,
    /// Search queries that led to the item.
    pub queries: Vec<String>,
    /// How popular the item is, in any unit, larger is more popular.
    pub popularity: Option<f32>,
}
