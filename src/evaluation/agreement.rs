//! How well a grouping of items agrees with a known one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Fewest items of an interest that is to be found: what fewer are about cannot be told. They still
/// belong together.
pub(super) const LEAST_OF_INTEREST: u32 = 3;

/// How well the journeys that were found in a history are the interests that it was made of.
///
/// The scores between `pair_precision` and `b_cubed_f1` compare two partitions of the items: in the
/// true one an item of no interest is alone, in the found one an item of no journey is. So it is right
/// to leave a stray item out, and wrong to leave out another. An item of several journeys counts where
/// it comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Of each interest of three items or more the share of items in the journey that has most of them;
    /// the mean over interests. The measure of the source.
    pub recall: f64,
    /// Of the pairs of items in one journey, those of one interest; 1 where there are none.
    pub pair_precision: f64,
    /// Of the pairs of items of one interest, those in one journey; 1 where there are none.
    pub pair_recall: f64,
    /// Harmonic mean of the two.
    pub pair_f1: f64,
    /// Adjusted Rand index, see [`adjusted_rand_index`].
    pub ari: f64,
    /// Harmonic mean of homogeneity and completeness: Rosenberg and Hirschberg, "V-Measure", 2007.
    pub v_measure: f64,
    /// Mean over items of the share of its journey that is of its interest: Bagga and Baldwin,
    /// "Entity-Based Cross-Document Coreferencing Using the Vector Space Model", 1998.
    pub b_cubed_precision: f64,
    /// Mean over items of the share of its interest that is in its journey.
    pub b_cubed_recall: f64,
    /// Harmonic mean of the two.
    pub b_cubed_f1: f64,
    /// How many journeys were found for each interest of three items or more.
    pub journeys_per_interest: f64,
    /// Of the items of such interests, the share that is in a journey.
    pub coverage: f64,
    /// Of the items of no interest, or of one of fewer than three items, the share that is in a journey;
    /// 0 where there are none.
    pub strays: f64,
}

impl Agreement {
    /// Of `journeys`, each a list of positions of items, with the interest of each item, if any.
    /// Positions beyond the items are passed over.
    pub fn of(interests: &[Option<u32>], journeys: &[Vec<u32>]) -> Agreement {
        let homes = homes(interests.len(), journeys);
        let labels = labels(interests, &homes, journeys.len());
        let partitions = Partitions::of(&labels);
        let (pair_precision, pair_recall) = partitions.pairs();
        let (homogeneity, completeness) = partitions.entropies();
        let (b_cubed_precision, b_cubed_recall) = partitions.b_cubed();
        let mut sizes = sizes(interests);
        sizes.retain(|_, size| *size >= LEAST_OF_INTEREST);
        let members = |of_interest: bool| {
            let is_of_one = |interest: u32| sizes.contains_key(&interest);
            let of_kind = interests.iter().zip(&homes);
            let of_kind =
                of_kind.filter(|(interest, _)| interest.is_some_and(is_of_one) == of_interest);
            let (all, inside) = of_kind.fold((0_u32, 0_u32), |(all, inside), (_, home)| {
                (all + 1, inside + u32::from(home.is_some()))
            });
            share(inside.into(), all.into())
        };
        Agreement {
            recall: recall(interests, journeys, &sizes),
            pair_precision,
            pair_recall,
            pair_f1: harmonic(pair_precision, pair_recall),
            ari: partitions.adjusted_rand_index(),
            v_measure: harmonic(homogeneity, completeness),
            b_cubed_precision,
            b_cubed_recall,
            b_cubed_f1: harmonic(b_cubed_precision, b_cubed_recall),
            journeys_per_interest: share(journeys.len() as f64, sizes.len() as f64),
            coverage: members(true),
            strays: members(false),
        }
    }

