//! The obvious way in Rust: one hash map of term weights for each journey, and every journey compared
//! with every item.

use std::collections::HashMap;

type Journey = HashMap<u32, f64>;

/// The journey that each item joins or opens.
pub fn walk(items: &[Vec<(u32, f32)>], epsilon: f64) -> Vec<u32> {
    let mut journeys: Vec<(Journey, f64)> = Vec::new();
    let mut walk = Vec::with_capacity(items.len());
    for item in items {
        let mut best: Option<(usize, f64)> = None;
        for (at, (sum, square)) in journeys.iter().enumerate() {
            let products = item.iter().map(|(term, weight)| {
                let sum = sum.get(term).copied().unwrap_or(0.0);
                f64::from(*weight) * sum
            });
            let similarity = products.sum::<f64>() / square.sqrt();
            if similarity >= epsilon && best.is_none_or(|(_, most)| similarity > most) {
                best = Some((at, similarity));
            }
        }
        let at = best.map_or(journeys.len(), |(at, _)| at);
        if at == journeys.len() {
            journeys.push((Journey::new(), 0.0));
        }
        let (sum, square) = &mut journeys[at];
        for &(term, weight) in item {
            let weight = f64::from(weight);
            let entry = sum.entry(term).or_default();
            *square += 2.0 * *entry * weight + weight * weight;
            *entry += weight;
        }
        walk.push(at as u32);
    }
    walk
}
