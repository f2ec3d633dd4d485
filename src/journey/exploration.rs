//! How likely it is that what a user does next opens a new interest, rather than going on with one.
//!
//! A recommender that knows it can explore with those who are about to, and leave the others to what
//! they are at. The walk of the clustering says of every item whether it joined a journey or opened
//! one; a logistic regression on the histories of a dataset learns from how a walk went so far whether
//! its next item opens one.

use serde::{Deserialize, Serialize};

use crate::regression::fit;

/// What is known of a walk.
const FEATURES: usize = 5;

/// Items that count as lately, and as just now: an item's weight is down to `1 / e` after so many.
const LATELY: f64 = 10.0;
const JUST_NOW: f64 = 2.0;

/// Of shorter walks nothing is learned, as everything in them is new.
const FEWEST_ITEMS: usize = 10;

/// Items that are learned from, about: more would only take longer.
const MOST_ROWS: usize = 100_000;

/// A walk through a history: in time order, the journey that each item joined first. A journey is
/// numbered when its first item opens it, from 0 without a gap.
#[derive(Clone, Debug, Default)]
pub(super) struct Walk {
    items: f64,
    /// Items of each journey.
    sizes: Vec<f64>,
    /// Sum of `size * ln(size)`.
    concentration: f64,
    lately: f64,
    just_now: f64,
}

impl Walk {
    /// The walk with these items.
    pub fn of(homes: &[u32]) -> Walk {
        let mut walk = Walk::default();
        for &home in homes {
            walk.step(home);
        }
        walk
    }

    /// Whether an item that joined this journey opened it.
    fn opens(&self, home: u32) -> bool {
        home as usize >= self.sizes.len()
    }

    fn step(&mut self, home: u32) {
        let opened = f64::from(u8::from(self.opens(home)));
        let fade = |mean: f64, items: f64| mean + (opened - mean) * (1.0 - libm::exp(-1.0 / items));
        self.lately = fade(self.lately, LATELY);
        self.just_now = fade(self.just_now, JUST_NOW);
        self.items += 1.0;
        if self.opens(home) {
            self.sizes.push(0.0);
        }
        let of = |size: f64| {
            if size > 0.0 {
                size * libm::log(size)
            } else {
                0.0
            }
        };
        let size = &mut self.sizes[home as usize];
        self.concentration += of(*size + 1.0) - of(*size);
        *size += 1.0;
    }

    /// Share of the items that opened a journey, those lately, just now; how evenly the items are
    /// spread over journeys; how many there are.
    fn features(&self) -> [f64; FEATURES] {
        let journeys = self.sizes.len() as f64;
        // The entropy of the journeys, as a share of that of as many items apart.
        let spread = libm::log(self.items + 1.0) - self.concentration / self.items.max(1.0);
        [
            (journeys + 1.0) / (self.items + 2.0),
            self.lately,
            self.just_now,
            spread / libm::log(self.items + 2.0),
            libm::log(self.items + 1.0),
        ]
    }
}

/// Tells how likely the next item of a history opens a new journey.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exploration {
    bias: f64,
    weights: [f64; FEATURES],
}

impl Exploration {
    /// Learns from walks: of each item from the tenth on, whether it opened a journey. None where they
    /// say nothing, because all did or none.
    pub(crate) fn learned(walks: &[Vec<u32>]) -> Option<Exploration> {
        let told = |homes: &Vec<u32>| homes.len().saturating_sub(FEWEST_ITEMS);
        let every = walks.iter().map(told).sum::<usize>().div_ceil(MOST_ROWS);
        let mut rows = Vec::new();
        let mut opened = Vec::new();
        for homes in walks.iter().step_by(every.max(1)) {
            let mut walk = Walk::default();
            for (at, &home) in homes.iter().enumerate() {
                if at >= FEWEST_ITEMS {
                    rows.push(walk.features());
                    opened.push(walk.opens(home));
                }
                walk.step(home);
            }
        }
        let fitted = fit(rows, &opened)?;
        Some(Exploration {
            bias: fitted.bias,
            weights: fitted.weights,
        })
    }

    /// The chance that the item after this walk opens a journey, 0 to 1.
    pub(crate) fn chance(&self, homes: &[u32]) -> f64 {
        self.chance_after(&Walk::of(homes))
    }

    fn chance_after(&self, walk: &Walk) -> f64 {
        let terms = self.weights.iter().zip(walk.features());
        let logit = self.bias + terms.map(|(weight, feature)| weight * feature).sum::<f64>();
        1.0 / (1.0 + libm::exp(-logit))
    }

    /// For each item of a walk from the tenth on: the chance that it would open a journey, the share of
    /// the items before it that had, and whether it did.
    pub(crate) fn told(&self, homes: &[u32]) -> Vec<(f64, f64, bool)> {
        let mut walk = Walk::default();
        let mut told = Vec::new();
        for (at, &home) in homes.iter().enumerate() {
            if at >= FEWEST_ITEMS {
                let share = walk.features()[0];
                told.push((self.chance_after(&walk), share, walk.opens(home)));
            }
            walk.step(home);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who never opens anything after the first, and somebody who always does.
    fn settled(items: usize) -> Vec<u32> {
        vec![0; items]
    }

    fn explorer(items: u32) -> Vec<u32> {
        (0..items).collect()
    }

    #[test]
    fn those_who_opened_journeys_all_along_are_told_from_those_who_went_on_with_one() {
        let walks: Vec<Vec<u32>> = (15..30)
            .flat_map(|items| [settled(items), explorer(items as u32)])
            .collect();
        let learned = Exploration::learned(&walks).unwrap();
        assert!(learned.chance(&settled(40)) < 0.1, "{learned:?}");
        assert!(learned.chance(&explorer(40)) > 0.9, "{learned:?}");
    }

    #[test]
    fn what_happened_lately_counts_and_not_only_how_often() {
        // As many new journeys in all; each goes on as it did lately.
        let fresh: Vec<u32> = [vec![0; 20], (0..40).collect()].concat();
        let stale: Vec<u32> = [(0..20).collect(), vec![0; 40]].concat();
        let learned = Exploration::learned(&[fresh.clone(), stale.clone()]).unwrap();
        assert!(
            learned.chance(&fresh) > learned.chance(&stale),
            "{learned:?}"
        );
    }

    #[test]
    fn nothing_is_learned_where_nobody_or_everybody_explores_or_all_walks_are_short() {
        for walks in [
            vec![settled(30)],
            vec![explorer(30)],
            vec![explorer(10), settled(10)],
            vec![],
        ] {
            assert_eq!(Exploration::learned(&walks), None);
        }
    }

    #[test]
    fn what_is_told_of_an_item_does_not_hang_on_it_or_on_later_ones() {
        let learned = Exploration::learned(&[settled(30), explorer(30)]).unwrap();
        let homes: Vec<u32> = [explorer(8), settled(8)].concat();
        let told = learned.told(&homes);
        assert_eq!(told.len(), homes.len() - FEWEST_ITEMS);
        for (at, &(chance, _, opened)) in (FEWEST_ITEMS..).zip(&told) {
            assert_eq!(chance, learned.chance(&homes[..at]));
            assert!(!opened);
        }
    }
}
