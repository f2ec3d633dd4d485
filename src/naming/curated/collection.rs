//! A row of a file of curated collections.

use serde::Deserialize;

use crate::item::Item;

/// A row. What else it says is not needed.
#[derive(Debug, Deserialize)]
pub(super) struct Collection {
    pub title: String,
    pub items: Vec<CollectionItem>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    path: Option<Vec<String>>,
    #[serde(default)]
    source: Option<String>,
}

impl Collection {
    /// What it is about, as widely as its row says: to spread a sample over subjects.
    pub(super) fn subject(&self) -> String {
        let path = self.path.as_ref().and_then(|path| path.first());
        let subject = self.category.as_ref().or(path).or(self.source.as_ref());
        subject.cloned().unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct CollectionItem {
    title: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl CollectionItem {
    /// As an item of a catalogue. Ids ascend with `number`.
    pub(super) fn item(self, number: usize) -> Item {
        Item {
            id: format!("{number:010}"),
            title: self.title,
            description: self.description.unwrap_or_default(),
            tags: self.tags.unwrap_or_default(),
            ..Item::default()
        }
    }
}
