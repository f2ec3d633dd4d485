//! Data to tune a model with: the names that people gave to collections, as answers to the questions
//! that would be asked about them.

mod collections;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use self::collections::Collection;
use super::Template;
use super::answer::check_together;
use super::grounding::Evidence;
use super::prompt::{Asked, AskedUser, Description, id, question};
use crate::catalogue::{Catalogue, CatalogueError, CatalogueWriter};
use crate::ingest::IngestError;
use crate::item::{Item, ItemIndex};
use crate::journey::{Extractor, Journey, JourneyParams};
use crate::terms::{SalienceParams, VocabularyCounter, VocabularyError};

/// Items that are analysed at once.
const BATCH: usize = 1024;

/// What to export, and how.
#[derive(Clone, Debug)]
pub struct TuningOptions {
    /// Files, folders, globs or URLs of JSON lines with `title` and `items`, each of which has a
    /// `title` and perhaps a `description` and `tags`.
    pub collections: Vec<String>,
    /// Journeys in one question, at most; those that follow one another are one user's.
    pub journeys_per_call: usize,
    /// How terms are weighed.
    pub salience: SalienceParams,
    /// How is asked, and which names would be refused.
    pub template: Template,
}

/// What became of the collections. Each is named or left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TuningCounts {
    /// Collections that were read.
    pub collections: u64,
    /// Questions that were written, one a line.
    pub questions: u64,
    /// Names in them.
    pub names: u64,
    /// Collections of whose items none has a term.
    pub without_terms: u64,
    /// Collections whose titles would be refused as names, by the reason.
    pub refused: BTreeMap<String, u64>,
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuningError {
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
    /// There is no name to learn from.
    #[error("none of {collections} collections has a title that could be a name")]
    Nothing {
        /// How many there are.
        collections: u64,
    },
    /// The terms of the items cannot be counted.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The terms of the items cannot be written or read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// Where it was to stand.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes questions about curated collections with the answers that people gave, in the chat form
/// that fine-tuning takes: one object with `messages` a line. What is asked is what a naming worker
/// with the same template would ask if each collection were a journey, but for the examples, which a
/// tuned model does not need. A title that would be refused as a name is left out. The file appears
/// when it is whole.
///
/// Input in object stores needs a Tokio runtime, and a thread of it that may block.
///
/// # Errors
/// When the input cannot be read or the file not be written, or there is no name in it.
pub fn export_tuning(options: &TuningOptions, out: &Path) -> Result<TuningCounts, TuningError> {
    let unwritable = |source: io::Error| TuningError::Write {
        path: out.into(),
        source,
    };
    let mut counts = TuningCounts::default();
    let named = journeys(options, &mut counts)?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(unwritable)?;
    let mut lines = io::BufWriter::new(file.as_file_mut());
    for user in named.chunks(options.journeys_per_call.max(1)) {
        if let Some(line) = conversation(&options.template, user, &mut counts) {
            writeln!(lines, "{line}").map_err(unwritable)?;
        }
    }
    lines.flush().map_err(unwritable)?;
    drop(lines);
    if counts.names == 0 {
        let collections = counts.collections;
        return Err(TuningError::Nothing { collections });
    }
    file.persist(out).map_err(|error| unwritable(error.error))?;
    Ok(counts)
}

/// What people named, and how they called it.
struct Named {
    name: String,
    journey: Journey,
}

/// Each collection as the journey of somebody who came to all of it.
fn journeys(options: &TuningOptions, counts: &mut TuningCounts) -> Result<Vec<Named>, TuningError> {
    let collections = collections::read(&options.collections)?;
    counts.collections = collections.len() as u64;
    let mut items: Vec<Item> = Vec::new();
    let mut titles: Vec<(String, Vec<ItemIndex>)> = Vec::new();
    for Collection { title, items: own } in collections {
        let first = items.len();
        items.extend(
            own.into_iter()
                .zip(first..)
                .map(|(item, number)| item.item(number)),
        );
        // Numbered in the order of their ids, as they are in the catalogue.
        let numbers = (first..items.len()).map(|number| ItemIndex(number as u32));
        titles.push((title, numbers.collect()));
    }
    let catalogue = Arc::new(catalogue(&items, &options.salience)?);
    let mut extractor = Extractor::new(catalogue, JourneyParams::default(), 0);
    let mut named = Vec::new();
    for (name, items) in titles {
        match extractor.describe(&items) {
            Some(journey) => named.push(Named { name, journey }),
            None => counts.without_terms += 1,
        }
    }
    Ok(named)
}

/// The file is unlinked when it is mapped, and goes away with the catalogue.
fn catalogue(items: &[Item], salience: &SalienceParams) -> Result<Catalogue, TuningError> {
    let scratch = tempfile::tempdir().map_err(|source| TuningError::Write {
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

/// A question about some journeys of one user, and its answer; none where no title will do.
fn conversation(template: &Template, user: &[Named], counts: &mut TuningCounts) -> Option<Value> {
    let names: Vec<&str> = user.iter().map(|named| named.name.as_str()).collect();
    // Of what is asked: a model cannot know the rest.
    let evidence = user.iter().map(|named| {
        let Description { terms, titles } = Description::of(template, &named.journey);
        let terms = terms.iter().map(|term| (&**term, 1.0));
        Evidence::of(template.rules(), titles.iter().map(|title| &**title), terms)
    });
    let evidence: Vec<Evidence> = evidence.collect();
    let checked = check_together(template, &names, &evidence, &[]);
    let (mut journeys, mut answers) = (Vec::new(), Vec::new());
    for (named, name) in user.iter().zip(checked) {
        match name {
            Ok(name) => {
                let id = id(1, journeys.len());
                answers.push(json!({"id": id, "name": name}));
                journeys.push(Asked {
                    id,
                    journey: &named.journey,
                });
            }
            Err(rejection) => *counts.refused.entry(rejection.to_string()).or_default() += 1,
        }
    }
    if answers.is_empty() {
        return None;
    }
    counts.questions += 1;
    counts.names += answers.len() as u64;
    let user = AskedUser {
        journeys,
        taken: Vec::new(),
    };
    let instructions = template.prefix().first();
    Some(json!({"messages": [
        instructions,
        {"role": "user", "content": question(template, &[user])},
        {"role": "assistant", "content": json!({"names": answers}).to_string()},
    ]}))
}
