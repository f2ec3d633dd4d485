//! ICPC: Infinite Concept Personalised Clustering.
//!
//! Every term is a dimension of its own. Items are walked in time order; an item joins the most
//! similar journey, or every similar one, or opens a new one; a journey is the sum of its items'
//! vectors. After Christakopoulou et al., "Large Language Models for User Interest Journeys"
//! (arXiv 2305.15498); merging and reassignment are ours.

use super::index::{JourneyIndex, nearest};
use super::params::{Assign, JourneyParams};
use super::sum::Sum;
use super::vectors::ItemVectors;

/// Journeys of one user, as positions in the list of items that was clustered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clusters {
    /// Members in item order; the journeys in the order of their first item.
    pub journeys: Vec<Vec<u32>>,
    /// Journeys that were dropped for being small, likewise.
    pub dropped: Vec<Vec<u32>>,
    /// Items without a term: nothing says what they are about.
    pub without_terms: Vec<u32>,
}

/// Memory of the clustering, used again for every user.
#[derive(Debug, Default)]
pub struct Icpc {
    index: JourneyIndex,
    sum: Sum,
}

impl Icpc {
    /// Clusters items given in time order.
    ///
    /// The result depends on `items` and `params` alone. Every item is in at least one journey, in
    /// a dropped journey, or without terms.
    pub fn cluster(&mut self, items: &ItemVectors, params: &JourneyParams) -> Clusters {
        let without_terms = (0..items.len() as u32)
            .filter(|&item| items.get(item).is_empty())
            .collect();
        let mut journeys = self.walk(items, params);
        if let Some(mu) = params.merge {
            while self.merge(items, &mut journeys, f64::from(mu)) {}
        }
        if params.reassign {
            journeys = self.reassign(items, &journeys, params);
        }
        journeys.sort();
        let (dropped, journeys) = journeys
            .into_iter()
            .partition(|members| members.len() <= params.drop_at_most as usize);
        Clusters {
            journeys,
            dropped,
            without_terms,
        }
    }

    /// The plain algorithm.
    fn walk(&mut self, items: &ItemVectors, params: &JourneyParams) -> Vec<Vec<u32>> {
        self.index.clear(items.vocabulary());
        let mut journeys: Vec<Vec<u32>> = Vec::new();
        let mut joined: Vec<u32> = Vec::new();
        for item in 0..items.len() as u32 {
            let vector = items.get(item);
            if vector.is_empty() {
                continue;
            }
            let similarities = self
                .index
                .dots(vector.iter())
                .map(|(journey, dot, norm)| (journey, dot / norm.sqrt()));
            join(similarities, params, &mut joined);
            if joined.is_empty() {
                joined.push(self.index.open());
                journeys.push(Vec::new());
            }
            for &journey in &joined {
                self.index.add(journey, vector);
                journeys[journey as usize].push(item);
            }
        }
        journeys
    }

    /// Merges every two journeys that are each other's most similar one, at or above `mu`. Returns
    /// whether there were any; then others may have come close enough, and another round is due.
    /// The most similar pair of all is always such a pair, so the rounds end where no pair is
    /// similar enough; and as far pairs wait for near ones, the order of the history matters less
    /// than in the walk.
    fn merge(&mut self, items: &ItemVectors, journeys: &mut Vec<Vec<u32>>, mu: f64) -> bool {
        self.index_journeys(items, journeys);
        let mut closest: Vec<Option<u32>> = Vec::with_capacity(journeys.len());
        for (this, members) in journeys.iter().enumerate() {
            let norm = self.sum.of(items, members);
            let others = self
                .index
                .dots(self.sum.iter())
                .filter(|&(journey, ..)| journey as usize != this)
                .map(|(journey, dot, other)| (journey, dot / (other.sqrt() * norm)));
            closest.push(nearest(others, mu).map(|(journey, _)| journey));
        }
        let before = journeys.len();
        for older in 0..before {
            let Some(younger) = closest[older].map(|journey| journey as usize) else {
                continue;
            };
            if older < younger && closest[younger] == Some(older as u32) {
                let members = std::mem::take(&mut journeys[younger]);
                let union = &mut journeys[older];
                union.extend(members);
                union.sort_unstable();
                // With `Assign::Every` the two may share members, which still count once.
                union.dedup();
            }
        }
        journeys.retain(|members| !members.is_empty());
        journeys.len() < before
    }

    /// Fills the index with journeys as they are, numbered by their positions.
    fn index_journeys(&mut self, items: &ItemVectors, journeys: &[Vec<u32>]) {
        self.index.clear(items.vocabulary());
        for members in journeys {
            let journey = self.index.open();
            for &item in members {
                self.index.add(journey, items.get(item));
            }
        }
    }

    /// Offers every item to the journeys as they are now, not counting the item itself where it is
    /// a member: an item that opened a journey before its true one had grown moves over. An item
    /// that is similar to no journey stays where it is.
    fn reassign(
        &mut self,
        items: &ItemVectors,
        journeys: &[Vec<u32>],
        params: &JourneyParams,
    ) -> Vec<Vec<u32>> {
        self.index_journeys(items, journeys);
        let mut homes: Vec<Vec<u32>> = vec![Vec::new(); items.len()];
        for (journey, members) in journeys.iter().enumerate() {
            for &item in members {
                homes[item as usize].push(journey as u32);
            }
        }
        let mut moved: Vec<Vec<u32>> = vec![Vec::new(); journeys.len()];
        let mut joined: Vec<u32> = Vec::new();
        for (item, homes) in homes.iter().enumerate() {
            let item = item as u32;
            let vector = items.get(item);
            if vector.is_empty() {
                continue;
            }
            let square = vector.square();
            let similarities = self.index.dots(vector.iter()).map(|(journey, dot, norm)| {
                if !homes.contains(&journey) {
                    return (journey, dot / norm.sqrt());
                }
                // |S - x|^2 = |S|^2 - 2 S.x + |x|^2; for a journey of this item alone both are
                // rounding noise around 0.
                let rest = norm - 2.0 * dot + square;
                let alone = rest <= f64::EPSILON * norm;
                (
                    journey,
                    if alone {
                        0.0
                    } else {
                        (dot - square) / rest.sqrt()
                    },
                )
            });
            join(similarities, params, &mut joined);
            if joined.is_empty() {
                joined.extend(homes);
            }
            for &journey in &joined {
                moved[journey as usize].push(item);
            }
        }
        moved.retain(|members| !members.is_empty());
        moved
    }
}

/// Puts the journeys that an item of these similarities joins into `joined`.
fn join(
    similarities: impl Iterator<Item = (u32, f64)>,
    params: &JourneyParams,
    joined: &mut Vec<u32>,
) {
    let epsilon = f64::from(params.epsilon);
    joined.clear();
    match params.assign {
        Assign::Nearest => {
            joined.extend(nearest(similarities, epsilon).map(|(journey, _)| journey))
        }
        Assign::Every => {
            let near = similarities.filter(|&(_, similarity)| similarity >= epsilon);
            joined.extend(near.map(|(journey, _)| journey));
        }
    }
}
