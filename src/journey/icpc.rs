//! ICPC: Infinite Concept Personalised Clustering.
//!
//! Every term is a dimension of its own. Items are walked in time order; an item joins the most
//! similar journey, or every similar one, or opens a new one; a journey is the sum of its items'
//! vectors. After Christakopoulou et al., "Large Language Models for User Interest Journeys"
//! (arXiv 2305.15498); merging and reassignment are ours.

use super::confidence::Evidence;
use super::groups::{Assignment, Groups};
use super::index::{JourneyIndex, nearest};
use super::merge::Neighbours;
use super::params::{Assign, JourneyParams};
use super::sum::Sum;
use super::vectors::ItemVectors;

/// Rounds of merging. Each takes at most as many steps as the walk. A mean over more items is never
/// above the highest before, so that a journey that is close to none stays so; and of those that are
/// close to some a quarter or more are gone after each round, which makes 35 rounds for the longest
/// history. Only where items are in several journeys is there no such proof, hence a bound.
const MOST_ROUNDS: u32 = 64;

/// Others that count at most in what an item has in common with them. Interests of a long history are
/// larger than those of a short one, so that an item has more of its own kind beside it, but not
/// without end.
const MOST_OTHERS: f64 = 200.0;

/// How much more similar two journeys have to be to become one the larger the smaller of them is: twice
/// the items, 1.15 times the mean cosine. A mean over few pairs is high by chance often enough, but to
/// leave an item alone costs little; to put two interests into one, each of many items, costs much.
const SIZE_EXPONENT: f64 = 0.2;

/// Journeys of one user, as positions in the list of items that was clustered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clusters {
    /// Members in item order; the journeys in the order of their first item.
    pub journeys: Groups,
    /// For each journey the chance that two of its items are about one thing, 0 to 1.
    pub confidences: Vec<f64>,
    /// Journeys that were dropped for being small, likewise.
    pub small: Groups,
    /// Journeys that were dropped because their items may have come together by chance.
    pub unsure: Groups,
    /// Items without a term: nothing says what they are about.
    pub without_terms: Vec<u32>,
    /// The mean cosine from which two single items became one journey; none where nothing was merged
    /// by choice.
    pub merge_threshold: Option<f64>,
    /// In the order of the items with terms, the journey that each joined or opened when it came (the
    /// oldest of several), before anything was merged or moved.
    pub walk: Vec<u32>,
}

impl Clusters {
    fn clear(&mut self) {
        self.journeys.clear();
        self.confidences.clear();
        self.small.clear();
        self.unsure.clear();
        self.without_terms.clear();
        self.merge_threshold = None;
        self.walk.clear();
    }
}

/// The clustering, with memory that is used again for every user: once it has grown to the largest
/// history, nothing is allocated any more.
#[derive(Debug, Default)]
pub struct Icpc {
    index: JourneyIndex,
    assignment: Assignment,
    /// The next one, while items move.
    moved: Assignment,
    /// Journeys that an item joins.
    joined: Vec<u32>,
    sizes: Vec<Size>,
    sum: Sum,
    /// Of all items of the history.
    whole: Sum,
    with_terms: Vec<u32>,
    neighbours: Neighbours,
    order: Vec<usize>,
    found: Clusters,
}

impl Icpc {
    /// Clusters items given in time order.
    ///
    /// The result depends on `items` and `params` alone. Every item is in at least one journey, in
    /// a dropped journey, or without terms.
    pub fn cluster(&mut self, items: &ItemVectors, params: &JourneyParams) -> &Clusters {
        self.open(items, params);
        let history = self.history(items);
        let merge_threshold = params
            .merge
            .map(|share| f64::from(share) * history.cohesion());
        // The walk leaves the index of its journeys, as does a round that merges none.
        let mut is_indexed = true;
        if let Some(threshold) = merge_threshold {
            for _ in 0..MOST_ROUNDS {
                is_indexed = !self.merge(items, threshold);
                if is_indexed {
                    break;
                }
            }
        }
        if params.reassign {
            if !is_indexed {
                self.index_journeys(items);
            }
            self.reassign(items, params);
        }
        self.sort_out(items, params, history);
        self.found.merge_threshold = merge_threshold;
        &self.found
    }

