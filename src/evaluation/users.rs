//! What is found in the histories of real users, whose interests nobody knows: how many journeys,
//! how long, and whether they stay what they are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::agreement::adjusted_rand_index;
use super::clusterer::Clusterer;
use super::estimate::Estimate;
use super::exploration::ExplorationFigures;
use crate::catalogue::Catalogue;
use crate::history::History;
use crate::journey::{
    Extraction, Extractor, Journey, JourneyParams, StageActivity, StageDuration, keep_identity,
};

const DAY_SECONDS: f64 = 24.0 * 3600.0;

/// Who is looked at, and how.
#[derive(Clone, Copy, Debug)]
pub struct UserOptions {
    /// Users with fewer distinct items are left out.
    pub least_items: usize,
    /// Share of the interactions that a history had before it grew.
    pub before: f64,
    /// Of the other orders.
    pub seed: u64,
}

impl Default for UserOptions {
    fn default() -> Self {
        UserOptions {
            least_items: 50,
            before: 0.8,
            seed: 1,
        }
    }
}

/// How values are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// One in ten is below.
    pub p10: f64,
    /// The median.
    pub p50: f64,
    /// One in ten is above.
    pub p90: f64,
    /// The mean.
    pub mean: f64,
}

/// What is found in the histories of a dataset. Means and shares are over users, or over all journeys
/// where it says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserFigures {
    /// Users with enough items.
    pub users: u64,
    /// Distinct items of a user.
    pub items: Spread,
    /// Journeys of a user.
    pub journeys: Spread,
    /// Share of users with one to three journeys, as 70 % had in the source.
    pub with_1_to_3: f64,
    /// Share of users with one to eight.
    pub with_1_to_8: f64,
    /// Share of users without any.
    pub with_none: f64,
    /// Items of a journey, of all journeys.
    pub length: Spread,
    /// Days from the first to the last interaction of a journey, of all journeys.
    pub days: Spread,
    /// Share of all journeys that last.
    pub evergreen: f64,
    /// Share of all journeys that go on.
    pub ongoing: f64,
    /// Share of a user's items that are in a journey.
    pub coverage: Estimate,
    /// Of the journeys that a user had when the history was shorter, the share whose id is still
    /// there.
    pub ids_kept: Estimate,
    /// Adjusted Rand index of the two groupings of the items that were in a journey before.
    pub members_kept: Estimate,
    /// Adjusted Rand index of the grouping with that of the same items in random order, over the items
    /// that are in a journey of either.
    pub in_any_order: Estimate,
    /// Of all users, whatever the number of their items.
    pub exploration: Option<ExplorationFigures>,
}

impl UserFigures {
    /// Over all histories of a dataset that ends at `as_of`, in milliseconds since 1970.
    pub fn of(
        histories: &[History],
        catalogue: &Arc<Catalogue>,
        parameters: JourneyParams,
        as_of: i64,
        options: &UserOptions,
    ) -> UserFigures {
        // All members are needed to compare groupings.
        let parameters = JourneyParams {
            max_listed_items: u32::MAX,
            ..parameters
        };
        let mut extractor = Extractor::new(catalogue.clone(), parameters, as_of);
        let mut found = Collected::default();
        for history in histories {
            let extraction = extractor.extract(history);
            if (extraction.items as usize) < options.least_items {
                continue;
            }
            let shuffled = extractor.extract(&shuffled(history, options.seed));
            let before = extractor.extract(&earlier(history, options.before));
            // Of nothing everything can be said.
            if !extraction.journeys.is_empty() {
                let both = agreement(&extraction.journeys, &shuffled.journeys, Over::Either);
                found.in_any_order.push(both);
            }
            if !before.journeys.is_empty() {
                let both = agreement(&before.journeys, &extraction.journeys, Over::First);
                found.members_kept.push(both);
            }
            found.add(&extraction, &before.journeys, catalogue);
        }
        let mut clusterer = Clusterer::new(catalogue, parameters);
        UserFigures {
            exploration: ExplorationFigures::of(histories, &mut clusterer),
            ..found.figures()
        }
    }
}

