//! The way from one history to its journeys.

use std::cmp::Reverse;
use std::sync::Arc;

use super::describe::{Describer, Fading, rounded};
use super::exploration::Exploration;
use super::rank::Ranker;
use super::sum::Sum;
use super::{Groups, Icpc, ItemVectors, Journey, JourneyParams};
use crate::catalogue::Catalogue;
use crate::history::{History, Visit};
use crate::item::ItemIndex;

/// Finds the journeys of one user after the other. One per thread; its memory is used again.
pub struct Extractor {
    catalogue: Arc<Catalogue>,
    params: JourneyParams,
    fading: Fading,
    exploration: Option<Exploration>,
    vectors: ItemVectors,
    icpc: Icpc,
    ranker: Ranker,
    sum: Sum,
    scratch: Sum,
}

/// What was found in one history. Every distinct item of it is in a journey or in one of the counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extraction {
    /// Journeys, oldest first; ids are unique.
    pub journeys: Vec<Journey>,
    /// All members of each of them, listed in the journey or not.
    pub members: Vec<Vec<ItemIndex>>,
    /// Distinct items in the history.
    pub items: u64,
    /// Items in journeys that were dropped for being small.
    pub items_in_small_journeys: u64,
    /// Items in journeys that were dropped because they may have come together by chance.
    pub items_in_unsure_journeys: u64,
    /// Items without any term.
    pub items_without_terms: u64,
    /// The mean cosine from which two single items became one journey; none where journeys are not
    /// merged.
    pub merge_threshold: Option<f32>,
    /// The chance that the next item opens a journey; none where nothing tells.
    pub exploration: Option<f32>,
    /// Items that were not looked at, because the user came to as many others later.
    pub items_beyond_history: u64,
}

impl Extraction {
    /// For each journey the ids of all of its members, for [`keep_identity`](super::keep_identity).
    pub fn member_ids<'a>(
        &'a self,
        catalogue: &'a Catalogue,
    ) -> impl Iterator<Item = impl Iterator<Item = &'a str>> {
        let ids = |items: &'a Vec<ItemIndex>| items.iter().map(|&item| catalogue.item_id(item));
        self.members.iter().map(ids)
    }
}

impl Extractor {
    /// An extractor for histories over `catalogue`. `as_of` is the end of the dataset in
    /// milliseconds since 1970: what is ongoing is judged against it, never against the clock.
    pub fn new(catalogue: Arc<Catalogue>, params: JourneyParams, as_of: i64) -> Extractor {
        Extractor {
            catalogue,
            params,
            fading: Fading {
                as_of,
                half_life_days: params.half_life_days,
            },
            exploration: None,
            vectors: ItemVectors::default(),
            icpc: Icpc::default(),
            ranker: Ranker::default(),
            sum: Sum::default(),
            scratch: Sum::default(),
        }
    }

    /// Says of every history, too, how likely its next item opens a journey.
    #[must_use]
    pub fn with_exploration(self, exploration: Option<Exploration>) -> Extractor {
        Extractor {
            exploration,
            ..self
        }
    }

    /// Finds the journeys of `history`. Depends on nothing but the history, the catalogue and the
    /// parameters.
    pub fn extract(&mut self, history: &History) -> Extraction {
        let mut visits = history.visits();
        let items = visits.len();
        let fading = self.fading;
        let total_weight = visits.iter().map(|visit| fading.weight(visit)).sum();
        keep_latest(&mut visits, self.params.max_history as usize);
        let visited = visits.iter().map(|visit| visit.item);
        self.vectors.fill(&self.catalogue, visited);
        let clusters = self.icpc.cluster(&self.vectors, &self.params);
        let describer = Describer {
            catalogue: &self.catalogue,
            vectors: &self.vectors,
            visits: &visits,
            params: &self.params,
            fading: self.fading,
            total_weight,
        };
        let described = clusters.journeys.iter().flatten();
        self.catalogue
            .warm_texts(described.map(|&member| visits[member as usize].item));
        self.ranker.clear(self.vectors.vocabulary());
        let mut journeys = Vec::with_capacity(clusters.journeys.len());
        for (members, &confidence) in clusters.journeys.iter().zip(&clusters.confidences) {
            self.sum.of(&self.vectors, members);
            let norm = self.sum.norm();
            let sum = (&self.sum, norm);
            let journey = describer.describe(members, confidence, sum, &mut self.scratch);
            let worth = f64::from(journey.strength) * f64::from(journey.confidence);
            self.ranker.add(&self.sum, norm, worth);
            journeys.push(journey);
        }
        for (journey, rank) in journeys.iter_mut().zip(self.ranker.ranks()) {
            journey.rank = rank;
        }
        super::identity::make_unique(&mut journeys);
        let items_of = |members: &[u32]| {
            let items = members.iter().map(|&member| visits[member as usize].item);
            items.collect()
        };
        Extraction {
            journeys,
            members: clusters.journeys.iter().map(items_of).collect(),
            items: items as u64,
            items_in_small_journeys: in_none_of(
                &clusters.small,
                &[&clusters.journeys, &clusters.unsure],
            ),
            items_in_unsure_journeys: in_none_of(&clusters.unsure, &[&clusters.journeys]),
            merge_threshold: clusters.merge_threshold.map(rounded),
            exploration: self
                .exploration
                .filter(|_| !clusters.walk.is_empty())
                .map(|exploration| rounded(exploration.chance(&clusters.walk))),
            items_without_terms: clusters.without_terms.len() as u64,
            items_beyond_history: (items - visits.len()) as u64,
        }
    }
}