    /// All scores with their names.
    pub fn scores(&self) -> [(&'static str, f64); 12] {
        [
            ("recall", self.recall),
            ("pair_precision", self.pair_precision),
            ("pair_recall", self.pair_recall),
            ("pair_f1", self.pair_f1),
            ("ari", self.ari),
            ("v_measure", self.v_measure),
            ("b_cubed_precision", self.b_cubed_precision),
            ("b_cubed_recall", self.b_cubed_recall),
            ("b_cubed_f1", self.b_cubed_f1),
            ("journeys_per_interest", self.journeys_per_interest),
            ("coverage", self.coverage),
            ("strays", self.strays),
        ]
    }
}

/// The first journey of each item.
fn homes(items: usize, journeys: &[Vec<u32>]) -> Vec<Option<usize>> {
    let mut homes = vec![None; items];
    for (journey, members) in journeys.iter().enumerate() {
        for &member in members {
            if let Some(home) = homes.get_mut(member as usize) {
                home.get_or_insert(journey);
            }
        }
    }
    homes
}

/// Pairs of true and found group; what is alone has a group of its own.
fn labels(
    interests: &[Option<u32>],
    homes: &[Option<usize>],
    journeys: usize,
) -> Vec<(usize, usize)> {
    let first_alone = interests
        .iter()
        .flatten()
        .max()
        .map_or(0, |&most| most as usize + 1);
    let label = |(at, (interest, home)): (usize, (&Option<u32>, &Option<usize>))| {
        let interest = interest.map_or(first_alone + at, |interest| interest as usize);
        (interest, home.unwrap_or(journeys + at))
    };
    interests.iter().zip(homes).enumerate().map(label).collect()
}

/// Items of each interest.
fn sizes(interests: &[Option<u32>]) -> BTreeMap<u32, u32> {
    let mut sizes: BTreeMap<u32, u32> = BTreeMap::new();
    for &interest in interests.iter().flatten() {
        *sizes.entry(interest).or_default() += 1;
    }
    sizes
}

fn recall(interests: &[Option<u32>], journeys: &[Vec<u32>], sizes: &BTreeMap<u32, u32>) -> f64 {
    let mut best: BTreeMap<u32, u32> = BTreeMap::new();
    for members in journeys {
        let mut inside: BTreeMap<u32, u32> = BTreeMap::new();
        for &member in members {
            if let Some(&Some(interest)) = interests.get(member as usize) {
                *inside.entry(interest).or_default() += 1;
            }
        }
        for (interest, count) in inside {
            let best = best.entry(interest).or_default();
            *best = count.max(*best);
        }
    }
    let recalled = |(interest, &size): (&u32, &u32)| {
        let found = best.get(interest).copied().unwrap_or(0);
        share(found.into(), size.into())
    };
    share(sizes.iter().map(recalled).sum(), sizes.len() as f64)
}

/// 0 of nothing.
fn share(part: f64, all: f64) -> f64 {
    if all == 0.0 { 0.0 } else { part / all }
}

fn harmonic(a: f64, b: f64) -> f64 {
    share(2.0 * a * b, a + b)
}

/// Two partitions of the same items: how many items each two groups share, and each group has.
///
/// Ordered, so that sums are taken in the same order and are the same to the last bit.
struct Partitions<A, B> {
    shared: BTreeMap<(A, B), u64>,
    left: BTreeMap<A, u64>,
    right: BTreeMap<B, u64>,
    items: u64,
}

impl<A: Ord + Copy, B: Ord + Copy> Partitions<A, B> {
    fn of(labels: &[(A, B)]) -> Partitions<A, B> {
        let mut partitions = Partitions {
            shared: BTreeMap::new(),
            left: BTreeMap::new(),
            right: BTreeMap::new(),
            items: labels.len() as u64,
        };
        for &(a, b) in labels {
            *partitions.shared.entry((a, b)).or_default() += 1;
            *partitions.left.entry(a).or_default() += 1;
            *partitions.right.entry(b).or_default() += 1;
        }
        partitions
    }

    /// Precision and recall of pairs.
    fn pairs(&self) -> (f64, f64) {
        let both = pairs(self.shared.values());
        let of = |all: f64| if all == 0.0 { 1.0 } else { both / all };
        (
            of(pairs(self.right.values())),
            of(pairs(self.left.values())),
        )
    }

    fn adjusted_rand_index(&self) -> f64 {
        let (left, right) = (pairs(self.left.values()), pairs(self.right.values()));
        let all = pairs([self.items].iter());
        if all == 0.0 {
            return 1.0;
        }
        let expected = left * right / all;
        let most = (left + right) / 2.0;
        if most == expected {
            1.0
        } else {
            (pairs(self.shared.values()) - expected) / (most - expected)
        }
    }

