//! Whether journeys tell what a user did next: the last items of a history are held out, and ranked
//! among items that were not in it.

use std::collections::{HashMap, HashSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::clusterer::Clusterer;
use super::estimate::Estimate;
use crate::catalogue::Catalogue;
use crate::history::{HELD_OUT, History, LEAST_TO_HOLD_OUT};
use crate::item::ItemIndex;
use crate::journey::{Groups, JourneyParams};

/// How far down a list of recommendations is looked.
const TOP: usize = 10;

/// Where what all others are compared with stands in [`RankedBy::ALL`].
const HISTORY: usize = 2;

/// Items after which the weight of one is down to `1 / e`.
const FADING: f64 = 10.0;

/// What is held out, and what it is ranked among.
#[derive(Clone, Copy, Debug)]
pub struct NextOptions {
    /// Users with fewer distinct items are left out.
    pub least_items: usize,
    /// How many of each user's distinct items are held out, the last ones.
    pub held_out: usize,
    /// Items that the user never came to, among which each of those is ranked.
    pub candidates: usize,
    /// Of their choice.
    pub seed: u64,
}

impl Default for NextOptions {
    fn default() -> Self {
        NextOptions {
            least_items: LEAST_TO_HOLD_OUT,
            held_out: HELD_OUT.get(),
            candidates: 100,
            seed: 1,
        }
    }
}

/// What items are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankedBy {
    /// The cosines to the journeys, each times the root of what is left of the weight of its items.
    Journeys,
    /// The same with the journeys that were dropped as well, down to single items.
    Interests,
    /// The cosine to the sum of all items of the history.
    History,
    /// The cosine to the sum of all items of the history, of each what is left of its weight.
    FadingHistory,
    /// How many users came to the item.
    Popularity,
}

impl RankedBy {
    const ALL: [RankedBy; 5] = [
        RankedBy::Journeys,
        RankedBy::Interests,
        RankedBy::History,
        RankedBy::FadingHistory,
        RankedBy::Popularity,
    ];

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            RankedBy::Journeys => "journeys",
            RankedBy::Interests => "journeys, dropped ones too",
            RankedBy::History => "the whole history",
            RankedBy::FadingHistory => "the whole history, fading",
            RankedBy::Popularity => "popularity",
        }
    }
}

/// How well a ranking finds what was held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// What items are ranked by.
    pub by: RankedBy,
    /// How often an item that was held out is among the first ten. Means over users.
    pub recall_at_10: Estimate,
    /// The same, discounted by the logarithm of the place.
    pub ndcg_at_10: Estimate,
    /// By how much its recall is higher than that of the whole history, user by user.
    pub recall_lead: Estimate,
}

/// How well journeys tell what comes next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextItem {
    /// Users with enough items.
    pub users: u64,
    /// Of the items that were held out, the share that is near enough to a journey to join it.
    pub joins_a_journey: Estimate,
    /// The same of the items among which they are ranked.
    pub sampled_joins_a_journey: Estimate,
    /// One for each way.
    pub rankings: Vec<Ranking>,
}

/// The values of one user.
#[derive(Default)]
struct User {
    joins: f64,
    sampled_joins: f64,
    recalls: [f64; RankedBy::ALL.len()],
    gains: [f64; RankedBy::ALL.len()],
}

