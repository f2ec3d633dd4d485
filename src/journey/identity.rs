//! Which journey of yesterday a journey of today is.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::{Journey, NameSource};

/// Gives each journey the id, and where nothing changed the name, of the earlier journey that it
/// goes on from: the one most of whose listed items it has kept.
///
/// When two earlier journeys have become one, it takes the id of the one that gave more items
/// (ties: the older). A journey whose signature changed keeps its name until it is named again.
pub fn keep_identity(previous: &[Journey], journeys: &mut [Journey]) {
    let mut home: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, journey) in journeys.iter().enumerate() {
        for (item, _) in &journey.items {
            home.entry(item).or_default().push(at);
        }
    }
    // For each journey of today, the best claim on it: (shared items, journey of yesterday).
    let mut claims: Vec<Option<(usize, &Journey)>> = vec![None; journeys.len()];
    let mut older: Vec<&Journey> = previous.iter().collect();
    older.sort_by(|a, b| a.first.cmp(&b.first).then_with(|| a.id.cmp(&b.id)));
    for earlier in older {
        let mut shared = vec![0; journeys.len()];
        for (item, _) in &earlier.items {
            for &at in home.get(item.as_str()).into_iter().flatten() {
                shared[at] += 1;
            }
        }
        // The first of equals, for determinism.
        let Some((at, &most)) = shared
            .iter()
            .enumerate()
            .max_by_key(|&(at, n)| (n, std::cmp::Reverse(at)))
        else {
            continue;
        };
        let keeps_most = 2 * most > earlier.items.len();
        if keeps_most && claims[at].is_none_or(|(others, _)| most > others) {
            claims[at] = Some((most, earlier));
        }
    }
    drop(home);
    for (journey, claim) in journeys.iter_mut().zip(&claims) {
        let Some((_, earlier)) = claim else { continue };
        journey.id.clone_from(&earlier.id);
        if earlier.signature == journey.signature {
            journey.name.clone_from(&earlier.name);
            journey.name_source = earlier.name_source;
        } else if earlier.name_source != NameSource::Provisional {
            journey.name.clone_from(&earlier.name);
            journey.name_source = NameSource::Stale;
        }
    }
    let kept: HashSet<String> = claims
        .iter()
        .flatten()
        .map(|(_, earlier)| earlier.id.clone())
        .collect();
    rename_clashes(journeys, |at| claims[at].is_some(), kept);
}

/// Gives journeys that begin with the same item at the same time ids of their own.
pub(super) fn make_unique(journeys: &mut [Journey]) {
    rename_clashes(journeys, |_| false, HashSet::new());
}

fn rename_clashes(
    journeys: &mut [Journey],
    keeps_id: impl Fn(usize) -> bool,
    mut taken: HashSet<String>,
) {
    for (at, journey) in journeys.iter_mut().enumerate() {
        if keeps_id(at) {
            continue;
        }
        while !taken.insert(journey.id.clone()) {
            journey.id = format!("{:08x}", xxh3_64(journey.id.as_bytes()) as u32);
        }
    }
}
