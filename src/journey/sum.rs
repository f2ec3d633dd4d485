//! The sum of some items' vectors.

use super::vectors::{ItemVectors, Vector};

/// A sum, computed in memory that is used again for the next.
#[derive(Debug, Default)]
pub struct Sum {
    /// Weight of each local term; 0 for terms that no member has.
    weights: Vec<f64>,
    /// Whether two members or more have the local term.
    shared: Vec<bool>,
    /// Terms of the members, in the order in which they were met.
    terms: Vec<u32>,
}

impl Sum {
    /// Computes the sum over `members` and returns its norm.
    pub fn of(&mut self, items: &ItemVectors, members: &[u32]) -> f64 {
        // What the last sum left, term by term: a user's vocabulary may be long, a sum is not.
        for term in self.terms.drain(..) {
            self.weights[term as usize] = 0.0;
            self.shared[term as usize] = false;
        }
        let vocabulary = items.vocabulary().max(self.weights.len());
        self.weights.resize(vocabulary, 0.0);
        self.shared.resize(vocabulary, false);
        for &item in members {
            for (term, weight) in items.get(item).iter() {
                let sum = &mut self.weights[term as usize];
                // Weights are above 0, so 0 means that the term is new.
                if *sum == 0.0 {
                    self.terms.push(term);
                } else {
                    self.shared[term as usize] = true;
                }
                *sum += weight;
            }
        }
        let squares = self.iter().map(|(_, weight)| weight * weight);
        squares.sum::<f64>().sqrt()
    }

    /// Pairs of local term and weight, in the order in which the terms were met.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.terms
            .iter()
            .map(|&term| (term, self.weights[term as usize]))
    }

    /// Whether two members or more have this local term.
    pub fn is_shared(&self, term: u32) -> bool {
        self.shared[term as usize]
    }

    /// The product with another sum of the same user.
    pub fn product(&self, other: &Sum) -> f64 {
        let products = self
            .iter()
            .map(|(term, weight)| weight * other.weights[term as usize]);
        products.sum()
    }

    /// The product with a vector of the same user.
    pub fn dot(&self, vector: Vector<'_>) -> f64 {
        vector
            .iter()
            .map(|(term, weight)| weight * self.weights[term as usize])
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(items: &[&[(u32, f32)]]) -> ItemVectors {
        let mut vectors = ItemVectors::default();
        for item in items {
            vectors.push(item.iter().copied());
        }
        vectors
    }

    #[test]
    fn nothing_of_an_earlier_sum_is_left_in_the_next() {
        let mut sum = Sum::default();
        let long = vectors(&[&[(7, 1.0), (8, 2.0)], &[(9, 3.0)]]);
        assert_eq!(sum.of(&long, &[0, 1, 0]), (4.0 + 16.0 + 9.0_f64).sqrt());
        assert!(sum.is_shared(0) && !sum.is_shared(2));
        let short = vectors(&[&[(8, 3.0)], &[(8, 1.0), (6, 0.5)]]);
        assert_eq!(sum.of(&short, &[0]), 3.0);
        assert_eq!(sum.iter().collect::<Vec<_>>(), [(0, 3.0)]);
        assert!(!sum.is_shared(0));
        assert_eq!(sum.dot(short.get(1)), 3.0);
    }
}