impl NextItem {
    /// Over all histories of a dataset. Popularity counts what is not held out.
    pub fn of(
        histories: &[History],
        catalogue: &Catalogue,
        parameters: JourneyParams,
        options: &NextOptions,
    ) -> NextItem {
        let split: Vec<Split> = histories
            .iter()
            .map(|history| Split::of(history, options))
            .collect();
        let mut popularity = vec![0_u32; catalogue.len()];
        let mut is_there = vec![false; catalogue.len()];
        for split in &split {
            for item in &split.known {
                popularity[item.position()] += 1;
            }
            for item in split.known.iter().chain(&split.held_out) {
                is_there[item.position()] = true;
            }
        }
        // What nobody ever came to is not what people chose from.
        let there: Vec<ItemIndex> = (0..catalogue.len())
            .filter(|&at| is_there[at])
            .map(|at| ItemIndex(at as u32))
            .collect();
        let mut test = Test {
            catalogue,
            clusterer: Clusterer::new(catalogue, parameters),
            epsilon: f64::from(parameters.epsilon),
            popularity,
            there,
            options: *options,
        };
        let tested = histories
            .iter()
            .zip(&split)
            .filter(|(_, split)| !split.held_out.is_empty());
        let users: Vec<User> = tested
            .map(|(history, split)| test.user(&history.user, split))
            .collect();
        let estimate =
            |of: &dyn Fn(&User) -> f64| Estimate::of(&users.iter().map(of).collect::<Vec<f64>>());
        let ranking = |(at, by): (usize, RankedBy)| Ranking {
            by,
            recall_at_10: estimate(&|user| user.recalls[at]),
            ndcg_at_10: estimate(&|user| user.gains[at]),
            recall_lead: estimate(&|user| user.recalls[at] - user.recalls[HISTORY]),
        };
        NextItem {
            users: users.len() as u64,
            joins_a_journey: estimate(&|user| user.joins),
            sampled_joins_a_journey: estimate(&|user| user.sampled_joins),
            rankings: RankedBy::ALL.into_iter().enumerate().map(ranking).collect(),
        }
    }
}

/// The distinct items of a user in the order of their first visits.
struct Split {
    known: Vec<ItemIndex>,
    /// Empty where there are too few items.
    held_out: Vec<ItemIndex>,
}

impl Split {
    fn of(history: &History, options: &NextOptions) -> Split {
        let visits = history.visits();
        let mut known: Vec<ItemIndex> = visits.iter().map(|visit| visit.item).collect();
        let tested = known.len() >= options.least_items && known.len() > options.held_out;
        let at = known.len() - if tested { options.held_out } else { 0 };
        let held_out = known.split_off(at);
        Split { known, held_out }
    }
}

struct Test<'a> {
    catalogue: &'a Catalogue,
    clusterer: Clusterer<'a>,
    epsilon: f64,
    popularity: Vec<u32>,
    /// Items that somebody came to.
    there: Vec<ItemIndex>,
    options: NextOptions,
}