/// Values of users and of journeys.
#[derive(Default)]
struct Collected {
    items: Vec<f64>,
    journeys: Vec<f64>,
    coverage: Vec<f64>,
    ids_kept: Vec<f64>,
    members_kept: Vec<f64>,
    in_any_order: Vec<f64>,
    lengths: Vec<f64>,
    days: Vec<f64>,
    evergreen: f64,
    ongoing: f64,
}

impl Collected {
    fn add(&mut self, extraction: &Extraction, before: &[Journey], catalogue: &Catalogue) {
        let mut journeys = extraction.journeys.clone();
        let items = extraction.items;
        let inside = labels(&journeys).len() as f64;
        self.items.push(items as f64);
        self.journeys.push(journeys.len() as f64);
        self.coverage.push(inside / items as f64);
        for journey in &journeys {
            self.lengths.push(f64::from(journey.size));
            let seconds = journey.last.as_second() - journey.first.as_second();
            self.days.push(seconds as f64 / DAY_SECONDS);
            let stage = journey.stage;
            self.evergreen += f64::from(u8::from(stage.duration == StageDuration::Evergreen));
            self.ongoing += f64::from(u8::from(stage.activity == StageActivity::Ongoing));
        }
        if !before.is_empty() {
            let members = extraction.member_ids(catalogue);
            keep_identity(before, &mut journeys, members, false);
            let is_there = |earlier: &&Journey| journeys.iter().any(|now| now.id == earlier.id);
            let kept = before.iter().filter(is_there).count();
            self.ids_kept.push(kept as f64 / before.len() as f64);
        }
    }

    fn figures(self) -> UserFigures {
        let users = self.journeys.len();
        let share = |of: &dyn Fn(f64) -> bool| {
            let there = self
                .journeys
                .iter()
                .filter(|&&journeys| of(journeys))
                .count();
            there as f64 / users.max(1) as f64
        };
        let of_journeys = |count: f64| count / self.lengths.len().max(1) as f64;
        UserFigures {
            users: users as u64,
            with_1_to_3: share(&|journeys| (1.0..=3.0).contains(&journeys)),
            with_1_to_8: share(&|journeys| (1.0..=8.0).contains(&journeys)),
            with_none: share(&|journeys| journeys == 0.0),
            evergreen: of_journeys(self.evergreen),
            ongoing: of_journeys(self.ongoing),
            items: Spread::of(&self.items),
            journeys: Spread::of(&self.journeys),
            length: Spread::of(&self.lengths),
            days: Spread::of(&self.days),
            coverage: Estimate::of(&self.coverage),
            ids_kept: Estimate::of(&self.ids_kept),
            members_kept: Estimate::of(&self.members_kept),
            in_any_order: Estimate::of(&self.in_any_order),
            exploration: None,
        }
    }
}

impl Spread {
    /// Of these values; the quantiles are values themselves.
    fn of(values: &[f64]) -> Spread {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return Spread::default();
        };
        let quantile = |share: f64| sorted[(share * last as f64).round() as usize];
        Spread {
            p10: quantile(0.1),
            p50: quantile(0.5),
            p90: quantile(0.9),
            mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
        }
    }
}

/// The same interactions with their items in another order.
fn shuffled(history: &History, seed: u64) -> History {
    let mut order: Vec<usize> = (0..history.interactions.len()).collect();
    order.shuffle(&mut StdRng::seed_from_u64(
        seed ^ xxh3_64(history.user.as_bytes()),
    ));
    let mut shuffled = history.clone();
    for (interaction, at) in shuffled.interactions.iter_mut().zip(order) {
        interaction.item = history.interactions[at].item;
        interaction.weight = history.interactions[at].weight;
    }
    shuffled
}

/// The history as it was when it had this share of its interactions.
fn earlier(history: &History, share: f64) -> History {
    let mut earlier = history.clone();
    let most = (share * earlier.interactions.len() as f64) as usize;
    earlier.interactions.truncate(most);
    earlier
}

