//! Curated collections: items that people have put together under a title. Each is taken for the
//! journey of somebody who came to all of it, with the title as the name that a person would give.

mod collection;

use std::sync::Arc;

use self::collection::Collection;
use super::Template;
use super::grounding::Evidence;
use super::prompt::Description;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::ingest::{JsonRow, JsonRowError, json_rows};
use crate::item::{Item, ItemIndex};
use crate::journey::{Extractor, Journey, JourneyParams};
use crate::terms::SalienceParams;

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
    /// The rows cannot be read.
    #[error(transparent)]
    Rows(#[from] JsonRowError),
    /// The terms of the items cannot be counted, written or read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// Reads files of JSON lines with `title` and `items`, each of which has a `title` and perhaps a
/// `description` and `tags`. All files together are one catalogue.
pub(super) fn read(locations: &[String], salience: &SalienceParams) -> Result<Read, CuratedError> {
    let rows = json_rows::<Collection>(locations, "collection")?;
    let mut read = Read {
        curated: Vec::new(),
        collections: rows.len() as u64,
        without_terms: 0,
    };
    let mut items: Vec<Item> = Vec::new();
    let mut found: Vec<(JsonRow<Collection>, Vec<ItemIndex>)> = Vec::new();
    for mut row in rows {
        let first = items.len();
        let own = std::mem::take(&mut row.row.items).into_iter();
        items.extend(own.zip(first..).map(|(item, number)| item.item(number)));
        // Numbered in the order of their ids, as they are in the catalogue.
        let numbers = (first..items.len()).map(|number| ItemIndex(number as u32));
        found.push((row, numbers.collect()));
    }
    let catalogue = Arc::new(Catalogue::of_items(&items, salience)?);
    let mut extractor = Extractor::new(catalogue, JourneyParams::default(), 0);
    for (JsonRow { source, line, row }, items) in found {
        let Some(journey) = extractor.describe(&items) else {
            read.without_terms += 1;
            continue;
        };
        read.curated.push(Curated {
            subject: row.subject(),
            source,
            line,
            title: row.title,
            journey,
        });
    }
    Ok(read)
}

impl Curated {
    /// Of what is asked about it: a model cannot know the rest.
    pub(super) fn evidence(&self, template: &Template) -> Evidence {
        let Description { terms, titles } = Description::of(template, &self.journey);
        let terms = terms.iter().map(|term| (&**term, 1.0));
        Evidence::of(template.rules(), titles.iter().map(|title| &**title), terms)
    }
}
