//! Curated collections: items that people have put together under a title.

use std::io::BufRead;

use serde::Deserialize;

use super::TuningError;
use crate::ingest::{IngestProgress, Source, resolve_all};
use crate::item::Item;

/// Longest row, in bytes: a collection of thousands of items.
const MAX_ROW: u64 = 16 << 20;

/// A row. What else it says is not needed.
#[derive(Debug, Deserialize)]
pub(super) struct Collection {
    pub title: String,
    pub items: Vec<CollectionItem>,
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

/// All rows of all files, in the order of the files' names.
pub(super) fn read(locations: &[String]) -> Result<Vec<Collection>, TuningError> {
    let mut collections = Vec::new();
    for source in resolve_all(locations)? {
        read_file(&source, &mut collections)?;
    }
    Ok(collections)
}

fn read_file(source: &Source, collections: &mut Vec<Collection>) -> Result<(), TuningError> {
    let progress = IngestProgress::default();
    let mut input = source.open(&progress)?;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut row = std::io::Read::take(&mut input, MAX_ROW);
        let read = row.read_until(b'\n', &mut line);
        if read.map_err(|error| source.failed(error))? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let collection = serde_json::from_slice(&line).map_err(|error| TuningError::Row {
            file: source.name.clone(),
            line: number,
            reason: error.to_string(),
        })?;
        collections.push(collection);
    }
    Ok(())
}