    /// Homogeneity and completeness.
    fn entropies(&self) -> (f64, f64) {
        let items = self.items as f64;
        // -sum over cells of n / N ln(n / of), of being what the cell is a part of.
        let entropy = |parts: &mut dyn Iterator<Item = (u64, f64)>| -> f64 {
            parts
                .map(|(n, of)| -(n as f64) / items * libm::log(n as f64 / of))
                .sum()
        };
        let left = entropy(&mut self.left.values().map(|&n| (n, items)));
        let right = entropy(&mut self.right.values().map(|&n| (n, items)));
        let shared = || self.shared.iter();
        let left_in_right = entropy(&mut shared().map(|(key, &n)| (n, self.right[&key.1] as f64)));
        let right_in_left = entropy(&mut shared().map(|(key, &n)| (n, self.left[&key.0] as f64)));
        let known = |rest: f64, all: f64| if all == 0.0 { 1.0 } else { 1.0 - rest / all };
        (known(left_in_right, left), known(right_in_left, right))
    }

    /// Precision and recall of B-cubed.
    fn b_cubed(&self) -> (f64, f64) {
        let squares = |of: &dyn Fn(&(A, B)) -> u64| -> f64 {
            let cells = self.shared.iter();
            cells.map(|(key, &n)| (n * n) as f64 / of(key) as f64).sum()
        };
        let items = self.items as f64;
        (
            share(squares(&|key| self.right[&key.1]), items),
            share(squares(&|key| self.left[&key.0]), items),
        )
    }
}

/// Pairs inside groups of these sizes.
fn pairs<'a>(sizes: impl Iterator<Item = &'a u64>) -> f64 {
    sizes.map(|n| (n * n.saturating_sub(1) / 2) as f64).sum()
}

