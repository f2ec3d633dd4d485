//! The sum of some items' vectors.

use super::vectors::{ItemVectors, Vector};

/// A sum, computed in memory that is used again for the next.
#[derive(Debug, Default)]
pub struct Sum {
    /// For each local term what the members have of it.
    entries: Vec<Entry>,
    /// Begins with the `met` terms of the members, in the order in which they were met; as long as if
    /// there were all, and one more, since the place after the last is written, too.
    terms: Vec<u32>,
    met: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// 0 where no member has the term.
    weight: f64,
    /// Whether two members or more have it.
    is_shared: bool,
}

impl Sum {
    /// Computes the sum over `members`.
    pub fn of(&mut self, items: &ItemVectors, members: &[u32]) {
        // What the last sum left, term by term: a user's vocabulary may be long, a sum is not.
        for &term in &self.terms[..self.met] {
            self.entries[term as usize] = Entry::default();
        }
        self.met = 0;
        if self.entries.len() < items.vocabulary() {
            self.entries.resize(items.vocabulary(), Entry::default());
        }
        self.terms.resize(self.entries.len() + 1, 0);
        for &item in members {
            for (term, weight) in items.get(item).iter() {
                let entry = &mut self.entries[term as usize];
                // Weights are above 0, so 0 means that the term is new. Written in any case, and counted
                // if it is: a processor cannot foresee which terms are.
                let is_new = entry.weight == 0.0;
                self.terms[self.met] = term;
                self.met += usize::from(is_new);
                entry.is_shared = !is_new;
                entry.weight += weight;
            }
        }
    }

    /// How long it is.
    pub fn norm(&self) -> f64 {
        let squares = self.iter().map(|(_, weight)| weight * weight);
        squares.sum::<f64>().sqrt()
    }

    /// Pairs of local term and weight, in the order in which the terms were met.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.terms[..self.met]
            .iter()
            .map(|&term| (term, self.entries[term as usize].weight))
    }

    /// Whether two members or more have this local term.
    pub fn is_shared(&self, term: u32) -> bool {
        self.entries[term as usize].is_shared
    }

    /// The product with another sum of the same user.
    pub fn product(&self, other: &Sum) -> f64 {
        let products = self
            .iter()
            .map(|(term, weight)| weight * other.entries[term as usize].weight);
        products.sum()
    }

    /// The product with a vector of the same user.
    pub fn dot(&self, vector: Vector<'_>) -> f64 {
        vector
            .iter()
            .map(|(term, weight)| weight * self.entries[term as usize].weight)
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
        sum.of(&long, &[0, 1, 0]);
        assert_eq!(sum.norm(), (4.0 + 16.0 + 9.0_f64).sqrt());
        assert!(sum.is_shared(0) && !sum.is_shared(2));
        let short = vectors(&[&[(8, 3.0)], &[(8, 1.0), (6, 0.5)]]);
        sum.of(&short, &[0]);
        assert_eq!(sum.norm(), 3.0);
        assert_eq!(sum.iter().collect::<Vec<_>>(), [(0, 3.0)]);
        assert!(!sum.is_shared(0));
        assert_eq!(sum.dot(short.get(1)), 3.0);
    }
}