    /// The plain algorithm alone: in the order of the items with terms, the journey that each joins or
    /// opens, the oldest of several.
    pub fn walk(&mut self, items: &ItemVectors, params: &JourneyParams) -> &[u32] {
        self.open(items, params);
        &self.found.walk
    }

    /// The plain algorithm.
    fn open(&mut self, items: &ItemVectors, params: &JourneyParams) {
        self.found.clear();
        self.index.clear(items.vocabulary());
        self.assignment.clear();
        for item in 0..items.len() as u32 {
            let vector = items.get(item);
            if vector.is_empty() {
                self.found.without_terms.push(item);
                continue;
            }
            let similarities = self
                .index
                .dots(vector.iter())
                .map(|(journey, dot, norm)| (journey, dot * norm.inverse));
            join(similarities, params, &mut self.joined);
            if self.joined.is_empty() {
                self.joined.push(self.index.open(vector.iter()));
            } else {
                for &journey in &self.joined {
                    self.index.add(journey, vector);
                }
            }
            for &journey in &self.joined {
                self.assignment.join(item, journey);
            }
            self.found.walk.extend(self.joined.iter().min());
        }
        self.assignment.group();
    }

    /// Sums up all items.
    fn history(&mut self, items: &ItemVectors) -> History {
        self.with_terms.clear();
        let with_terms = (0..items.len() as u32).filter(|&item| !items.get(item).is_empty());
        self.with_terms.extend(with_terms);
        self.whole.of(items, &self.with_terms);
        History {
            items: self.with_terms.len() as f64,
            products: products(items, &self.with_terms, self.whole.norm()),
        }
    }

    /// One round of merging: journeys join those that they are closest to, as
    /// [`Neighbours::joining`] says. Returns whether there were any; then others may have come close
    /// enough, and another round is due. The closest pair of all is always merged, so the rounds end
    /// where no pair is close enough; and as far pairs wait for near ones, the order of the history
    /// matters less than in the walk.
    ///
    /// How close two journeys are is the mean cosine between an item of one and an item of the other
    /// (average linkage), divided by a power of the size of the smaller, see [`SIZE_EXPONENT`].
    fn merge(&mut self, items: &ItemVectors, threshold: f64) -> bool {
        self.index.clear(items.vocabulary());
        self.neighbours.clear();
        let journeys = self.assignment.journeys();
        self.sizes.clear();
        self.sizes.extend(journeys.iter().map(Size::of));
        for (this, members) in journeys.iter().enumerate() {
            self.sum.of(items, members);
            let (neighbours, sizes) = (&mut self.neighbours, &self.sizes);
            let older = self
                .index
                .dots(self.sum.iter())
                .map(|(journey, dot, _)| {
                    (
                        journey,
                        closeness(dot, sizes[journey as usize], sizes[this]),
                    )
                })
                .filter(|&(_, closeness)| closeness >= threshold)
                .inspect(|&(older, closeness)| neighbours.tell(older, this as u32, closeness));
            let nearest = nearest(older, threshold);
            self.neighbours.push(nearest);
            self.index.open(self.sum.iter());
        }
        let joining = self.neighbours.joining();
        let is_merged = joining.iter().any(Option::is_some);
        if is_merged {
            self.assignment
                .relabel(|journey| joining[journey as usize].unwrap_or(journey));
        }
        is_merged
    }

    /// Fills the index with journeys as they are, numbered by their positions.
    fn index_journeys(&mut self, items: &ItemVectors) {
        self.index.clear(items.vocabulary());
        for members in self.assignment.journeys().iter() {
            self.sum.of(items, members);
            self.index.open(self.sum.iter());
        }
    }

