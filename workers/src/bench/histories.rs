//! Histories to cluster that are nobody's.

use std::io::{self, Write};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// Interests that there are. Each has terms of its own.
const ALL_INTERESTS: u32 = 20_000;

/// Terms of an interest, and terms that all interests have in common.
const TERMS_PER_INTEREST: u32 = 60;
const COMMON_TERMS: u32 = 20_000;

/// Share of an item's terms that are of its interest.
const OWN_TERMS: f64 = 0.75;

/// How large histories are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Items of each user.
    pub items: usize,
    /// Terms of each item.
    pub terms: usize,
    /// Interests of each user.
    pub interests: usize,
}

/// Interests of a user where nothing else is asked for.
pub const INTERESTS: usize = 8;

/// Term vectors of unit length, as a catalogue has them: term and weight.
type Item = Vec<(u32, f32)>;

/// The items of some users, in the order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Histories(pub Vec<Vec<Item>>);

impl Histories {
    /// Histories of this shape; the same for the same seed. Each user has a few interests, and each
    /// item terms of one of them and some that may be in any item, so that journeys of different
    /// interests share a term now and then.
    pub fn generate(users: usize, shape: Shape, seed: u64) -> Histories {
        let user = |number| {
            let mut rng = StdRng::seed_from_u64(seed.wrapping_add(number));
            let interests: Vec<u32> = (0..shape.interests)
                .map(|_| rng.random_range(0..ALL_INTERESTS))
                .collect();
            (0..shape.items)
                .map(|_| item(&interests, shape.terms, &mut rng))
                .collect()
        };
        Histories((0..users as u64).map(user).collect())
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Writes them as programs in other languages read them, all numbers little endian: u32 users; of
    /// each user u32 items; of each item u32 terms; of each term u32 number, f32 weight.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let count = |of: usize| (of as u32).to_le_bytes();
        to.write_all(&count(self.0.len()))?;
        for user in &self.0 {
            to.write_all(&count(user.len()))?;
            for item in user {
                to.write_all(&count(item.len()))?;
                for (term, weight) in item {
                    to.write_all(&term.to_le_bytes())?;
                    to.write_all(&weight.to_le_bytes())?;
                }
            }
        }
        to.flush()
    }
}

fn item(interests: &[u32], terms: usize, rng: &mut StdRng) -> Item {
    let interest = interests.choose(rng).copied().unwrap_or(0);
    let mut item: Item = Vec::with_capacity(terms);
    while item.len() < terms {
        let term = if rng.random_bool(OWN_TERMS) {
            COMMON_TERMS + interest * TERMS_PER_INTEREST + rng.random_range(0..TERMS_PER_INTEREST)
        } else {
            rng.random_range(0..COMMON_TERMS)
        };
        if item.iter().all(|&(there, _)| there != term) {
            item.push((term, rng.random_range(0.2..1.0)));
        }
    }
    let norm = item
        .iter()
        .map(|(_, weight)| weight * weight)
        .sum::<f32>()
        .sqrt();
    for (_, weight) in &mut item {
        *weight /= norm;
    }
    // Heaviest first, as in a catalogue.
    item.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        items: 30,
        terms: 12,
        interests: INTERESTS,
    };

    #[test]
    fn the_same_seed_gives_the_same_histories() {
        let histories = |seed| Histories::generate(2, SHAPE, seed);
        assert_eq!(histories(1), histories(1));
        assert_ne!(histories(1), histories(5));
    }

    #[test]
    fn items_are_of_unit_length_and_have_no_term_twice() {
        for item in Histories::generate(3, SHAPE, 1).0.iter().flatten() {
            let square: f32 = item.iter().map(|(_, weight)| weight * weight).sum();
            assert!((square - 1.0).abs() < 1e-5, "{square}");
            let mut terms: Vec<u32> = item.iter().map(|&(term, _)| term).collect();
            terms.sort_unstable();
            terms.dedup();
            assert_eq!(terms.len(), SHAPE.terms);
        }
    }
}
