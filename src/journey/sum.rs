//! The sum of some items' vectors.

use super::vectors::ItemVectors;

/// A sum, computed in memory that is used again for the next.
#[derive(Debug, Default)]
pub struct Sum {
    /// Weight of each local term while the sum is computed; 0 in between.
    dense: Vec<f64>,
    entries: Vec<(u32, f64)>,
}

impl Sum {
    /// Computes the sum over `members` and returns its norm.
    pub fn of(&mut self, items: &ItemVectors, members: &[u32]) -> f64 {
        self.dense
            .resize(items.vocabulary().max(self.dense.len()), 0.0);
        self.entries.clear();
        for &item in members {
            for (term, weight) in items.get(item).iter() {
                let sum = &mut self.dense[term as usize];
                // Weights are positive, so 0 means that the term is new.
                if *sum == 0.0 {
                    self.entries.push((term, 0.0));
                }
                *sum += weight;
            }
        }
        let mut square = 0.0;
        for (term, sum) in &mut self.entries {
            *sum = std::mem::take(&mut self.dense[*term as usize]);
            square += *sum * *sum;
        }
        square.sqrt()
    }

    /// Pairs of local term and weight, in the order in which the terms were met.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.entries.iter().copied()
    }
}