    /// Offers every item to the journeys as they are now, and as the index has them, not counting the
    /// item itself where it is a member: an item that opened a journey before its true one had grown
    /// moves over. An item that is similar to no journey stays where it is.
    fn reassign(&mut self, items: &ItemVectors, params: &JourneyParams) {
        self.moved.clear();
        for (item, homes) in self.assignment.items() {
            let vector = items.get(item);
            let square = vector.square();
            let similarities = self.index.dots(vector.iter()).map(|(journey, dot, norm)| {
                if homes.clone().all(|home| home != journey) {
                    return (journey, dot * norm.inverse);
                }
                // |S - x|^2 = |S|^2 - 2 S.x + |x|^2; for a journey of this item alone both are
                // rounding noise around 0.
                let rest = norm.square - 2.0 * dot + square;
                let alone = rest <= f64::EPSILON * norm.square;
                (
                    journey,
                    if alone {
                        0.0
                    } else {
                        (dot - square) / rest.sqrt()
                    },
                )
            });
            join(similarities, params, &mut self.joined);
            if self.joined.is_empty() {
                self.joined.extend(homes);
            }
            for &journey in &self.joined {
                self.moved.join(item, journey);
            }
        }
        std::mem::swap(&mut self.assignment, &mut self.moved);
        self.assignment.group();
    }

    /// Puts journeys that are small or unsure apart.
    fn sort_out(&mut self, items: &ItemVectors, params: &JourneyParams, history: History) {
        let journeys = self.assignment.journeys();
        self.order.clear();
        self.order.extend(0..journeys.len());
        // Journeys that begin with the same item are told apart by the next one. Those with all the
        // same items are equal.
        self.order
            .sort_unstable_by(|&a, &b| journeys.get(a).cmp(journeys.get(b)));
        for &at in &self.order {
            let members = journeys.get(at);
            if members.len() <= params.drop_at_most as usize {
                self.found.small.push(members);
                continue;
            }
            self.sum.of(items, members);
            let evidence = evidence(items, members, &self.sum, &self.whole, history);
            let confidence = evidence.confidence();
            if confidence < f64::from(params.least_confidence) {
                self.found.unsure.push(members);
            } else {
                self.found.confidences.push(confidence);
                self.found.journeys.push(members);
            }
        }
    }
}

/// What a journey with this sum looks like beside the rest of the history.
fn evidence(
    items: &ItemVectors,
    members: &[u32],
    sum: &Sum,
    whole: &Sum,
    history: History,
) -> Evidence {
    let size = members.len() as f64;
    let norm = sum.norm();
    let mean = |products: f64, pairs: f64| (products / pairs.max(1.0)).max(0.0);
    let others = history.items - size;
    Evidence {
        items: size,
        of: history.items,
        within: mean(products(items, members, norm), size * (size - 1.0)),
        across: mean(sum.product(whole) - norm * norm, size * others),
    }
}

/// The sum of the products of each member and each other one, where the sum of all has this norm: of
/// `|S|^2` the products of different members. What is left where there are none is rounding.
fn products(items: &ItemVectors, members: &[u32], norm: f64) -> f64 {
    let own: f64 = members.iter().map(|&item| items.get(item).square()).sum();
    (norm * norm - own).max(0.0)
}

/// What the items of a history have in common.
#[derive(Clone, Copy)]
struct History {
    /// Items that have terms.
    items: f64,
    /// Sum of the cosines of each item and each other one.
    products: f64,
}

impl History {
    /// The sum of an item's cosines to the others, or to as many as [`MOST_OTHERS`], in the mean.
    fn cohesion(self) -> f64 {
        let others = (self.items - 1.0).max(1.0);
        self.products / (self.items.max(1.0) * others) * others.min(MOST_OTHERS)
    }
}

/// The size of a journey as merging sees it.
#[derive(Clone, Copy, Debug)]
struct Size {
    items: f64,
    /// The items to the power of [`SIZE_EXPONENT`].
    demand: f64,
}

impl Size {
    fn of(members: &[u32]) -> Size {
        let items = members.len() as f64;
        Size {
            items,
            // From libm, as every machine has to compute the same bits.
            demand: libm::pow(items, SIZE_EXPONENT),
        }
    }
}

