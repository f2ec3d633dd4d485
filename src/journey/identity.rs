//! Which journey of yesterday a journey of today is.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::{Journey, NameSource};

/// Gives each journey the id, and where nothing changed the name, of the earlier journey that it
/// goes on from: the one most of whose listed items it has kept.
///
/// When two earlier journeys have become one, it takes the id of the one that gave more items
/// (ties: the older). A journey whose signature changed keeps its name until it is named again.
/// `same_run` says that the earlier journeys were found by an earlier attempt of the same run, so
/// that what was named since is settled.
pub fn keep_identity(previous: &[Journey], journeys: &mut [Journey], same_run: bool) {
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
            journey.name_source = if same_run {
                earlier.name_source
            } else {
                earlier.name_source.in_next_run()
            };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journey::{Stage, StageActivity, StageDuration};

    fn journey(id: &str, items: &str) -> Journey {
        Journey {
            id: id.into(),
            name: format!("terms of {id}"),
            name_source: NameSource::Provisional,
            signature: "0".into(),
            terms: Vec::new(),
            titles: Vec::new(),
            items: items.chars().map(|item| (item.into(), 1.0)).collect(),
            size: items.len() as u32,
            strength: 1.0,
            first: jiff::Timestamp::UNIX_EPOCH,
            last: jiff::Timestamp::UNIX_EPOCH,
            stage: Stage {
                duration: StageDuration::Situational,
                activity: StageActivity::Ended,
            },
        }
    }

    fn named(id: &str, items: &str, source: NameSource) -> Journey {
        Journey {
            name: format!("name of {id}"),
            name_source: source,
            ..journey(id, items)
        }
    }

    fn ids(journeys: &[Journey]) -> Vec<&str> {
        journeys.iter().map(|j| j.id.as_str()).collect()
    }

    #[test]
    fn a_journey_that_keeps_most_of_its_items_keeps_its_id_and_name() {
        let previous = [named("old", "abcde", NameSource::Llm)];
        let mut journeys = [journey("new", "abcxyz"), journey("other", "de")];
        keep_identity(&previous, &mut journeys, false);
        assert_eq!(ids(&journeys), ["old", "other"]);
        assert_eq!(journeys[0].name, "name of old");
        assert_eq!(journeys[0].name_source, NameSource::Llm);
    }

    #[test]
    fn half_of_the_items_are_not_most_of_them() {
        let previous = [journey("old", "abcd")];
        let mut journeys = [journey("new1", "ab"), journey("new2", "cd")];
        keep_identity(&previous, &mut journeys, false);
        assert_eq!(ids(&journeys), ["new1", "new2"]);
    }

    #[test]
    fn of_two_journeys_that_became_one_the_larger_gives_the_id_and_the_older_of_equals() {
        let mut younger = journey("younger", "cd");
        younger.first = jiff::Timestamp::from_second(1).unwrap();
        let previous = [younger, journey("older", "ab"), journey("large", "efg")];
        let mut journeys = [journey("new1", "abcd"), journey("new2", "efg")];
        keep_identity(&previous, &mut journeys, false);
        assert_eq!(ids(&journeys), ["older", "large"]);
        let mut journeys = [journey("new", "abcdefg")];
        keep_identity(&previous, &mut journeys, false);
        assert_eq!(ids(&journeys), ["large"]);
    }

    #[test]
    fn a_journey_with_another_signature_keeps_its_name_until_it_is_named_again() {
        let previous = [named("old", "ab", NameSource::Llm), journey("bare", "cd")];
        let mut journeys = [journey("new1", "abx"), journey("new2", "cdx")];
        for journey in &mut journeys {
            journey.signature = "1".into();
        }
        keep_identity(&previous, &mut journeys, false);
        assert_eq!(
            (journeys[0].name.as_str(), journeys[0].name_source),
            ("name of old", NameSource::Stale)
        );
        assert_eq!(
            (journeys[1].name.as_str(), journeys[1].name_source),
            ("terms of new2", NameSource::Provisional),
            "a name that nobody gave is not kept"
        );
    }

    #[test]
    fn a_name_made_of_terms_is_offered_again_in_the_next_run_only() {
        let previous = [named("old", "ab", NameSource::Terms)];
        let source = |same_run: bool| {
            let mut journeys = [journey("new", "ab")];
            keep_identity(&previous, &mut journeys, same_run);
            journeys[0].name_source
        };
        assert_eq!(source(true), NameSource::Terms);
        assert_eq!(source(false), NameSource::Stale);
    }

    #[test]
    fn a_new_journey_never_takes_an_id_that_is_kept() {
        let previous = [journey("same", "abc")];
        let mut journeys = [journey("same", "xyz"), journey("new", "abc")];
        keep_identity(&previous, &mut journeys, false);
        assert_eq!(journeys[1].id, "same");
        assert_ne!(journeys[0].id, "same");
    }
}
