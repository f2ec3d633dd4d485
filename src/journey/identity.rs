//! Which journey of yesterday a journey of today is.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::{Journey, NameSource};

/// Gives each journey the id, and where nothing changed the name, of the earlier journey that it
/// goes on from: the one most of whose listed items it has kept.
///
/// `members` are the ids of all members of the journeys, in the same order. Of an earlier journey only
/// what it lists is known; a journey of today must not be judged by its list, as the list of one that
/// has grown is of other items.
///
/// Where several could go on from the same (they may share members, and two may have become one),
/// the largest number of shared items goes first, then who had the id already, then the older. A
/// journey whose signature changed keeps its name until it is named again. `same_run` says that
/// the earlier journeys were found by an earlier attempt of the same run, so that what was named
/// since is settled.
pub fn keep_identity<'a>(
    previous: &[Journey],
    journeys: &mut [Journey],
    members: impl IntoIterator<Item = impl IntoIterator<Item = &'a str>>,
    same_run: bool,
) {
    let origins = origins(previous, journeys, members);
    for (journey, origin) in journeys.iter_mut().zip(&origins) {
        let Some(earlier) = origin else { continue };
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
    let kept: HashSet<String> = origins
        .iter()
        .flatten()
        .map(|earlier| earlier.id.clone())
        .collect();
    rename_clashes(journeys, |at| origins[at].is_some(), kept);
}

/// The earlier journey that each journey goes on from, if any; each is given once.
fn origins<'p, 'm>(
    previous: &'p [Journey],
    journeys: &[Journey],
    members: impl IntoIterator<Item = impl IntoIterator<Item = &'m str>>,
) -> Vec<Option<&'p Journey>> {
    let mut home: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, members) in members.into_iter().enumerate() {
        for member in members {
            home.entry(member).or_default().push(at);
        }
    }
    let mut oldest_first: Vec<&Journey> = previous.iter().collect();
    oldest_first.sort_by(|a, b| a.first.cmp(&b.first).then_with(|| a.id.cmp(&b.id)));

    // In the order in which they are granted: shared items, most first; whether the id would
    // change; positions of the earlier journey and of the one of today.
    let mut claims: Vec<(Reverse<usize>, bool, usize, usize)> = Vec::new();
    for (age, earlier) in oldest_first.iter().enumerate() {
        let mut shared = vec![0; journeys.len()];
        for (item, _) in &earlier.items {
            for &at in home.get(item.as_str()).into_iter().flatten() {
                shared[at] += 1;
            }
        }
        for (at, (&shared, journey)) in shared.iter().zip(journeys).enumerate() {
            if 2 * shared > earlier.items.len() {
                claims.push((Reverse(shared), earlier.id != journey.id, age, at));
            }
        }
    }
    claims.sort_unstable();
    let mut origins: Vec<Option<&Journey>> = vec![None; journeys.len()];
    let mut is_given = vec![false; previous.len()];
    for (.., age, at) in claims {
        if origins[at].is_none() && !is_given[age] {
            origins[at] = Some(oldest_first[age]);
            is_given[age] = true;
        }
    }
    origins
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
            items: items
                .chars()
                .map(|item| (item.to_string().into(), 1.0))
                .collect(),
            size: items.len() as u32,
            strength: 1.0,
            confidence: 1.0,
            rank: 1,
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

    /// [`keep_identity`] where every journey of today lists all of its members.
    fn keep(previous: &[Journey], journeys: &mut [Journey], same_run: bool) {
        let ids = |journey: &Journey| journey.items.iter().map(|(id, _)| id.to_string()).collect();
        let members: Vec<Vec<String>> = journeys.iter().map(ids).collect();
        let members = members.iter().map(|ids| ids.iter().map(String::as_str));
        keep_identity(previous, journeys, members, same_run);
    }

    #[test]
    fn a_journey_that_keeps_most_of_its_items_keeps_its_id_and_name() {
        let previous = [named("old", "abcde", NameSource::Llm)];
        let mut journeys = [journey("new", "abcxyz"), journey("other", "de")];
        keep(&previous, &mut journeys, false);
        assert_eq!(ids(&journeys), ["old", "other"]);
        assert_eq!(journeys[0].name, "name of old");
        assert_eq!(journeys[0].name_source, NameSource::Llm);
    }

    #[test]
    fn a_journey_that_grew_beyond_what_is_listed_keeps_its_id_and_name() {
        let previous = [named("old", "cd", NameSource::Llm)];
        let mut journeys = [journey("new", "ef")];
        let members = [["a", "b", "c", "d", "e", "f"]];
        keep_identity(&previous, &mut journeys, members, false);
        assert_eq!(ids(&journeys), ["old"]);
        assert_eq!(journeys[0].name, "name of old");
    }

    #[test]
    fn a_journey_whose_members_are_all_in_a_larger_one_has_a_second_choice() {
        let previous = [
            named("large", "abcde", NameSource::Llm),
            named("small", "bcd", NameSource::Llm),
        ];
        for (first, second) in [(0, 1), (1, 0)] {
            for fresh in [false, true] {
                let mut both = previous.clone();
                for journey in &mut both {
                    journey.name = "terms".into();
                    if fresh {
                        journey.id.insert(0, 'x');
                    }
                }
                let mut journeys = [both[first].clone(), both[second].clone()];
                keep(&previous, &mut journeys, false);
                assert_eq!(journeys[0].id, previous[first].id);
                assert_eq!(journeys[1].id, previous[second].id);
                assert_eq!(journeys[1].name, previous[second].name);
            }
        }
    }

    #[test]
    fn of_journeys_that_share_as_much_the_one_that_had_the_id_keeps_it() {
        let previous = [journey("one", "abc"), journey("two", "abc")];
        let mut journeys = [journey("two", "abcx"), journey("one", "abcy")];
        keep(&previous, &mut journeys, false);
        assert_eq!(ids(&journeys), ["two", "one"]);
    }

    #[test]
    fn half_of_the_items_are_not_most_of_them() {
        let previous = [journey("old", "abcd")];
        let mut journeys = [journey("new1", "ab"), journey("new2", "cd")];
        keep(&previous, &mut journeys, false);
        assert_eq!(ids(&journeys), ["new1", "new2"]);
    }

    #[test]
    fn of_two_journeys_that_became_one_the_larger_gives_the_id_and_the_older_of_equals() {
        let mut younger = journey("younger", "cd");
        younger.first = jiff::Timestamp::from_second(1).unwrap();
        let previous = [younger, journey("older", "ab"), journey("large", "efg")];
        let mut journeys = [journey("new1", "abcd"), journey("new2", "efg")];
        keep(&previous, &mut journeys, false);
        assert_eq!(ids(&journeys), ["older", "large"]);
        let mut journeys = [journey("new", "abcdefg")];
        keep(&previous, &mut journeys, false);
        assert_eq!(ids(&journeys), ["large"]);
    }

    #[test]
    fn a_journey_with_another_signature_keeps_its_name_until_it_is_named_again() {
        let previous = [named("old", "ab", NameSource::Llm), journey("bare", "cd")];
        let mut journeys = [journey("new1", "abx"), journey("new2", "cdx")];
        for journey in &mut journeys {
            journey.signature = "1".into();
        }
        keep(&previous, &mut journeys, false);
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
            keep(&previous, &mut journeys, same_run);
            journeys[0].name_source
        };
        assert_eq!(source(true), NameSource::Terms);
        assert_eq!(source(false), NameSource::Stale);
    }

    #[test]
    fn a_new_journey_never_takes_an_id_that_is_kept() {
        let previous = [journey("same", "abc")];
        let mut journeys = [journey("same", "xyz"), journey("new", "abc")];
        keep(&previous, &mut journeys, false);
        assert_eq!(journeys[1].id, "same");
        assert_ne!(journeys[0].id, "same");
    }
}
