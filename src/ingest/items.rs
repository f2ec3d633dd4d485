//! Items: read, sorted by id, their terms counted, and written as the catalogue.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};

use super::IngestError;
use super::cell::{Cell, Refusal};
use super::pipeline::Ingest;
use super::progress::Phase;
use super::rejects::{InputKind, Position, Reason, Rejects};
use super::sorted::{ItemSorter, PlacedItem, SortedItems};
use super::source::Source;
use crate::catalogue::CatalogueWriter;
use crate::dataset::{CATALOGUE_FILE, Counts};
use crate::item::Item;
use crate::terms::{
    Salience, SalienceLearner, SalienceParams, Transition, Vocabulary, VocabularyCounter,
};

/// Items handed over at once: enough for all threads to have work.
const ITEMS_PER_BATCH: usize = 4_096;

/// Text handed over at once, in bytes: with long descriptions a batch of items would be large.
const TEXT_PER_BATCH: usize = 8 << 20;

/// Items whose terms were counted.
pub(super) struct CountedItems {
    pub vocabulary: Vocabulary,
    /// Sorted, as JSON lines in a scratch file.
    sorted: File,
}

/// Sorts items and counts their terms. `shared` tells which of the sources are logs of interactions,
/// too: there an item comes as often as somebody met it.
pub(super) fn count(
    ingest: &Ingest<'_>,
    sources: &[Source],
    shared: Vec<bool>,
    rejects: &mut Rejects,
    counts: &mut Counts,
) -> Result<CountedItems, IngestError> {
    let mut items = UniqueItems {
        sorted: sort(ingest, sources, rejects)?,
        shared,
        last: None,
    };
    let counted = count_terms(ingest, &mut items, rejects, counts)?;
    if counts.items == 0 {
        return Err(rejects.nothing_taken());
    }
    rejects.check()?;
    Ok(counted)
}

impl CountedItems {
    /// Writes the catalogue, over one that is there.
    pub fn write_catalogue(
        &mut self,
        ingest: &Ingest<'_>,
        salience: &Salience,
        counts: &mut Counts,
    ) -> Result<(), IngestError> {
        ingest.progress.begin(Phase::Catalogue, counts.items);
        let path = ingest.folder.join(CATALOGUE_FILE);
        let mut writer =
            CatalogueWriter::create(&path, &self.vocabulary, salience, &ingest.scratch)?;
        visit(&mut self.sorted, ingest, |batch| Ok(writer.add(batch)?))?;
        ingest.progress.begin(Phase::Related, counts.items);
        let summary = writer.finish(|items| ingest.progress.advance(items))?;
        counts.items_without_terms = summary.without_terms;
        counts.terms = summary.terms;
        Ok(())
    }

    /// Writes a catalogue that tells the places of items and not their terms.
    pub fn write_places(&mut self, ingest: &Ingest<'_>, items: u64) -> Result<(), IngestError> {
        ingest.progress.begin(Phase::Places, items);
        let path = ingest.folder.join(CATALOGUE_FILE);
        let salience = Salience::formula(&SalienceParams {
            related_share: 0.0,
            ..ingest.options.salience.clone()
        });
        let mut writer =
            CatalogueWriter::create(&path, &self.vocabulary, &salience, &ingest.scratch)?;
        visit(&mut self.sorted, ingest, |batch| {
            Ok(writer.add_without_terms(batch)?)
        })?;
        writer.finish(|_| {})?;
        Ok(())
    }

    /// Learns what terms are relevant from the items and from transitions between them.
    pub fn learn_salience(
        &mut self,
        ingest: &Ingest<'_>,
        transitions: Vec<Transition>,
        items: u64,
    ) -> Result<Salience, IngestError> {
        ingest.progress.begin(Phase::Salience, items);
        let salience = &ingest.options.salience;
        let mut learner = SalienceLearner::new(salience, &self.vocabulary, transitions);
        visit(&mut self.sorted, ingest, |batch| {
            learner.add(batch);
            Ok(())
        })?;
        Ok(learner.finish())
    }
}

/// Gives all items to `see`, in batches and in the order of their ids.
fn visit(
    sorted: &mut File,
    ingest: &Ingest<'_>,
    mut see: impl FnMut(&[Item]) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    sorted.rewind().map_err(ingest.scratch_error())?;
    let mut batch = Batch::default();
    let mut lines = BufReader::new(sorted).lines();
    loop {
        let item = lines.next().transpose().map_err(ingest.scratch_error())?;
        if item.is_none() || batch.is_full() {
            ingest.progress.check()?;
            see(&batch.items)?;
            ingest.progress.advance(batch.items.len() as u64);
            batch = Batch::default();
        }
        let Some(item) = item else { return Ok(()) };
        batch.push(serde_json::from_str(&item).map_err(|e| ingest.scratch_error()(e.into()))?);
    }
}

