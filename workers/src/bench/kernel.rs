//! How fast histories are clustered that lie in memory.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use sojourn::journey::{Icpc, ItemVectors, JourneyParams};

use super::{Histories, Shape};

/// Items of one round, so that a round of short histories is more than noise.
const ITEMS_PER_ROUND: usize = 100_000;

/// What is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// How large histories are.
    pub shape: Shape,
    /// How they are clustered; whether only the walk is made.
    pub params: JourneyParams,
    /// The plain algorithm only, without merging and what follows.
    pub only_walk: bool,
    /// Threads that do the same, each with memory of its own.
    pub threads: usize,
    /// For how long, at least.
    pub time: Duration,
    /// Of the histories.
    pub seed: u64,
}

/// What was measured: the best of several rounds.
#[derive(Clone, Debug, Serialize)]
pub struct KernelFigures {
    /// Items of a user.
    pub items_per_user: usize,
    /// Terms of an item.
    pub terms_per_item: usize,
    /// Threads.
    pub threads: usize,
    /// Journeys of a user after the walk, in the mean.
    pub journeys_per_user: f64,
    /// Postings that an item is compared by in the walk, in the mean: of each of its terms, one for
    /// each journey that has it.
    pub postings_per_item: f64,
    /// Items in a second, all threads together.
    pub items_per_second: f64,
}

impl KernelFigures {
    /// Time for an item on one thread.
    pub fn nanoseconds_per_item(&self) -> f64 {
        self.threads as f64 * 1e9 / self.items_per_second
    }
}

impl Kernel {
    /// The histories that are clustered.
    pub fn histories(&self) -> Histories {
        let users = ITEMS_PER_ROUND.div_ceil(self.shape.items).max(1);
        Histories::generate(users, self.shape, self.seed)
    }

    /// Clusters them again and again. Putting an item's terms into the kernel's layout counts, as it
    /// is part of what a worker does for each item.
    pub fn measure(&self, histories: &Histories) -> KernelFigures {
        let best = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.max(1))
                .map(|_| scope.spawn(|| self.best_round(histories)))
                .collect();
            // The slowest says what all of them do in a second; none panics.
            let seconds = threads.into_iter().filter_map(|thread| thread.join().ok());
            seconds.max().unwrap_or(Duration::MAX)
        });
        let (journeys, postings) = self.postings(histories);
        let items = histories.items() as f64;
        KernelFigures {
            items_per_user: self.shape.items,
            terms_per_item: self.shape.terms,
            threads: self.threads.max(1),
            journeys_per_user: journeys as f64 / histories.0.len() as f64,
            postings_per_item: postings as f64 / items,
            items_per_second: self.threads.max(1) as f64 * items / best.as_secs_f64(),
        }
    }

    fn best_round(&self, histories: &Histories) -> Duration {
        let (mut icpc, mut vectors) = (Icpc::default(), ItemVectors::default());
        let begun = Instant::now();
        let mut best = Duration::MAX;
        // The first round makes room.
        for round in 0.. {
            let round_begun = Instant::now();
            for history in &histories.0 {
                fill(&mut vectors, history);
                if self.only_walk {
                    std::hint::black_box(icpc.walk(&vectors, &self.params));
                } else {
                    std::hint::black_box(icpc.cluster(&vectors, &self.params));
                }
            }
            if round > 0 {
                best = best.min(round_begun.elapsed());
                if begun.elapsed() >= self.time {
                    break;
                }
            }
        }
        best
    }

    /// Journeys of all users together, and the postings that their items were compared by.
    fn postings(&self, histories: &Histories) -> (u64, u64) {
        let (mut journeys, mut postings) = (0, 0);
        self.walks(histories, |history, walk| {
            journeys += walk.iter().max().map_or(0, |last| u64::from(last + 1));
            // For each term the journeys that have it.
            let mut lists: HashMap<u32, Vec<u32>> = HashMap::new();
            for (item, &journey) in history.iter().zip(walk) {
                for (term, _) in item {
                    let list = lists.entry(*term).or_default();
                    postings += list.len() as u64;
                    if !list.contains(&journey) {
                        list.push(journey);
                    }
                }
            }
        });
        (journeys, postings)
    }

    /// Hands out each user's items, and the journey that each of them joins or opens in the walk.
    pub fn walks(&self, histories: &Histories, mut user: impl FnMut(&[Vec<(u32, f32)>], &[u32])) {
        let (mut icpc, mut vectors) = (Icpc::default(), ItemVectors::default());
        for history in &histories.0 {
            fill(&mut vectors, history);
            user(history, icpc.walk(&vectors, &self.params));
        }
    }
}

fn fill(vectors: &mut ItemVectors, history: &[Vec<(u32, f32)>]) {
    vectors.clear();
    for item in history {
        vectors.push(item.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::INTERESTS;

    #[test]
    fn a_round_is_measured_and_its_postings_are_counted() {
        let kernel = Kernel {
            shape: Shape {
                items: 50,
                terms: 8,
                interests: INTERESTS,
            },
            params: JourneyParams::default(),
            only_walk: true,
            threads: 2,
            time: Duration::ZERO,
            seed: 1,
        };
        // Two items alike: the second is compared by all terms of the first.
        let item: Vec<(u32, f32)> = (0..4).map(|term| (term, 0.5)).collect();
        let found = kernel.measure(&Histories(vec![vec![item.clone(), item]]));
        assert_eq!(
            (found.journeys_per_user, found.postings_per_item),
            (1.0, 2.0)
        );
        assert!(found.items_per_second > 0.0);
    }
}
