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

/// Share of items that belong to no interest.
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
            let item = new(&mut taken, || topics.draw_item(interest.topic, &mut rng));
            history.push(Interaction {
                timestamp: begins + rng.random_range(0..lasts),
                item,
                topic: Some(interest.topic),
            });
        }
    }
    while history.len() < length {
        let item = new(&mut taken, || {
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
fn new(taken: &mut FxHashSet<u32>, mut draw: impl FnMut() -> u32) -> u32 {
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
        let items = share.min(left).min(topics.items(topic).div_ceil(2) as usize);
        interests.push(Interest { topic, items });
        left -= items;
    }
    interests
}