fn sort(
    ingest: &Ingest<'_>,
    sources: &[Source],
    rejects: &mut Rejects,
) -> Result<SortedItems, IngestError> {
    let bytes = sources.iter().map(|source| source.bytes).sum();
    ingest.progress.begin(Phase::Items, bytes);
    let mut sorter = ItemSorter::new(ingest.options.memory / 2, &ingest.scratch);
    let mut take = |position: Position, cells: &[Cell<'_>]| {
        let item = match item(cells) {
            Ok(item) => item,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let placed = PlacedItem {
            item,
            file: position.file,
            line: position.line,
        };
        sorter.insert(&placed).map_err(ingest.scratch_error())?;
        Ok(Ok(()))
    };
    let fields = ingest.options.fields.item_columns();
    ingest.read(sources, InputKind::Items, &fields, rejects, &mut take)?;
    sorter.finish().map_err(ingest.scratch_error())
}

/// Items in the order of their ids, each once: the one that came first.
struct UniqueItems {
    sorted: SortedItems,
    /// By number of the file.
    shared: Vec<bool>,
    last: Option<String>,
}

impl UniqueItems {
    fn next(
        &mut self,
        ingest: &Ingest<'_>,
        rejects: &mut Rejects,
        counts: &mut Counts,
    ) -> Result<Option<Item>, IngestError> {
        while let Some(placed) = self.sorted.next().map_err(ingest.scratch_error())? {
            ingest.progress.advance(1);
            let PlacedItem { item, file, line } = placed;
            if self.last.as_ref() != Some(&item.id) {
                self.last = Some(item.id.clone());
                return Ok(Some(item));
            }
            if self.shared.get(file as usize).copied().unwrap_or(false) {
                counts.repeated_items += 1;
                continue;
            }
            let message = format!("item {:?} is there already, the first one is kept", item.id);
            let position = Position { file, line };
            rejects.reject(position, Reason::DuplicateItem, &message, &item.title)?;
        }
        Ok(None)
    }
}

/// Counts the terms of all items.
fn count_terms(
    ingest: &Ingest<'_>,
    items: &mut UniqueItems,
    rejects: &mut Rejects,
    counts: &mut Counts,
) -> Result<CountedItems, IngestError> {
    ingest.progress.begin(Phase::Terms, items.sorted.len());
    let file = tempfile::tempfile_in(&ingest.scratch).map_err(ingest.scratch_error())?;
    let mut sorted = BufWriter::new(file);
    let mut counter = VocabularyCounter::new(
        &ingest.options.salience,
        ingest.options.memory / 2,
        &ingest.scratch,
    )?;
    let mut batch = Batch::default();
    loop {
        let item = items.next(ingest, rejects, counts)?;
        if item.is_none() || batch.is_full() {
            ingest.progress.check()?;
            counter.add(&batch.items)?;
            batch = Batch::default();
        }
        let Some(item) = item else { break };
        serde_json::to_writer(&mut sorted, &item)
            .map_err(io::Error::from)
            .and_then(|()| sorted.write_all(b"\n"))
            .map_err(ingest.scratch_error())?;
        counts.items += 1;
        batch.push(item);
    }
    let sorted = sorted
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .map_err(ingest.scratch_error())?;
    Ok(CountedItems {
        vocabulary: counter.finish()?,
        sorted,
    })
}

/// Items on their way to all threads, bounded in number and in text.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    text: usize,
}

impl Batch {
    fn push(&mut self, item: Item) {
        let lists = item
            .tags
            .iter()
            .chain(&item.queries)
            .map(String::len)
            .sum::<usize>();
        self.text += item.title.len() + item.description.len() + lists;
        self.items.push(item);
    }

    fn is_full(&self) -> bool {
        self.items.len() >= ITEMS_PER_BATCH || self.text >= TEXT_PER_BATCH
    }
}

/// An item from the cells of its fields.
fn item(cells: &[Cell<'_>]) -> Result<Item, Refusal> {
    let [id, title, description, tags, queries, popularity] = cells else {
        return Err((Reason::Unparsable, "it has not the cells of an item".into()));
    };
    Ok(Item {
        id: id.id("item_id")?,
        title: title.text(),
        description: description.text(),
        tags: tags.list(),
        queries: queries.list(),
        popularity: popularity.weight("popularity")?,
    })
}
