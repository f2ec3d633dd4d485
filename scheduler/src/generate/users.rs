//! Users: what they pursue and when, and what they come across besides.

use rand::RngExt;
use rand::rngs::StdRng;
use rustc_hash::FxHashSet;

use super::Parameters;
use super::random::{Stream, rng};
use super::topics::Topics;

/// Most interests of one user over the year.
const MOST_INTERESTS: usize = 8;

/// Items of a history for each further interest, so that short histories are not all of single items.
const ITEMS_PER_INTEREST: usize = 5;

/// Share of items that belong to no interest; in long histories more, where the topics that a user
/// pursues do not have enough items.
const STRAYS: f64 = 0.12;

/// The year, in milliseconds since 1970: 2025.
const YEAR_START: i64 = 1_735_689_600_000;
const DAY: i64 = 24 * 3600 * 1000;
const YEAR: i64 = 365 * DAY;

/// Shortest time for which an interest is pursued.
const SHORTEST: i64 = 14 * DAY;

/// One interaction of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interaction {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Number of the item.
    pub item: u32,
    /// Number of the topic that the user pursued; none for a stray item.
    pub topic: Option<u32>,
}

/// How many items each user has.
///
/// Lengths have a geometric distribution: many short histories, a few that are ten times as long as
/// the mean. Users do not draw theirs independently but take the values of the distribution in
/// turn, at the multiples of the golden ratio modulo 1, which lie more evenly than random numbers:
/// so the mean of a few thousand users is already what was asked for, to a part in a thousand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    /// Of the first user, in units of 2^-64.
    first: u64,
    /// Logarithm of the share of histories that have more than one item.
    log_longer: f64,
    most: u32,
}

impl Lengths {
    pub fn new(parameters: &Parameters) -> Lengths {
        Lengths {
            first: rng(parameters.seed, Stream::Lengths, 0).random(),
            log_longer: (-1.0 / f64::from(parameters.items_per_user)).ln_1p(),
            // Others are left to be drawn.
            most: parameters.items.div_ceil(2),
        }
    }

    /// How many items a user has: 1 or more.
    pub fn of(&self, user: u32) -> usize {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let quantile = self.first.wrapping_add(GOLDEN.wrapping_mul(user.into()));
        // Above 0, of which there is no logarithm.
        let longer = (quantile as f64 + 1.0) * 0.5f64.powi(64);
        let length = 1.0 + (longer.ln() / self.log_longer).floor();
        length.min(self.most.into()) as usize
    }
}

/// The history of a user with `length` items: in time order, no item twice.
pub(super) fn history(
    user: u32,
    length: usize,
    topics: &Topics,
    parameters: &Parameters,
) -> Vec<Interaction> {
    let mut rng = rng(parameters.seed, Stream::User, user);
    let mut history = Vec::with_capacity(length);
    let mut taken = FxHashSet::with_capacity_and_hasher(length, Default::default());
    let strays = (length as f64 * STRAYS + rng.random::<f64>()) as usize;
    for interest in interests(length - strays.min(length), topics, &mut rng) {
        let lasts = rng.random_range(SHORTEST..=YEAR);
        let begins = YEAR_START + rng.random_range(0..=YEAR - lasts);
        for _ in 0..interest.items {
            let item = draw_new(&mut taken, || topics.draw_item(interest.topic, &mut rng));
            history.push(Interaction {
                timestamp: begins + rng.random_range(0..lasts),
                item,
                topic: Some(interest.topic),
            });
        }
    }
    while history.len() < length {
        let item = draw_new(&mut taken, || {
            let topic = topics.draw_topic(&mut rng);
            topics.draw_item(topic, &mut rng)
        });
        history.push(Interaction {
            timestamp: YEAR_START + rng.random_range(0..YEAR),
            item,
            topic: None,
        });
    }
    history.sort_unstable();
    history
}

/// Draws until something has not been taken, and takes it.
fn draw_new(taken: &mut FxHashSet<u32>, mut draw: impl FnMut() -> u32) -> u32 {
    loop {
        let item = draw();
        if taken.insert(item) {
            return item;
        }
    }
}

/// What a user pursues.
struct Interest {
    topic: u32,
    items: usize,
}