impl Test<'_> {
    fn user(&mut self, name: &str, split: &Split) -> User {
        let found = self.clusterer.cluster(&split.known).clone();
        let journeys = self.profiles(&split.known, &found.journeys);
        let mut dropped = self.profiles(&split.known, &found.small);
        dropped.extend(self.profiles(&split.known, &found.unsure));
        let all: Vec<u32> = (0..split.known.len() as u32).collect();
        let history = self.profile(&split.known, &all, |_| 1.0);
        let fading = self.profile(&split.known, &all, |at| left(at, split.known.len()));
        let nearest = |item: ItemIndex| {
            let cosines = journeys.iter().map(|journey| self.cosine(journey, item));
            cosines.fold(0.0, f64::max)
        };
        let sum = |profiles: &[Profile], item: ItemIndex| -> f64 {
            let score = |profile: &Profile| self.cosine(profile, item) * profile.left.sqrt();
            profiles.iter().map(score).sum()
        };
        let score = |by: RankedBy, item: ItemIndex| match by {
            RankedBy::Journeys => sum(&journeys, item),
            RankedBy::Interests => sum(&journeys, item) + sum(&dropped, item),
            RankedBy::History => self.cosine(&history, item),
            RankedBy::FadingHistory => self.cosine(&fading, item),
            RankedBy::Popularity => f64::from(self.popularity[item.position()]),
        };
        let joins = |item| f64::from(u8::from(nearest(item) >= self.epsilon));

        let sampled = self.sample(name, split);
        let share = |sum: f64, all: usize| sum / all.max(1) as f64;
        let mut user = User {
            joins: share(
                split.held_out.iter().copied().map(joins).sum(),
                split.held_out.len(),
            ),
            sampled_joins: share(sampled.iter().copied().map(joins).sum(), sampled.len()),
            ..User::default()
        };
        for (at, by) in RankedBy::ALL.into_iter().enumerate() {
            let others: Vec<f64> = sampled.iter().map(|&item| score(by, item)).collect();
            for &item in &split.held_out {
                let (hits, gain) = expected(score(by, item), &others);
                user.recalls[at] += share(hits, split.held_out.len());
                user.gains[at] += share(gain, split.held_out.len());
            }
        }
        user
    }

    /// Items that are not in the user's history, the same for the same user and seed.
    fn sample(&self, user: &str, split: &Split) -> Vec<ItemIndex> {
        let mut rng = StdRng::seed_from_u64(self.options.seed ^ xxh3_64(user.as_bytes()));
        let mut taken: HashSet<ItemIndex> =
            split.known.iter().chain(&split.held_out).copied().collect();
        let free = self
            .there
            .iter()
            .filter(|&item| !taken.contains(item))
            .count();
        let wanted = self.options.candidates.min(free);
        let mut sampled = Vec::new();
        while sampled.len() < wanted {
            let item = self.there[rng.random_range(0..self.there.len())];
            if taken.insert(item) {
                sampled.push(item);
            }
        }
        sampled
    }

    fn profiles(&self, known: &[ItemIndex], groups: &Groups) -> Vec<Profile> {
        let profile = |group: &[u32]| self.profile(known, group, |_| 1.0);
        groups.iter().map(profile).collect()
    }

    /// The sum of the terms of these members of a history, weighed by their positions.
    fn profile(
        &self,
        known: &[ItemIndex],
        members: &[u32],
        weight: impl Fn(u32) -> f64,
    ) -> Profile {
        let mut weights: HashMap<u32, f64> = HashMap::new();
        // In the order of the items, so that sums are the same to the last bit.
        for &at in members {
            for (term, of_term) in self.catalogue.terms(known[at as usize]) {
                *weights.entry(term.0).or_default() += weight(at) * f64::from(of_term);
            }
        }
        let mut squares: Vec<f64> = weights.values().map(|weight| weight * weight).collect();
        squares.sort_by(f64::total_cmp);
        Profile {
            weights,
            norm: squares.iter().sum::<f64>().sqrt(),
            left: members.iter().map(|&at| left(at, known.len())).sum(),
        }
    }

    /// 0 for an item that shares no term.
    fn cosine(&self, profile: &Profile, item: ItemIndex) -> f64 {
        let dot: f64 = self
            .catalogue
            .terms(item)
            .filter_map(|(term, weight)| Some(f64::from(weight) * profile.weights.get(&term.0)?))
            .sum();
        // Vectors of items have unit length.
        if dot == 0.0 { 0.0 } else { dot / profile.norm }
    }
}

/// The sum of some items' terms.
struct Profile {
    weights: HashMap<u32, f64>,
    norm: f64,
    /// What is left of the weight of the items.
    left: f64,
}

/// What is left of the weight of the item at this position of a history of so many: the dates of
/// datasets differ by years, so that time is counted in items.
fn left(at: u32, items: usize) -> f64 {
    let later = items as f64 - 1.0 - f64::from(at);
    libm::exp(-later / FADING)
}

