//! The rows of files of curated collections.

use std::io::BufRead;

use serde::Deserialize;

use super::CuratedError;
use crate::ingest::{IngestProgress, Source, resolve_all};
use crate::item::Item;

/// Longest row, in bytes: a collection of thousands of items.
const MAX_ROW: u64 = 16 << 20;

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

/// A row, and where it stands.
pub(super) struct Row {
    /// Name of the file.
    pub source: String,
    /// From 1.
    pub line: u64,
    pub collection: Collection,
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
pub(super) fn read(locations: &[String]) -> Result<Vec<Row>, CuratedError> {
    let mut rows = Vec::new();
    for source in resolve_all(locations)? {
        read_file(&source, &mut rows)?;
    }
    Ok(rows)
}

fn read_file(source: &Source, rows: &mut Vec<Row>) -> Result<(), CuratedError> {
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
        let collection = serde_json::from_slice(&line).map_err(|error| CuratedError::Row {
            file: source.name.clone(),
            line: number,
            reason: error.to_string(),
        })?;
        rows.push(Row {
            source: source.name.clone(),
            line: number,
            collection,
        });
    }
    Ok(())
}
