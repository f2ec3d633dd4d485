//! Users who pursue interests over a year: several at once, some ending and others beginning, with
//! stray clicks in between.

use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::interests::{Interest, interests};

/// How many interests a user has at once: in the source's survey 70 % of people pursue one to
/// three.
const AT_ONCE: std::ops::RangeInclusive<usize> = 1..=3;

/// Share of users who give up an interest for another half-way through the year.
const DRIFTING: f64 = 0.4;

/// Items that a user looks at for one interest.
const ITEMS_PER_INTEREST: std::ops::RangeInclusive<usize> = 6..=16;

/// Stray clicks per item that belongs to an interest.
const NOISE: f64 = 0.12;

/// The year, in milliseconds since 1970: 2025.
const YEAR_START: i64 = 1_735_689_600_000;
const YEAR: i64 = 365 * 24 * 3600 * 1000;

/// One interaction of a simulated user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedInteraction {
    /// Number of the item: see [`Population::item_id`].
    pub item: usize,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The interest that made the user look; none for a stray click.
    pub interest: Option<usize>,
}

/// One simulated user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedUser {
    /// The user id.
    pub id: String,
    /// In time order; no item twice.
    pub history: Vec<SimulatedInteraction>,
}

/// Users with histories over the built-in catalogue, and the truth about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Population {
    /// The catalogue.
    pub interests: Vec<Interest>,
    /// Everybody.
    pub users: Vec<SimulatedUser>,
}

impl Population {
    /// A population of `size` users; the same for the same seed.
    pub fn generate(size: usize, seed: u64) -> Population {
        let interests = interests();
        let mut rng = StdRng::seed_from_u64(seed);
        let users = (1..=size)
            .map(|number| SimulatedUser {
                id: format!("user-{number:04}"),
                history: history(&interests, &mut rng),
            })
            .collect();
        Population { interests, users }
    }

    /// How many items the catalogue has.
    pub fn items(&self) -> usize {
        self.interests
            .iter()
            .map(|interest| interest.items.len())
            .sum()
    }

    /// How many interactions there are.
    pub fn interactions(&self) -> usize {
        self.users.iter().map(|user| user.history.len()).sum()
    }

    /// The id of an item.
    pub fn item_id(item: usize) -> String {
        format!("item-{item:04}")
    }

    /// Writes `items.csv` and `interactions.csv`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut items = csv::Writer::from_path(folder.join("items.csv"))?;
        items.write_record(["item_id", "title", "description"])?;
        let all = self.interests.iter().flat_map(|interest| &interest.items);
        for (number, item) in all.enumerate() {
            items.write_record([&Self::item_id(number), item.title, item.description])?;
        }
        items.flush()?;

        let mut interactions =
            io::BufWriter::new(std::fs::File::create(folder.join("interactions.csv"))?);
        writeln!(interactions, "user_id,item_id,timestamp")?;
        for user in &self.users {
            for interaction in &user.history {
                let time = Timestamp::from_millisecond(interaction.timestamp).unwrap_or_default();
                writeln!(
                    interactions,
                    "{},{},{time}",
                    user.id,
                    Self::item_id(interaction.item)
                )?;
            }
        }
        interactions.flush()
    }
}

fn history(interests: &[Interest], rng: &mut StdRng) -> Vec<SimulatedInteraction> {
    let items_before: Vec<usize> = interests
        .iter()
        .scan(0, |before, interest| {
            let start = *before;
            *before += interest.items.len();
            Some(start)
        })
        .collect();
    let at_once = rng.random_range(AT_ONCE);
    let numbers: Vec<usize> = (0..interests.len()).collect();
    let mut pursued: Vec<usize> = numbers.sample(rng, at_once + 1).copied().collect();
    let later = pursued.pop().filter(|_| rng.random_bool(DRIFTING));

    let mut history = Vec::new();
    let mut pursue = |interest: usize, from: i64, to: i64, rng: &mut StdRng| {
        let mut items: Vec<usize> = (0..interests[interest].items.len()).collect();
        items.shuffle(rng);
        items.truncate(rng.random_range(ITEMS_PER_INTEREST));
        history.extend(items.into_iter().map(|item| SimulatedInteraction {
            item: items_before[interest] + item,
            timestamp: rng.random_range(from..to),
            interest: Some(interest),
        }));
    };
    let (end, middle) = (YEAR_START + YEAR, YEAR_START + YEAR / 2);
    for (number, &interest) in pursued.iter().enumerate() {
        // The first interest is the one that is given up.
        let until = if number == 0 && later.is_some() {
            middle
        } else {
            end
        };
        pursue(interest, YEAR_START, until, rng);
    }
    if let Some(later) = later {
        pursue(later, middle, end, rng);
    }

    let strays = (history.len() as f64 * NOISE).round() as usize;
    for _ in 0..strays {
        let interest = rng.random_range(0..interests.len());
        let item = items_before[interest] + rng.random_range(0..interests[interest].items.len());
        let known = pursued.contains(&interest) || later == Some(interest);
        if !known && !history.iter().any(|interaction| interaction.item == item) {
            let timestamp = rng.random_range(YEAR_START..end);
            history.push(SimulatedInteraction {
                item,
                timestamp,
                interest: None,
            });
        }
    }
    history.sort_by_key(|interaction| (interaction.timestamp, interaction.item));
    history
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_population() {
        assert_eq!(Population::generate(20, 7), Population::generate(20, 7));
        assert_ne!(Population::generate(20, 7), Population::generate(20, 8));
    }

    #[test]
    fn users_pursue_one_to_four_interests_and_click_astray_now_and_then() {
        let population = Population::generate(200, 1);
        let mut strays = 0;
        for user in &population.users {
            let mut interests: Vec<usize> = user
                .history
                .iter()
                .filter_map(|interaction| interaction.interest)
                .collect();
            interests.sort_unstable();
            interests.dedup();
            assert!(
                (1..=4).contains(&interests.len()),
                "{}: {interests:?}",
                user.id
            );
            strays += user.history.iter().filter(|i| i.interest.is_none()).count();
        }
        let share = strays as f64 / population.interactions() as f64;
        assert!((0.05..0.15).contains(&share), "{share}");
    }
}
