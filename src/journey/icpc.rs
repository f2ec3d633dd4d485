//! ICPC: Infinite Concept Personalised Clustering.
//!
//! Every term is a dimension of its own. Items are walked in time order; an item joins the most
//! similar journey, or every similar one, or opens a new one; a journey is the sum of its items'
//! vectors. After Christakopoulou et al., "Large Language Models for User Interest Journeys"
//! (arXiv 2305.15498); merging and reassignment are ours.

use super::index::{JourneyIndex, nearest};
use super::merge::Neighbours;
use super::params::{Assign, JourneyParams};
use super::sum::Sum;
use super::vectors::ItemVectors;

/// Rounds of merging. Each takes at most as many steps as the walk, and later ones few. Where all
/// journeys are nearest to one, there are as many rounds as they can be halved; histories of 2,000
/// items of random words took 25 at most. The bound is for histories made to need one for every item.
const MOST_ROUNDS: u32 = 64;

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
    neighbours: Neighbours,
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
            for _ in 0..MOST_ROUNDS {
                if !self.merge(items, &mut journeys, f64::from(mu)) {
                    break;
                }
            }
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
                self.index.open(vector.iter());
                journeys.push(vec![item]);
            }
            for &journey in &joined {
                self.index.add(journey, vector);
                journeys[journey as usize].push(item);
            }
        }
        journeys
    }

    /// One round of merging: journeys join those that they are most similar to, at or above `mu`, as
    /// [`Neighbours::joining`] says. Returns whether there were any; then others may have come close
    /// enough, and another round is due. The most similar pair of all is always merged, so the
    /// rounds end where no pair is similar enough; and as far pairs wait for near ones, the order of
    /// the history matters less than in the walk.
    ///
    /// `journeys` are in the order of their first items, before and after.
    fn merge(&mut self, items: &ItemVectors, journeys: &mut Vec<Vec<u32>>, mu: f64) -> bool {
        self.index.clear(items.vocabulary());
        self.neighbours.clear();
        for (this, members) in journeys.iter().enumerate() {
            let norm = self.sum.of(items, members);
            let neighbours = &mut self.neighbours;
            let older = self
                .index
                .dots(self.sum.iter())
                .map(|(journey, dot, square)| (journey, dot / (square.sqrt() * norm)))
                .filter(|&(_, similarity)| similarity >= mu)
                .inspect(|&(older, similarity)| neighbours.tell(older, this as u32, similarity));
            let nearest = nearest(older, mu);
            self.neighbours.push(nearest);
            self.index.open(self.sum.iter());
        }

        let joining = self.neighbours.joining();
        let before = journeys.len();
        let mut grown = vec![false; before];
        for (journey, hub) in joining.into_iter().enumerate() {
            let Some(hub) = hub else { continue };
            let members = std::mem::take(&mut journeys[journey]);
            journeys[hub as usize].extend(members);
            grown[hub as usize] = true;
        }
        for (members, _) in journeys.iter_mut().zip(grown).filter(|(_, grown)| *grown) {
            members.sort_unstable();
            // With `Assign::Every` the journeys may share members, which still count once.
            members.dedup();
        }
        journeys.retain(|members| !members.is_empty());
        journeys.sort_unstable_by_key(|members| members[0]);
        journeys.len() < before
    }

    /// Fills the index with journeys as they are, numbered by their positions.
    fn index_journeys(&mut self, items: &ItemVectors, journeys: &[Vec<u32>]) {
        self.index.clear(items.vocabulary());
        for members in journeys {
            self.sum.of(items, members);
            self.index.open(self.sum.iter());
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
                if homes.binary_search(&journey).is_err() {
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

#[cfg(test)]
mod tests {
    use super::*;

    type Item = Vec<(u32, f32)>;

    fn vectors(items: impl IntoIterator<Item = Item>) -> ItemVectors {
        let mut vectors = ItemVectors::default();
        for item in items {
            vectors.push(item);
        }
        vectors
    }

    /// The term that all items of a star have.
    const COMMON: u32 = 0;

    /// An item of unit length with this weight of the common term and three terms of its own.
    fn ray(number: u32, common: f32) -> Item {
        let own = ((1.0 - common * common) / 3.0).sqrt();
        let terms = (1..=3).map(|term| (3 * number + term, own));
        [(COMMON, common)].into_iter().chain(terms).collect()
    }

    /// Rays of which no two are alike, then what all of them are like.
    fn star(rays: u32, common: impl Fn(u32) -> f32) -> ItemVectors {
        let rays = (0..rays).map(|number| ray(number, common(number)));
        vectors(rays.chain([vec![(COMMON, 1.0)]]))
    }

    /// Rounds of merging, postings looked at, and the journeys that were found, without any bound on
    /// the rounds.
    fn cost(items: &ItemVectors, params: &JourneyParams) -> (u32, u64, Vec<Vec<u32>>) {
        let mut icpc = Icpc::default();
        let mut journeys = icpc.walk(items, params);
        let mut rounds = 1;
        while icpc.merge(items, &mut journeys, f64::from(params.merge.unwrap())) {
            rounds += 1;
        }
        let journeys = icpc.reassign(items, &journeys, params);
        (rounds, icpc.index.steps.get(), journeys)
    }

    #[test]
    fn a_star_is_merged_in_rounds_that_halve_it_wherever_its_hub_ends_up() {
        // The item that all are like joins the first of equal rays, or the one most like it.
        let slope = |number: u32| number as f32 / 25_000.0;
        for (rays, items) in [
            (5_000, star(5_000, |_| 0.24)),
            (1_000, star(1_000, |number| 0.2 + slope(number))),
            (1_000, star(1_000, |number| 0.24 - slope(number))),
        ] {
            let (rounds, steps, found) = cost(&items, &JourneyParams::default());
            let halvings = u32::ilog2(rays) + 1;
            assert_eq!(rounds, halvings + 1, "the last one finds nothing left");
            // Every ray is compared with all before it: in the walk, in the first round, and of what
            // is left in the others, which together are a third of the first.
            let pairs = u64::from(rays) * u64::from(rays + 1) / 2;
            assert!(3 * steps < 7 * pairs + 100 * u64::from(rays), "{steps}");
            assert_eq!(found, [(0..=rays).collect::<Vec<u32>>()]);
        }
    }

    #[test]
    fn items_that_are_all_alike_or_all_different_take_linear_time() {
        const ITEMS: u32 = 5_000;
        let alike = vectors((0..ITEMS).map(|_| vec![(COMMON, 1.0)]));
        let different = vectors((0..ITEMS).map(|number| vec![(number, 1.0)]));
        for items in [alike, different] {
            let (rounds, steps, _) = cost(&items, &JourneyParams::default());
            assert_eq!(rounds, 1);
            assert!(steps <= 3 * u64::from(ITEMS), "{steps}");
        }
    }

    /// Rays of which each is near enough to all before it together, but to no fewer.
    fn chain(rays: u32, mu: f32) -> ItemVectors {
        let (mut common, mut own_square) = (0.0_f64, 0.0_f64);
        let rays = (0..rays).map(|number| {
            let weight = if number < 2 {
                f64::from(mu).sqrt() * 1.01
            } else {
                let alignment = common / (common * common + own_square).sqrt();
                f64::from(mu) / alignment * (1.0 + 1e-6)
            };
            common += weight;
            own_square += 1.0 - weight * weight;
            ray(number, weight as f32)
        });
        vectors(rays)
    }

    #[test]
    fn a_history_made_to_need_a_round_for_every_item_gets_as_many_as_are_allowed() {
        const RAYS: u32 = 300;
        let params = JourneyParams {
            epsilon: 0.9,
            reassign: false,
            ..JourneyParams::default()
        };
        let items = chain(RAYS, params.merge.unwrap());
        let (needed, ..) = cost(&items, &params);
        assert!(needed > 2 * MOST_ROUNDS, "{needed}");

        let mut icpc = Icpc::default();
        let found = icpc.cluster(&items, &params);
        assert_eq!(found.journeys.len(), 1);
        assert_eq!(found.journeys[0].len() as u32, MOST_ROUNDS + 1);
        let pairs = u64::from(RAYS) * u64::from(RAYS) / 2;
        assert!(icpc.index.steps.get() < u64::from(MOST_ROUNDS + 2) * pairs);
    }

    #[test]
    fn an_item_as_similar_to_two_journeys_joins_the_older() {
        let (a, b) = (vec![(0, 1.0)], vec![(1, 1.0)]);
        let both = vec![(0, 0.5_f32.sqrt()), (1, 0.5_f32.sqrt())];
        let params = JourneyParams {
            epsilon: 0.5,
            merge: None,
            drop_at_most: 0,
            ..JourneyParams::default()
        };
        for reassign in [false, true] {
            let params = JourneyParams { reassign, ..params };
            for items in [[&a, &b, &both], [&b, &a, &both]] {
                let items = vectors(items.map(Clone::clone));
                let found = Icpc::default().cluster(&items, &params);
                assert_eq!(found.journeys, [vec![0, 2], vec![1]]);
            }
        }
    }
}
