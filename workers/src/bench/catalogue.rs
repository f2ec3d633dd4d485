//! How fast the terms of histories are gathered from a catalogue.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use sojourn::catalogue::Catalogue;
use sojourn::item::ItemIndex;

/// Items of one round of different histories: their records are far more than a processor's cache holds,
/// if the catalogue is.
const ITEMS_PER_ROUND: usize = 1_000_000;

/// What is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// Items of a history.
    pub items_per_user: usize,
    /// For how long, at least.
    pub time: Duration,
    /// Of the items, which are any of the catalogue's: no popularity helps.
    pub seed: u64,
}

/// What was measured, in nanoseconds an item: the best of several rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GatherFigures {
    /// Items in the catalogue.
    pub items: usize,
    /// Of histories that are all different.
    pub cold: f64,
    /// Of the same history again and again, which is in the processor's cache.
    pub warm: f64,
}

impl Gather {
    /// Gathers again and again.
    pub fn measure(&self, catalogue: &Catalogue) -> GatherFigures {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut any = || ItemIndex(rng.random_range(0..catalogue.len().max(1)) as u32);
        let different: Vec<ItemIndex> = (0..ITEMS_PER_ROUND).map(|_| any()).collect();
        let length = self.items_per_user.clamp(1, ITEMS_PER_ROUND);
        let same = different[..length].repeat(ITEMS_PER_ROUND / length);
        GatherFigures {
            items: catalogue.len(),
            cold: self.best_round(catalogue, &different),
            warm: self.best_round(catalogue, &same),
        }
    }

    fn best_round(&self, catalogue: &Catalogue, items: &[ItemIndex]) -> f64 {
        let begun = Instant::now();
        let mut best = Duration::MAX;
        while best == Duration::MAX || begun.elapsed() < self.time {
            let round_begun = Instant::now();
            for history in items.chunks(self.items_per_user.max(1)) {
                for terms in catalogue.gather(history.iter().copied()) {
                    black_box(terms.map(|(_, weight)| weight).sum::<f32>());
                }
            }
            best = best.min(round_begun.elapsed());
        }
        best.as_secs_f64() * 1e9 / items.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use sojourn::item::Item;
    use sojourn::terms::SalienceParams;

    use super::*;

    #[test]
    fn a_catalogue_of_any_size_can_be_measured() {
        for count in [0, 1, 200] {
            let item = |number| Item {
                id: format!("item-{number:03}"),
                title: format!("bread number {}", number / 2),
                ..Item::default()
            };
            let items: Vec<Item> = (0..count).map(item).collect();
            let catalogue = Catalogue::of_items(&items, &SalienceParams::default()).unwrap();
            let gather = Gather {
                items_per_user: 10,
                time: Duration::ZERO,
                seed: 1,
            };
            let found = gather.measure(&catalogue);
            assert_eq!(found.items, count);
            assert!(found.cold > 0.0 && found.warm > 0.0, "{found:?}");
        }
    }
}
