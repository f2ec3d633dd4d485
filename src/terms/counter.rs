//! Counting terms in bounded memory.

use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use thiserror::Error;

use super::selection::Selection;
use super::spill::Spill;
use super::surface::Surfaces;
use super::tally::{Count, Key, Kind, Tally};
use super::{Analyser, ParamsError, SalienceParams, Vocabulary};
use crate::item::Item;

/// Least memory that is used, whatever the budget: the sorter alone takes 16 MiB.
const LEAST_BUDGET: usize = 32 * 1024 * 1024;

/// Memory taken while a text is counted, in multiples of the text: every word of about six
/// letters makes up to four keys of about 100 bytes (itself, the pair with its neighbour, and the
/// written form of both).
const TALLY_FACTOR: usize = 64;

/// Items that a thread counts in one table. Many enough for common words to meet, few enough for
/// all threads to have work.
const ITEMS_PER_TABLE: usize = 256;

/// Why a vocabulary could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// The parameters cannot be used.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Reading or writing a scratch file failed.
    #[error(
        "cannot count terms in scratch folder {}: {source}; make room there or choose another folder",
        scratch.display()
    )]
    Scratch {
        /// The folder for scratch files.
        scratch: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Counts in how many items each term occurs, and how it is written.
///
/// Counts are summed up in a table first, as few terms make most of all text; what does not fit
/// there is sorted on disk.
pub struct VocabularyCounter {
    params: SalienceParams,
    analyser: Analyser,
    scratch: PathBuf,
    /// A quarter is for the tables of the items at hand, a quarter for the table of all, half for
    /// the sorter's buffer.
    budget: usize,
    items: u64,
    tally: Tally,
    spill: Spill,
}

impl VocabularyCounter {
    /// A counter that keeps about `memory_budget_bytes` (at least 32 MiB) in memory and the rest
    /// in unnamed files in the folder `scratch`.
    ///
    /// The vocabulary that comes out is not part of the budget; its size is bounded by
    /// [`SalienceParams::max_vocabulary`].
    pub fn new(
        params: &SalienceParams,
        memory_budget_bytes: usize,
        scratch: &Path,
    ) -> Result<VocabularyCounter, VocabularyError> {
        params.validate()?;
        let budget = memory_budget_bytes.max(LEAST_BUDGET);
        Ok(VocabularyCounter {
            params: params.clone(),
            analyser: Analyser::new(params),
            scratch: scratch.to_owned(),
            budget,
            items: 0,
            tally: Tally::default(),
            spill: Spill::new(budget / 2, scratch),
        })
    }

    /// Counts a batch of items. The order of items and how they are cut into batches makes no
    /// difference; an item that is added twice is counted twice.
    pub fn add(&mut self, batch: &[Item]) -> Result<(), VocabularyError> {
        let mut rest = batch;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest, self.budget / 4 / TALLY_FACTOR));
            rest = later;
            let tables: Vec<Tally> = now
                .par_chunks(ITEMS_PER_TABLE)
                .map(|items| Tally::of(items, &self.analyser))
                .collect();
            for table in tables {
                self.tally.merge(table);
            }
            if self.tally.bytes > self.budget / 4 {
                self.spill()?;
            }
        }
        self.items += batch.len() as u64;
        Ok(())
    }

    /// Chooses the terms that are worth keeping.
    pub fn finish(mut self) -> Result<Vocabulary, VocabularyError> {
        self.spill()?;
        let mut chooser = Chooser::new(Selection::new(&self.params, self.items));
        self.spill
            .visit(|key, count| chooser.see(key, count))
            .map_err(|source| VocabularyError::Scratch {
                scratch: self.scratch,
                source,
            })?;
        Ok(chooser.finish())
    }

    fn spill(&mut self) -> Result<(), VocabularyError> {
        for (key, count) in self.tally.drain() {
            self.spill
                .insert(&key, count)
                .map_err(|source| VocabularyError::Scratch {
                    scratch: self.scratch.clone(),
                    source,
                })?;
        }
        Ok(())
    }
}

/// Number of items at the front whose text stays within `most_text` bytes, at least one.
fn fitting(items: &[Item], most_text: usize) -> usize {
    let mut text = 0;
    let fitting = items.iter().take_while(|item| {
        let lists = item.tags.iter().chain(&item.queries);
        text += item.title.len() + item.description.len();
        text += lists.map(String::len).sum::<usize>();
        text <= most_text
    });
    fitting.count().max(1)
}

/// Puts the sorted counts of a term together and offers it to the selection.
struct Chooser<'p> {
    selection: Selection<'p>,
    term: Option<(Kind, String, Count)>,
    surfaces: Surfaces,
}

impl<'p> Chooser<'p> {
    fn new(selection: Selection<'p>) -> Chooser<'p> {
        Chooser {
            selection,
            term: None,
            surfaces: Surfaces::default(),
        }
    }

    fn see(&mut self, key: Key<'_>, count: Count) {
        // The key without a written form comes first of its term.
        if key.surface.is_empty() {
            self.offer();
            self.term = Some((key.kind, key.stem.to_owned(), count));
        } else {
            self.surfaces.add(key.surface, count);
        }
    }

    fn offer(&mut self) {
        let Some((kind, stem, count)) = self.term.take() else {
            return;
        };
        let surface = self.surfaces.take_commonest();
        match kind {
            Kind::Word => self.selection.offer_word(&stem, &surface, count.items),
            Kind::Bigram => self.selection.offer_bigram(&stem, &surface, count.items),
        }
    }

    fn finish(mut self) -> Vocabulary {
        self.offer();
        self.selection.finish()
    }
}