/// How often an item is among the first ten, and its discounted gain there, on average over all
/// orders of those that have the same score.
fn expected(score: f64, others: &[f64]) -> (f64, f64) {
    let higher = others.iter().filter(|&&other| other > score).count();
    let equal = 1 + others.iter().filter(|&&other| other == score).count();
    let places = higher + 1..=(higher + equal).min(TOP);
    let (hits, gain) = places.fold((0.0, 0.0), |(hits, gain), place| {
        (hits + 1.0, gain + 1.0 / libm::log2(place as f64 + 1.0))
    });
    (hits / equal as f64, gain / equal as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Interaction;
    use crate::item::Item;
    use crate::terms::SalienceParams;

    const KINDS: [&str; 4] = ["ukulele", "bread", "chess", "lettuce"];

    /// 40 items of each kind.
    fn catalogue() -> Catalogue {
        let item = |at: usize| Item {
            id: format!("i{at:03}"),
            title: format!("{} number{at}", KINDS[at / 40]),
            ..Item::default()
        };
        let items: Vec<Item> = (0..160).map(item).collect();
        Catalogue::of_items(&items, &SalienceParams::default()).unwrap()
    }

    fn history(user: &str, items: impl IntoIterator<Item = u32>) -> History {
        let interactions = (0..).zip(items).map(|(timestamp, item)| Interaction {
            item: ItemIndex(item),
            timestamp,
            weight: 1.0,
        });
        History {
            user: user.into(),
            interactions: interactions.collect(),
        }
    }

    /// One user goes on with an interest; the others have made every item known.
    fn found(last: u32) -> NextItem {
        let ann = history("ann", (0..8).chain(40..48).chain([last]));
        let others = (0..40).map(|at| history(&format!("{at}"), (0..4).map(|k| 40 * k + at)));
        let histories: Vec<History> = [ann].into_iter().chain(others).collect();
        let options = NextOptions {
            least_items: 17,
            held_out: 1,
            candidates: 20,
            seed: 1,
        };
        NextItem::of(&histories, &catalogue(), JourneyParams::default(), &options)
    }

    #[test]
    fn an_item_that_goes_on_with_a_journey_is_found_by_it() {
        let found = found(30);
        assert_eq!(found.users, 1, "the others have too few items");
        assert_eq!(found.joins_a_journey.mean, 1.0);
        assert!(found.sampled_joins_a_journey.mean < 1.0, "{found:?}");
        assert_eq!(found.rankings[0].by, RankedBy::Journeys);
        let recall = |at: usize| found.rankings[at].recall_at_10.mean;
        assert!(recall(0) > 0.5 && recall(0) >= recall(4), "{found:?}");
        assert_eq!(RankedBy::ALL[HISTORY], RankedBy::History);
        assert_eq!(found.rankings[HISTORY].recall_lead.mean, 0.0);
    }

    #[test]
    fn an_item_of_no_journey_is_not() {
        let found = found(130);
        assert_eq!(found.joins_a_journey.mean, 0.0);
        assert!(found.rankings[0].recall_at_10.mean < 1.0, "{found:?}");
    }

    #[test]
    fn those_of_the_same_score_come_in_any_order() {
        assert_eq!(expected(0.5, &[0.9, 0.1]), (1.0, 1.0 / libm::log2(3.0)));
        assert_eq!(expected(0.5, &[0.9; 10]), (0.0, 0.0));
        // As good as chance: ten of a hundred and one places.
        assert_eq!(expected(0.0, &[0.0; 100]).0, 10.0 / 101.0);
        // Of the places 10 and 11 one is among the first ten.
        assert_eq!(expected(0.5, &[&[0.9; 9][..], &[0.5]].concat()).0, 0.5);
    }

    #[test]
    fn what_is_held_out_is_not_known() {
        let options = NextOptions {
            least_items: 3,
            held_out: 2,
            ..NextOptions::default()
        };
        let split = Split::of(&history("ann", [5, 6, 5, 7, 8]), &options);
        assert_eq!(split.known, [ItemIndex(5), ItemIndex(6)]);
        assert_eq!(split.held_out, [ItemIndex(7), ItemIndex(8)]);
        assert!(
            Split::of(&history("bob", [1, 2]), &options)
                .held_out
                .is_empty()
        );
    }
}
