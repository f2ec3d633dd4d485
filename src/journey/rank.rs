//! In which order journeys are worth showing.

use super::index::JourneyIndex;
use super::sum::Sum;

/// What a journey's worth is multiplied by for each similar one that stands above it: a list of
/// variations on one interest gives way to others little by little. The factor is that of Pinterest's
/// user journeys (2025).
const PENALTY: f64 = 0.95;

/// Cosine from which two journeys are similar.
const SIMILAR: f64 = 0.25;

/// Ranks journeys; its memory is used again for the next user.
#[derive(Debug, Default)]
pub(super) struct Ranker {
    index: JourneyIndex,
    /// What each journey is worth.
    worth: Vec<f64>,
    /// Pairs of similar ones, either way round.
    similar: Vec<(usize, usize)>,
}

impl Ranker {
    /// Forgets all journeys; `vocabulary` is how many local terms there will be.
    pub fn clear(&mut self, vocabulary: usize) {
        self.index.clear(vocabulary);
        self.worth.clear();
        self.similar.clear();
    }

    /// Adds the next younger journey: its sum, of this norm, and what it is worth.
    pub fn add(&mut self, sum: &Sum, norm: f64, worth: f64) {
        let this = self.worth.len();
        for (other, dot, other_norm) in self.index.dots(sum.iter()) {
            if dot * other_norm.inverse >= SIMILAR * norm {
                let other = other as usize;
                self.similar.extend([(other, this), (this, other)]);
            }
        }
        self.index.open(sum.iter());
        self.worth.push(worth);
    }

    /// The rank of each journey, from 1: the one that is worth most first (ties: the older), where each
    /// loses by the similar ones above it.
    pub fn ranks(&mut self) -> Vec<u32> {
        let Ranker { worth, similar, .. } = self;
        similar.sort_unstable();
        let mut ranks = vec![0; worth.len()];
        for rank in 1..=worth.len() as u32 {
            let left = (0..worth.len()).filter(|&at| ranks[at] == 0);
            // Of equals the first, which `max_by` would not take.
            let Some(best) =
                left.reduce(|best, at| if worth[at] > worth[best] { at } else { best })
            else {
                break;
            };
            ranks[best] = rank;
            let from = similar.partition_point(|&(one, _)| one < best);
            let its = similar[from..].iter().take_while(|&&(one, _)| one == best);
            for &(_, other) in its {
                worth[other] *= PENALTY;
            }
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors::ItemVectors;
    use super::*;

    /// Ranks of journeys of one item each: the terms of the item, and what the journey is worth.
    fn ranks(journeys: &[(&[(u32, f32)], f64)]) -> Vec<u32> {
        let mut items = ItemVectors::default();
        for (terms, _) in journeys {
            items.push(terms.iter().copied());
        }
        let (mut ranker, mut sum) = (Ranker::default(), Sum::default());
        ranker.clear(items.vocabulary());
        for (item, &(_, worth)) in (0..).zip(journeys) {
            sum.of(&items, &[item]);
            ranker.add(&sum, sum.norm(), worth);
        }
        ranker.ranks()
    }

    #[test]
    fn the_journey_worth_most_comes_first_and_of_equals_the_older() {
        let [a, b, c] = [[(0, 1.0)], [(1, 1.0)], [(2, 1.0)]];
        assert_eq!(ranks(&[(&a, 0.1), (&b, 0.3), (&c, 0.1)]), [2, 1, 3]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn each_similar_journey_above_it_costs_a_journey_one_in_twenty() {
        let (bread, chess) = ([(0, 1.0)], [(1, 1.0)]);
        // Behind two of bread, a third one is worth 0.9025 times as much as alone.
        let third = |worth| ranks(&[(&bread, 1.0), (&bread, 1.0), (&bread, worth), (&chess, 0.5)]);
        assert_eq!(third(0.5 / 0.9025 + 0.001), [1, 2, 3, 4]);
        assert_eq!(third(0.5 / 0.9025 - 0.001), [1, 2, 4, 3]);
    }

    #[test]
    fn journeys_that_share_little_cost_each_other_nothing() {
        let (bread, chess) = ([(0, 1.0)], [(1, 1.0)]);
        let near = [(0, 0.3), (2, 0.954)];
        let far = [(0, 0.2), (2, 0.98)];
        for (other, ranked) in [(near, [1, 3, 2]), (far, [1, 2, 3])] {
            assert_eq!(
                ranks(&[(&bread, 1.0), (&other, 0.51), (&chess, 0.5)]),
                ranked
            );
        }
    }
}
