//! How well a grouping of items agrees with a known one.

use std::collections::HashMap;
use std::hash::Hash;

/// Adjusted Rand index of two groupings of the same items, given as one pair of labels per item:
/// 1 for equal groupings, around 0 for unrelated ones. Hubert and Arabie, "Comparing partitions",
/// 1985.
///
/// Two groupings that both put everything together, or everything apart, are equal: 1.
pub fn adjusted_rand_index<A: Hash + Eq, B: Hash + Eq>(labels: &[(A, B)]) -> f64 {
    let pairs = |counts: &mut dyn Iterator<Item = u64>| -> f64 {
        counts.map(|n| (n * n.saturating_sub(1) / 2) as f64).sum()
    };
    let (mut both, mut left, mut right) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (a, b) in labels {
        *both.entry((a, b)).or_insert(0) += 1;
        *left.entry(a).or_insert(0) += 1;
        *right.entry(b).or_insert(0) += 1;
    }
    let together = pairs(&mut both.into_values());
    let (left, right) = (
        pairs(&mut left.into_values()),
        pairs(&mut right.into_values()),
    );
    let all = pairs(&mut std::iter::once(labels.len() as u64));
    if all == 0.0 {
        return 1.0;
    }
    let expected = left * right / all;
    let most = (left + right) / 2.0;
    if most == expected {
        1.0
    } else {
        (together - expected) / (most - expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_groupings_score_one_whatever_they_are_called() {
        assert_eq!(adjusted_rand_index(&[("a", 1), ("a", 1), ("b", 2)]), 1.0);
        assert_eq!(adjusted_rand_index(&[("a", 1), ("a", 1)]), 1.0);
        assert_eq!(adjusted_rand_index::<u8, u8>(&[]), 1.0);
    }

    #[test]
    fn one_item_in_the_wrong_group_costs_what_the_formula_says() {
        // Pairs together in both 2 (1 + 1), left 4 (3 + 1), right 4 (1 + 3); of all 10 pairs.
        let labels = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1)];
        let (both, left, right, all) = (2.0, 4.0, 4.0, 10.0);
        let expected = left * right / all;
        let ari = (both - expected) / ((left + right) / 2.0 - expected);
        assert!((adjusted_rand_index(&labels) - ari).abs() < 1e-12);
    }

    #[test]
    fn splitting_what_belongs_together_scores_zero() {
        assert_eq!(adjusted_rand_index(&[(0, 0), (0, 0), (0, 1), (0, 1)]), 0.0);
    }
}
