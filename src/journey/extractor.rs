//! The way from one history to its journeys.

use std::sync::Arc;

use super::describe::Describer;
use super::sum::Sum;
use super::{Icpc, ItemVectors, Journey, JourneyParams};
use crate::catalogue::Catalogue;
use crate::history::History;

/// Finds the journeys of one user after the other. One per thread; its memory is used again.
pub struct Extractor {
    catalogue: Arc<Catalogue>,
    params: JourneyParams,
    as_of: i64,
    vectors: ItemVectors,
    icpc: Icpc,
    sum: Sum,
}

/// What was found in one history. Every distinct item of it is in a journey or in one of the counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extraction {
    /// Journeys, oldest first; ids are unique.
    pub journeys: Vec<Journey>,
    /// Distinct items in the history.
    pub items: u64,
    /// Items in journeys that were dropped for being small.
    pub items_in_small_journeys: u64,
    /// Items without any term.
    pub items_without_terms: u64,
    /// Items that came before the most recent ones that are looked at.
    pub items_beyond_history: u64,
}

impl Extractor {
    /// An extractor for histories over `catalogue`. `as_of` is the end of the dataset in
    /// milliseconds since 1970: what is ongoing is judged against it, never against the clock.
    pub fn new(catalogue: Arc<Catalogue>, params: JourneyParams, as_of: i64) -> Extractor {
        Extractor {
            catalogue,
            params,
            as_of,
            vectors: ItemVectors::default(),
            icpc: Icpc::default(),
            sum: Sum::default(),
        }
    }

    /// Finds the journeys of `history`. Depends on nothing but the history, the catalogue and the
    /// parameters.
    pub fn extract(&mut self, history: &History) -> Extraction {
        let all = history.visits();
        let beyond = all.len().saturating_sub(self.params.max_history as usize);
        let visits = &all[beyond..];
        self.vectors.clear();
        for visit in visits {
            self.vectors.push(
                self.catalogue
                    .terms(visit.item)
                    .map(|(term, w)| (term.0, w)),
            );
        }
        let clusters = self.icpc.cluster(&self.vectors, &self.params);
        let describer = Describer {
            catalogue: &self.catalogue,
            vectors: &self.vectors,
            visits,
            params: &self.params,
            as_of: self.as_of,
            total_weight: all.iter().map(|visit| f64::from(visit.weight)).sum(),
        };
        let sum = &mut self.sum;
        let mut journeys: Vec<Journey> = clusters
            .journeys
            .iter()
            .map(|members| describer.describe(members, sum))
            .collect();
        super::identity::make_unique(&mut journeys);
        Extraction {
            journeys,
            items: all.len() as u64,
            items_in_small_journeys: distinct_dropped(&clusters.dropped, &clusters.journeys),
            items_without_terms: clusters.without_terms.len() as u64,
            items_beyond_history: beyond as u64,
        }
    }
}

/// Items that are in dropped journeys only.
fn distinct_dropped(dropped: &[Vec<u32>], kept: &[Vec<u32>]) -> u64 {
    let mut items: Vec<u32> = dropped.iter().flatten().copied().collect();
    items.sort_unstable();
    items.dedup();
    let mut kept: Vec<u32> = kept.iter().flatten().copied().collect();
    kept.sort_unstable();
    items
        .iter()
        .filter(|item| kept.binary_search(item).is_err())
        .count() as u64
}