/// Interests in different topics, of `items` items together, or of fewer if the topics do not have
/// them: half of a topic's items are left, as to find the last ones by their popularity takes long.
fn interests(items: usize, topics: &Topics, rng: &mut StdRng) -> Vec<Interest> {
    let most = MOST_INTERESTS.min(1 + items / ITEMS_PER_INTEREST);
    let planned = rng.random_range(1..=most);
    let mut interests: Vec<Interest> = Vec::with_capacity(planned);
    let mut left = items;
    // More often than there are interests, since a topic may come up again.
    for _ in 0..2 * MOST_INTERESTS {
        if left == 0 || interests.len() == MOST_INTERESTS {
            break;
        }
        let topic = topics.draw_topic(rng);
        if interests.iter().any(|interest| interest.topic == topic) {
            continue;
        }
        let share = match planned.saturating_sub(interests.len()) {
            0 | 1 => left,
            coming => (left as f64 / coming as f64 * rng.random_range(0.5..1.5)).ceil() as usize,
        };
        let items = share
            .min(left)
            .min(topics.items(topic).div_ceil(2) as usize);
        interests.push(Interest { topic, items });
        left -= items;
    }
    interests
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::generate::Population;

    fn parameters(items_per_user: u32) -> Parameters {
        Parameters {
            users: 10_000,
            items_per_user,
            items: 100_000,
            seed: 1,
        }
    }

    fn histories(users: u32) -> Vec<Vec<Interaction>> {
        let population = Population::new(parameters(100)).unwrap();
        (0..users).map(|user| population.history(user)).collect()
    }

    #[test]
    fn histories_are_as_long_in_the_mean_as_was_asked_for() {
        for items_per_user in [1, 2, 10, 100] {
            for seed in 1..=5 {
                let parameters = Parameters {
                    seed,
                    ..parameters(items_per_user)
                };
                let lengths = Lengths::new(&parameters);
                let lengths = (0..parameters.users).map(|user| lengths.of(user));
                let mean = lengths.sum::<usize>() as f64 / f64::from(parameters.users);
                let error = mean / f64::from(items_per_user) - 1.0;
                assert!(error.abs() < 0.005, "{mean} of {parameters:?}");
            }
        }
    }

    #[test]
    fn many_histories_are_short_and_a_few_ten_times_as_long_as_the_mean() {
        let parameters = parameters(100);
        let lengths = Lengths::new(&parameters);
        let lengths: Vec<usize> = (0..100_000).map(|user| lengths.of(user)).collect();
        let share = |of: fn(usize) -> bool| {
            let count = lengths.iter().filter(|&&length| of(length)).count();
            count as f64 / lengths.len() as f64
        };
        assert!((share(|length| length <= 100) - 0.634).abs() < 0.001);
        assert!((share(|length| length <= 10) - 0.096).abs() < 0.001);
        assert!((1..=9).contains(&((share(|length| length > 1000) * 100_000.0) as u32)));
        assert!(lengths.iter().all(|&length| length >= 1));
    }

    #[test]
    fn a_history_has_no_item_twice_and_is_in_the_order_of_time() {
        let lengths = Lengths::new(&parameters(100));
        for (user, history) in (0..).zip(histories(500)) {
            assert_eq!(history.len(), lengths.of(user));
            let items: HashSet<u32> = history.iter().map(|interaction| interaction.item).collect();
            assert_eq!(items.len(), history.len(), "user {user}");
            assert!(history.is_sorted_by_key(|interaction| interaction.timestamp));
        }
    }

    #[test]
    fn users_pursue_one_to_eight_topics_and_take_up_stray_items_besides() {
        let (mut strays, mut total) = (0, 0);
        let mut numbers = HashSet::new();
        for history in histories(2000) {
            let topics: HashSet<u32> = history.iter().filter_map(|it| it.topic).collect();
            numbers.insert(topics.len());
            strays += history.iter().filter(|it| it.topic.is_none()).count();
            total += history.len();
        }
        // A history of a single item may have nothing but a stray one.
        assert!(
            (1..=8).all(|number| numbers.contains(&number)),
            "{numbers:?}"
        );
        assert!(numbers.iter().all(|&number| number <= 8), "{numbers:?}");
        let share = f64::from(strays as u32) / f64::from(total as u32);
        assert!((STRAYS..STRAYS + 0.015).contains(&share), "{share}");
    }

    #[test]
    fn an_interest_is_pursued_within_a_part_of_the_year_with_items_of_its_topic() {
        let population = Population::new(parameters(100)).unwrap();
        let mut spans = Vec::new();
        for user in 0..200 {
            let mut times: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
            for interaction in population.history(user) {
                let time = interaction.timestamp;
                assert!((YEAR_START..YEAR_START + YEAR).contains(&time));
                if let Some(topic) = interaction.topic {
                    assert_eq!(population.item(interaction.item).topic, topic);
                    times.entry(topic).or_default().push(time);
                }
            }
            let long = times.values().filter(|times| times.len() >= 20);
            spans.extend(long.map(|times| times[times.len() - 1] - times[0]));
        }
        let short = spans.iter().filter(|&&span| span < YEAR / 2).count() as f64;
        let share = short / spans.len() as f64;
        assert!((0.4..0.7).contains(&share), "{share} of {}", spans.len());
    }
}