/// Adjusted Rand index of two groupings of the same items, given as one pair of labels per item:
/// 1 for equal groupings, around 0 for unrelated ones. Hubert and Arabie, "Comparing partitions",
/// 1985.
///
/// Two groupings that both put everything together, or everything apart, are equal: 1.
pub fn adjusted_rand_index<A: Ord + Copy, B: Ord + Copy>(labels: &[(A, B)]) -> f64 {
    Partitions::of(labels).adjusted_rand_index()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_groupings_score_one_whatever_they_are_called() {
        assert_eq!(adjusted_rand_index(&[("a", 1), ("a", 1), ("b", 2)]), 1.0);
        assert_eq!(adjusted_rand_index(&[("a", 1), ("a", 1)]), 1.0);
        assert_eq!(adjusted_rand_index::<u8, u8>(&[]), 1.0);
    }

    #[test]
    fn one_item_in_the_wrong_group_costs_what_the_formula_says() {
        // Pairs together in both 2 (1 + 1), left 4 (3 + 1), right 4 (1 + 3); of all 10 pairs.
        let labels = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1)];
        let (both, left, right, all) = (2.0, 4.0, 4.0, 10.0);
        let expected = left * right / all;
        let ari = (both - expected) / ((left + right) / 2.0 - expected);
        assert!((adjusted_rand_index(&labels) - ari).abs() < 1e-12);
    }

    #[test]
    fn splitting_what_belongs_together_scores_zero() {
        assert_eq!(adjusted_rand_index(&[(0, 0), (0, 0), (0, 1), (0, 1)]), 0.0);
    }

    /// Every score of journeys in a history of these interests.
    fn agreement(interests: &[Option<u32>], journeys: &[&[u32]]) -> Agreement {
        let journeys: Vec<Vec<u32>> = journeys.iter().map(|journey| journey.to_vec()).collect();
        Agreement::of(interests, &journeys)
    }

    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }

    const TWO: [Option<u32>; 6] = [Some(7), Some(7), Some(7), Some(9), Some(9), Some(9)];

    #[test]
    fn scores_are_those_that_are_documented_elsewhere() {
        // The documentation of scikit-learn has the values for these partitions.
        let interests = [Some(0), Some(0), Some(1), Some(1)];
        let cut: &[&[u32]] = &[&[0, 1], &[2], &[3]];
        let dropped: &[&[u32]] = &[&[0, 1]];
        for journeys in [cut, dropped] {
            let found = agreement(&interests, journeys);
            assert_near(found.ari, 0.571_428_571);
            assert_near(found.v_measure, 0.8);
            assert_eq!((found.pair_precision, found.pair_recall), (1.0, 0.5));
            assert_eq!((found.b_cubed_precision, found.b_cubed_recall), (1.0, 0.75));
            assert_near(found.b_cubed_f1, 6.0 / 7.0);
        }
    }

    #[test]
    fn an_interest_that_is_cut_or_dropped_costs_recall() {
        let cut = agreement(&TWO, &[&[0, 1, 2], &[3, 4], &[5]]);
        assert_near(cut.recall, 5.0 / 6.0);
        assert_eq!((cut.coverage, cut.journeys_per_interest), (1.0, 1.5));
        let dropped = agreement(&TWO, &[&[0, 1, 2]]);
        assert_eq!(
            (
                dropped.recall,
                dropped.coverage,
                dropped.journeys_per_interest
            ),
            (0.5, 0.5, 0.5)
        );
    }

    #[test]
    fn interests_that_are_one_journey_cost_precision_and_no_recall() {
        let found = agreement(&TWO, &[&[0, 1, 2, 3, 4, 5]]);
        assert_eq!((found.recall, found.ari, found.v_measure), (1.0, 0.0, 0.0));
        assert_near(found.pair_precision, 6.0 / 15.0);
        assert_eq!((found.b_cubed_precision, found.b_cubed_recall), (0.5, 1.0));
    }

    #[test]
    fn what_two_items_are_about_need_not_be_found_but_must_not_be_torn_apart() {
        let interests = [Some(0), Some(0), Some(0), Some(1), Some(1)];
        let apart = agreement(&interests, &[&[0, 1, 2]]);
        assert_eq!(
            (apart.recall, apart.coverage, apart.strays),
            (1.0, 1.0, 0.0)
        );
        assert!(apart.ari < 1.0, "{apart:?}");
        let together = agreement(&interests, &[&[0, 1, 2], &[3, 4]]);
        assert_eq!((together.ari, together.strays), (1.0, 1.0));
    }

    #[test]
    fn a_stray_item_is_right_alone_and_wrong_in_a_journey() {
        let interests = [Some(7), Some(7), Some(7), None, None];
        let left_out = agreement(&interests, &[&[0, 1, 2]]);
        assert_eq!(
            (left_out.ari, left_out.b_cubed_f1, left_out.strays),
            (1.0, 1.0, 0.0)
        );
        let taken = agreement(&interests, &[&[0, 1, 2, 3]]);
        assert!(
            taken.ari < 1.0 && taken.b_cubed_precision < 1.0,
            "{taken:?}"
        );
        assert_eq!((taken.strays, taken.recall), (0.5, 1.0));
        let together = agreement(&interests, &[&[0, 1, 2], &[3, 4]]);
        assert!(together.ari < 1.0, "{together:?}");
    }

    #[test]
    fn an_item_of_several_journeys_counts_where_it_comes_first_and_for_every_recall() {
        let found = agreement(&TWO, &[&[0, 1, 2], &[2, 3, 4, 5]]);
        assert_eq!((found.ari, found.recall), (1.0, 1.0));
    }

    #[test]
    fn nothing_at_all_is_found_in_nothing() {
        let nothing = agreement(&[], &[]);
        assert_eq!(
            (
                nothing.recall,
                nothing.coverage,
                nothing.journeys_per_interest
            ),
            (0.0, 0.0, 0.0)
        );
        assert_eq!(agreement(&TWO, &[]).recall, 0.0);
    }

    proptest! {
        #[test]
        fn the_truth_scores_one_and_nothing_scores_more(
            interests in prop::collection::vec(prop::option::of(0_u32..4), 1..30),
            found in prop::collection::vec(0_u32..4, 30),
        ) {
            let groups = |of: &dyn Fn(usize) -> Option<u32>| -> Vec<Vec<u32>> {
                let members = |group| {
                    let all = 0..interests.len();
                    all.filter(|&at| of(at) == Some(group)).map(|at| at as u32).collect()
                };
                let groups = (0..4).map(members);
                groups.filter(|group: &Vec<u32>| !group.is_empty()).collect()
            };
            let truth = Agreement::of(&interests, &groups(&|at| interests[at]));
            for score in [truth.ari, truth.pair_f1, truth.v_measure, truth.b_cubed_f1] {
                prop_assert!((score - 1.0).abs() < 1e-9, "{truth:?}");
            }
            let other = Agreement::of(&interests, &groups(&|at| Some(found[at])));
            for score in [other.recall, other.pair_f1, other.v_measure, other.b_cubed_f1] {
                prop_assert!((-1e-9..=1.0 + 1e-9).contains(&score), "{other:?}");
            }
            prop_assert!(other.ari <= 1.0 + 1e-9, "{other:?}");
        }
    }
}