/// How close two journeys are whose sums have this product.
fn closeness(dot: f64, a: Size, b: Size) -> f64 {
    dot / (a.items * b.items) / a.demand.min(b.demand)
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

    /// Rounds of merging at this threshold, postings looked at, and the journeys that were found,
    /// without any bound on the rounds.
    fn cost(items: &ItemVectors, threshold: f64) -> (u32, u64, Groups) {
        let params = JourneyParams::default();
        let mut icpc = Icpc::default();
        icpc.open(items, &params);
        let mut rounds = 1;
        while icpc.merge(items, threshold) {
            rounds += 1;
        }
        icpc.reassign(items, &params);
        let steps = icpc.index.steps.get();
        (rounds, steps, icpc.assignment.journeys().clone())
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
            let (rounds, steps, found) = cost(&items, 0.03);
            let halvings = u32::ilog2(rays) + 1;
            assert!(rounds <= halvings + 2, "{rounds} for {rays}");
            // Every ray is compared with all before it: in the walk, in the first round, and of what
            // is left in the others, which together are a third of the first.
            let pairs = u64::from(rays) * u64::from(rays + 1) / 2;
            assert!(3 * steps < 7 * pairs + 100 * u64::from(rays), "{steps}");
            assert_eq!(found, Groups::from_iter([(0..=rays).collect::<Vec<u32>>()]));
        }
    }

    #[test]
    fn items_that_are_all_alike_or_all_different_take_linear_time() {
        const ITEMS: u32 = 5_000;
        let alike = vectors((0..ITEMS).map(|_| vec![(COMMON, 1.0)]));
        let different = vectors((0..ITEMS).map(|number| vec![(number, 1.0)]));
        for items in [alike, different] {
            let (rounds, steps, _) = cost(&items, 0.03);
            assert_eq!(rounds, 1);
            assert!(steps <= 3 * u64::from(ITEMS), "{steps}");
        }
    }

    #[test]
    fn an_only_interest_is_found_and_sure_however_long_the_history() {
        for items in [5, 50, 5_000] {
            let mut icpc = Icpc::default();
            let found = icpc.cluster(&star(items, |_| 0.5), &JourneyParams::default());
            let all = (0..=items).collect::<Vec<u32>>();
            assert_eq!(found.journeys, Groups::from_iter([all]));
            assert!(found.confidences[0] > 0.5, "{:?}", found.confidences);
        }
    }

    #[test]
    fn a_journey_below_the_least_confidence_is_left_out_and_kept_apart() {
        let items = star(8, |_| 0.5);
        let confidence = Icpc::default()
            .cluster(&items, &JourneyParams::default())
            .confidences[0];
        for (least_confidence, is_kept) in [(confidence - 0.01, true), (confidence + 0.01, false)] {
            let params = JourneyParams {
                least_confidence: least_confidence as f32,
                ..JourneyParams::default()
            };
            let mut icpc = Icpc::default();
            let found = icpc.cluster(&items, &params);
            let all = Groups::from_iter([(0..=8).collect::<Vec<u32>>()]);
            let (kept, left_out) = match is_kept {
                true => (all, Groups::default()),
                false => (Groups::default(), all),
            };
            assert_eq!((&found.journeys, &found.unsure), (&kept, &left_out));
            assert_eq!(found.confidences.len(), usize::from(is_kept));
        }
    }

    #[test]
    fn an_item_as_similar_to_two_journeys_joins_the_older() {
        let (a, b) = (vec![(0, 1.0)], vec![(1, 1.0)]);
        let both = vec![(0, 0.5_f32.sqrt()), (1, 0.5_f32.sqrt())];
        let params = JourneyParams {
            epsilon: 0.5,
            merge: None,
            drop_at_most: 0,
            least_confidence: 0.0,
            ..JourneyParams::default()
        };
        for reassign in [false, true] {
            let params = JourneyParams { reassign, ..params };
            for items in [[&a, &b, &both], [&b, &a, &both]] {
                let items = vectors(items.map(Clone::clone));
                let mut icpc = Icpc::default();
                let found = icpc.cluster(&items, &params);
                assert_eq!(found.journeys, Groups::from_iter([vec![0, 2], vec![1]]));
            }
        }
    }
}
