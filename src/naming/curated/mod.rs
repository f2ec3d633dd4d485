//! Curated collections: items that people have put together under a title. Each is taken for the
//! journey of somebody who came to all of it, with the title as the name that a person would give.

mod rows;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use self::rows::Row;
use super::Template;
use super::grounding::Evidence;
use super::prompt::Description;
use crate::catalogue::{Catalogue, CatalogueError, CatalogueWriter};
use crate::ingest::IngestError;
use crate::item::{Item, ItemIndex};
use crate::journey::{Extractor, Journey, JourneyParams};
use crate::terms::{SalienceParams, VocabularyCounter, VocabularyError};

/// Items that are analysed at once.
const BATCH: usize = 1024;

/// A collection as a journey.
#[derive(Clone, Debug)]
pub(super) struct Curated {
    /// Name of the file that it is from.
    pub source: String,
    /// Its line there, from 1.
    pub line: u64,
    /// What it is about, as widely as its row says; empty where that says nothing.
    pub subject: String,
    /// What people called it.
    pub title: String,
    pub journey: Journey,
}

/// What files hold.
pub(super) struct Read {
    pub curated: Vec<Curated>,
    /// Collections that were read.
    pub collections: u64,
    /// Collections of whose items none has a term.
    pub without_terms: u64,
}

/// Why collections cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CuratedError {
    /// A file cannot be read.
    #[error(transparent)]
    Input(#[from] IngestError),
    /// A row is no collection.
    #[error("{file}, line {line}: it is no collection: {reason}")]
    Row {
        /// The file.
        file: String,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The terms of the items cannot be counted.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The terms of the items cannot be written or read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// There is no room for scratch files.
    #[error("{path}: {source}")]
    Scratch {
        /// Where they were to stand.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads files of JSON lines with `title` and `items`, each of which has a `title` and perhaps a
/// `description` and `tags`. All files together are one catalogue.
pub(super) fn read(locations: &[String], salience: &SalienceParams) -> Result<Read, CuratedError> {
    let rows = rows::read(locations)?;
    let mut read = Read {
        curated: Vec::new(),
        collections: rows.len() as u64,
        without_terms: 0,
    };
    let mut items: Vec<Item> = Vec::new();
    let mut found: Vec<(Row, Vec<ItemIndex>)> = Vec::new();
    for mut row in rows {
        let first = items.len();
        let own = std::mem::take(&mut row.collection.items).into_iter();
        items.extend(own.zip(first..).map(|(item, number)| item.item(number)));
        // Numbered in the order of their ids, as they are in the catalogue.
        let numbers = (first..items.len()).map(|number| ItemIndex(number as u32));
        found.push((row, numbers.collect()));
    }
    let catalogue = Arc::new(catalogue(&items, salience)?);
    let mut extractor = Extractor::new(catalogue, JourneyParams::default(), 0);
    for (row, items) in found {
        let Some(journey) = extractor.describe(&items) else {
            read.without_terms += 1;
            continue;
        };
        read.curated.push(Curated {
            subject: row.collection.subject(),
            source: row.source,
            line: row.line,
            title: row.collection.title,
            journey,
        });
    }
    Ok(read)
}

/// The file is unlinked when it is mapped, and goes away with the catalogue.
fn catalogue(items: &[Item], salience: &SalienceParams) -> Result<Catalogue, CuratedError> {
    let scratch = tempfile::tempdir().map_err(|source| CuratedError::Scratch {
        path: std::env::temp_dir(),
        source,
    })?;
    let mut counter = VocabularyCounter::new(salience, 0, scratch.path())?;
    for batch in items.chunks(BATCH) {
        counter.add(batch)?;
    }
    let vocabulary = counter.finish()?;
    let path = scratch.path().join("catalogue");
    let mut writer = CatalogueWriter::create(&path, &vocabulary, salience, scratch.path())?;
    for batch in items.chunks(BATCH) {
        writer.add(batch)?;
    }
    writer.finish()?;
    Ok(Catalogue::open(&path)?)
}

impl Curated {
    /// Of what is asked about it: a model cannot know the rest.
    pub(super) fn evidence(&self, template: &Template) -> Evidence {
        let Description { terms, titles } = Description::of(template, &self.journey);
        let terms = terms.iter().map(|term| (&**term, 1.0));
        Evidence::of(template.rules(), titles.iter().map(|title| &**title), terms)
    }
}