impl Extractor {
    /// The journey that has all of these items, as of somebody who came to each once, and surely.
    /// `None` if none of them has a term.
    pub fn describe(&mut self, items: &[ItemIndex]) -> Option<Journey> {
        let visit = |&item: &ItemIndex| Visit {
            item,
            first: 0,
            last: 0,
            weight: 1.0,
        };
        let visits: Vec<Visit> = items.iter().map(visit).collect();
        self.vectors.fill(&self.catalogue, items.iter().copied());
        let members = 0..visits.len() as u32;
        let members: Vec<u32> = members
            .filter(|&member| !self.vectors.get(member).is_empty())
            .collect();
        let describer = Describer {
            catalogue: &self.catalogue,
            vectors: &self.vectors,
            visits: &visits,
            params: &self.params,
            fading: self.fading,
            total_weight: visits.len() as f64,
        };
        self.sum.of(&self.vectors, &members);
        let sum = (&self.sum, self.sum.norm());
        (!members.is_empty()).then(|| describer.describe(&members, 1.0, sum, &mut self.scratch))
    }
}

/// Leaves the `most` visits that ended last, and of those that ended together the ones that began
/// last, in the order in which they began.
fn keep_latest(visits: &mut Vec<Visit>, most: usize) {
    if visits.len() <= most {
        return;
    }
    let mut positions: Vec<usize> = (0..visits.len()).collect();
    positions.sort_unstable_by_key(|&at| Reverse((visits[at].last, at)));
    positions.truncate(most);
    positions.sort_unstable();
    *visits = positions.into_iter().map(|at| visits[at]).collect();
}

/// Distinct items of some journeys that are in none of the others.
fn in_none_of(journeys: &Groups, others: &[&Groups]) -> u64 {
    let mut items: Vec<u32> = journeys.iter().flatten().copied().collect();
    items.sort_unstable();
    items.dedup();
    let mut others: Vec<u32> = others
        .iter()
        .flat_map(|others| others.iter())
        .flatten()
        .copied()
        .collect();
    others.sort_unstable();
    items.retain(|item| others.binary_search(item).is_err());
    items.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::catalogue_of;
    use crate::history::Interaction;
    use crate::item::Item;
    use crate::journey::{NameSource, keep_identity};

    /// Titles differ; what items are about stands in their tags.
    fn catalogue(tags: &[&str]) -> Arc<Catalogue> {
        let item = |(number, tag): (usize, &&str)| Item {
            id: format!("item-{number:02}"),
            title: format!("title{number:02}"),
            tags: vec![(*tag).into()],
            ..Item::default()
        };
        let items: Vec<Item> = tags.iter().enumerate().map(item).collect();
        Arc::new(catalogue_of(&items))
    }

    /// A history of (item, timestamp).
    fn history(interactions: impl IntoIterator<Item = (u32, i64)>) -> History {
        let interaction = |(item, timestamp)| Interaction {
            item: ItemIndex(item),
            timestamp,
            weight: 1.0,
        };
        History {
            user: "ann".into(),
            interactions: interactions.into_iter().map(interaction).collect(),
        }
    }

    #[test]
    fn a_journey_that_grows_beyond_what_is_listed_keeps_its_id_and_name() {
        let params = JourneyParams {
            max_listed_items: 2,
            ..JourneyParams::default()
        };
        let mut extractor = Extractor::new(catalogue(&["bread"; 6]), params, 0);
        let mut before = extractor.extract(&history((0..3).map(|item| (item, 0))));
        let [earlier] = &mut before.journeys[..] else {
            panic!("all items are about one thing: {before:?}");
        };
        earlier.id = "0ld00000".into();
        earlier.name = "Baking".into();
        earlier.name_source = NameSource::Llm;
        let ids = |journey: &Journey| -> Vec<String> {
            journey.items.iter().map(|(id, _)| id.to_string()).collect()
        };
        assert_eq!(ids(earlier), ["item-01", "item-02"]);

        let today = extractor.extract(&history((0..6).map(|item| (item, i64::from(item) / 3))));
        assert_eq!(ids(&today.journeys[0]), ["item-04", "item-05"]);
        assert_eq!(today.journeys[0].size, 6);
        let ids = today.member_ids(&extractor.catalogue);
        let mut journeys = today.journeys.clone();
        keep_identity(&before.journeys, &mut journeys, ids, false);
        let [journey] = &journeys[..] else {
            panic!("all items are about one thing: {today:?}");
        };
        assert_eq!(journey.signature, before.journeys[0].signature);
        assert_eq!(
            (
                journey.id.as_str(),
                journey.name.as_str(),
                journey.name_source
            ),
            ("0ld00000", "Baking", NameSource::Llm)
        );
    }

    #[test]
    fn of_a_long_history_the_items_that_the_user_came_back_to_last_are_looked_at() {
        let params = JourneyParams {
            max_history: 3,
            drop_at_most: 0,
            ..JourneyParams::default()
        };
        let mut extractor = Extractor::new(catalogue(&["bread"; 6]), params, 0);
        // The first item was visited again at the end; of the two that ended together, the one that
        // began last stays.
        let interactions = [(0, 10), (1, 20), (2, 20), (3, 30), (0, 40)];
        let found = extractor.extract(&history(interactions));
        assert_eq!((found.items, found.items_beyond_history), (4, 1));
        let [journey] = &found.journeys[..] else {
            panic!("all items are about one thing: {found:?}");
        };
        let ids: Vec<&str> = journey.items.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["item-00", "item-02", "item-03"]);
        assert_eq!(journey.strength, 0.8, "of the whole history");
    }
}
