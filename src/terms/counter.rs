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

/// Items that a thread counts in one tally. Many enough for common words to meet, few enough for
/// all threads to have work.
const ITEMS_PER_TALLY: usize = 512;

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
/// Some hundred items at a time are counted in a table, as few terms make most of all text; the
/// tables are sorted and summed up, on disk where they do not fit into memory.
pub struct VocabularyCounter {
    params: SalienceParams,
    analyser: Analyser,
    scratch: PathBuf,
    /// Bytes of text that are counted at a time.
    most_text: usize,
    items: u64,
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
            // Half of the budget is for the tallies of the items at hand, half for sorting.
            most_text: budget / 2 / TALLY_FACTOR,
            items: 0,
            spill: Spill::new(budget / 2, scratch),
        })
    }

    /// Counts a batch of items. The order of items and how they are cut into batches makes no
    /// difference; an item that is added twice is counted twice.
    pub fn add(&mut self, batch: &[Item]) -> Result<(), VocabularyError> {
        let mut rest = batch;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest, self.most_text));
            rest = later;
            let tallies: Vec<Tally> = now
                .par_chunks(ITEMS_PER_TALLY)
                .map(|items| Tally::of(items, &self.analyser))
                .collect();
            self.spill(tallies)
                .map_err(|source| VocabularyError::Scratch {
                    scratch: self.scratch.clone(),
                    source,
                })?;
        }
        self.items += batch.len() as u64;
        Ok(())
    }

    /// Chooses the terms that are worth keeping.
    pub fn finish(self) -> Result<Vocabulary, VocabularyError> {
        let mut chooser = Chooser::new(Selection::new(&self.params, self.items));
        self.spill
            .visit(|key, count| chooser.see(key, count))
            .map_err(|source| VocabularyError::Scratch {
                scratch: self.scratch,
                source,
            })?;
        Ok(chooser.finish())
    }

    fn spill(&mut self, tallies: Vec<Tally>) -> io::Result<()> {
        for (key, count) in tallies.into_iter().flat_map(Tally::into_counts) {
            self.spill.insert(&key, count)?;
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
            if self.selection.is_frequent(key.kind, count.items) {
                self.term = Some((key.kind, key.stem.to_owned(), count));
            }
        } else if self.term.is_some() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::TermId;

    fn items() -> Vec<Item> {
        let item = |i: u32| Item {
            title: format!("Growing word{} and word{}", i % 97, i % 89),
            tags: if i.is_multiple_of(4) {
                vec!["Hydroponic-Systems".into()]
            } else {
                Vec::new()
            },
            ..Item::default()
        };
        (0..2000).map(item).collect()
    }

    fn count(batches: &[&[Item]]) -> Vocabulary {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let params = SalienceParams::default();
        let mut counter =
            VocabularyCounter::new(&params, 0, scratch.path()).expect("good parameters");
        for batch in batches {
            counter.add(batch).expect("room on disk");
        }
        counter.finish().expect("room on disk")
    }

    fn listed(vocabulary: &Vocabulary) -> Vec<(&str, &str, u32, Option<f64>)> {
        let terms = (0..vocabulary.len() as u32).map(TermId);
        terms
            .map(|term| {
                let frequency = vocabulary.document_frequency(term);
                (
                    vocabulary.term(term),
                    vocabulary.surface(term),
                    frequency,
                    vocabulary.npmi(term),
                )
            })
            .collect()
    }

    #[test]
    fn the_order_of_items_and_the_cut_into_batches_make_no_difference() {
        let items = items();
        let whole = count(&[&items]);
        let mut reversed = items.clone();
        reversed.reverse();
        let batches: Vec<&[Item]> = reversed.chunks(7).collect();
        assert_eq!(listed(&count(&batches)), listed(&whole));
        assert_eq!(whole.stats().items, 2000);
        let phrase = whole
            .find("hydropon system")
            .expect("it is in every fourth item");
        assert_eq!(whole.document_frequency(phrase), 500);
        assert_eq!(whole.surface(phrase), "Hydroponic-Systems");
    }

    #[test]
    fn no_items_make_an_empty_vocabulary() {
        let vocabulary = count(&[]);
        assert!(vocabulary.is_empty());
        assert_eq!(vocabulary.stats().items, 0);
    }

    #[test]
    fn a_missing_scratch_folder_is_named() {
        let params = SalienceParams::default();
        let missing = Path::new("/nowhere/at/all");
        let mut counter = VocabularyCounter::new(&params, 0, missing).expect("good parameters");
        let error = counter
            .add(&items())
            .and_then(|()| counter.finish())
            .expect_err("no folder");
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn bad_parameters_are_refused_with_their_bounds() {
        let params = SalienceParams {
            terms_per_item: 40,
            ..SalienceParams::default()
        };
        let refused = VocabularyCounter::new(&params, 0, Path::new(".")).err();
        let message = refused.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(
            message,
            "salience parameter terms_per_item is 40, it has to be between 8 and 16"
        );
    }

    #[test]
    fn items_are_cut_by_the_size_of_their_text_and_one_always_goes_through() {
        let items = items();
        assert_eq!(fitting(&items, 0), 1);
        assert_eq!(fitting(&items[..5], 1 << 20), 5);
        let untagged = &items[1..4];
        let two = untagged[0].title.len() + untagged[1].title.len();
        assert_eq!(fitting(untagged, two), 2);
        assert_eq!(fitting(untagged, two - 1), 1);
    }
}
