//! How much of the truth about a population was found.

use std::collections::HashMap;

use sojourn::evaluation::adjusted_rand_index;
use sojourn::journey::Journey;

use super::population::{Population, SimulatedUser};

/// Mean over users of the adjusted Rand index between the interests that made a user look at items
/// and the journeys that these items ended up in. Stray clicks are left out; an item that is in no
/// journey counts as a group of its own, so that dropping is no way to a better score.
pub fn recovery<'a>(users: impl Iterator<Item = (&'a SimulatedUser, &'a [Journey])>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (user, journeys) in users {
        let mut found: HashMap<&str, usize> = HashMap::new();
        for (number, journey) in journeys.iter().enumerate() {
            for (item, _) in &journey.items {
                found.entry(item).or_insert(number);
            }
        }
        let labels: Vec<(usize, usize)> = user
            .history
            .iter()
            .enumerate()
            .filter_map(|(at, interaction)| {
                let id = Population::item_id(interaction.item);
                let alone = journeys.len() + at;
                let group = found.get(id.as_str()).copied().unwrap_or(alone);
                Some((interaction.interest?, group))
            })
            .collect();
        sum += adjusted_rand_index(&labels);
        count += 1.0;
    }
    if count == 0.0 { 0.0 } else { sum / count }
}