/// Number of the journey of each item that is in one, the first if it is in several.
fn labels(journeys: &[Journey]) -> HashMap<&str, usize> {
    let mut labels = HashMap::new();
    for (number, journey) in journeys.iter().enumerate() {
        for (item, _) in &journey.items {
            labels.entry(item.as_str()).or_insert(number);
        }
    }
    labels
}

/// Over which items two groupings are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// Those that are in a journey of the first.
    First,
    /// Those that are in a journey of either.
    Either,
}

/// Adjusted Rand index of two groupings; an item that is in no journey is alone.
fn agreement(first: &[Journey], second: &[Journey], over: Over) -> f64 {
    let (in_first, in_second) = (labels(first), labels(second));
    let mut items: BTreeSet<&str> = in_first.keys().copied().collect();
    if over == Over::Either {
        items.extend(in_second.keys());
    }
    let pair = |(at, item): (usize, &str)| {
        let number = |labels: &HashMap<&str, usize>, journeys: &[Journey]| {
            labels.get(item).copied().unwrap_or(journeys.len() + at)
        };
        (number(&in_first, first), number(&in_second, second))
    };
    let pairs: Vec<(usize, usize)> = items.into_iter().enumerate().map(pair).collect();
    adjusted_rand_index(&pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Interaction;
    use crate::item::{Item, ItemIndex};
    use crate::terms::SalienceParams;

    const DAY_MS: i64 = 24 * 3600 * 1000;

    /// Items about two things in turn.
    fn catalogue() -> Arc<Catalogue> {
        let kind = |at: usize| {
            if at.is_multiple_of(2) {
                "ukulele"
            } else {
                "bread"
            }
        };
        let item = |at: usize| Item {
            id: format!("i{at:02}"),
            title: format!("{} number{at}", kind(at)),
            ..Item::default()
        };
        let items: Vec<Item> = (0..40).map(item).collect();
        Arc::new(Catalogue::of_items(&items, &SalienceParams::default()).unwrap())
    }

    fn history(items: impl IntoIterator<Item = u32>) -> History {
        let interactions = (0..).zip(items).map(|(day, item)| Interaction {
            item: ItemIndex(item),
            timestamp: day * DAY_MS,
            weight: 1.0,
        });
        History {
            user: "ann".into(),
            interactions: interactions.collect(),
        }
    }

    fn figures(histories: &[History]) -> UserFigures {
        let options = UserOptions {
            least_items: 10,
            ..UserOptions::default()
        };
        let parameters = JourneyParams::default();
        UserFigures::of(histories, &catalogue(), parameters, 40 * DAY_MS, &options)
    }

    #[test]
    fn two_clear_interests_are_two_journeys_in_any_order_and_stay_what_they_are() {
        let found = figures(&[history(0..40), history(0..5)]);
        assert_eq!(found.users, 1, "one has too few items");
        assert_eq!(
            (found.journeys.p50, found.length.p50, found.items.mean),
            (2.0, 20.0, 40.0)
        );
        assert_eq!(
            (found.with_1_to_3, found.with_1_to_8, found.with_none),
            (1.0, 1.0, 0.0)
        );
        assert_eq!(
            (found.evergreen, found.ongoing, found.days.p50),
            (1.0, 1.0, 38.0)
        );
        for share in [
            found.coverage,
            found.ids_kept,
            found.members_kept,
            found.in_any_order,
        ] {
            assert_eq!(share.mean, 1.0, "{found:?}");
        }
    }

    #[test]
    fn nobody_has_figures_of_nothing() {
        let found = figures(&[]);
        assert_eq!(
            (found.users, found.with_none, found.length),
            (0, 0.0, Spread::default())
        );
    }

    #[test]
    fn quantiles_are_values() {
        let values: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        let spread = Spread::of(&values);
        assert_eq!(
            (spread.p10, spread.p50, spread.p90, spread.mean),
            (1.0, 5.0, 9.0, 5.0)
        );
    }
}
