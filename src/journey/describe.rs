//! What is said about a cluster of items: terms, typical titles, span, strength, stage.

use jiff::Timestamp;
use rustc_hash::FxHashSet;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::sum::Sum;
use super::vectors::ItemVectors;
use super::{Journey, JourneyParams, JourneyTerm, NameSource, Stage, StageActivity, StageDuration};
use crate::catalogue::Catalogue;
use crate::history::Visit;
use crate::naming;
use crate::terms::TermId;

/// How many terms are kept: enough to name and to compare, few enough to read.
const TERMS: usize = 10;

/// How many titles are kept: a handful says what a journey is about, more adds nothing (RQ3 of the
/// source).
const TITLES: usize = 5;

/// Titles are chosen among those of this many most typical items: what is less typical says little
/// of the journey, however different it is, and the time for a long journey is bounded.
const CANDIDATES: usize = 16;

/// How much likeness to a title that is chosen already counts against typicality, as cosines. With
/// half of it, an item that repeats another gives way to one that is nearly as typical; a stray one
/// does not get in for being different. What it costs the names that titles support: of the names that
/// people gave to 4,382 curated collections, 2,995 are grounded in such titles, and 3,007 in the most
/// typical ones.
const LIKENESS: f64 = 0.5;

/// Longest title that is kept, in characters.
const MAX_TITLE: usize = 160;

/// How many of the terms and titles a name hangs on. Fewer than are kept, so that one more item
/// rarely costs a new name.
const SIGNED_TERMS: usize = 4;
const SIGNED_TITLES: usize = 1;

/// An interest that lasted this long is lasting: in the source's survey 80 % of people keep an
/// interest for more than a month.
const EVERGREEN_MS: i64 = 30 * DAY_MS;

/// Silence after which a journey is over.
const ENDED_MS: i64 = 60 * DAY_MS;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// What the description of a user's journeys needs.
pub(super) struct Describer<'a> {
    pub catalogue: &'a Catalogue,
    pub vectors: &'a ItemVectors,
    pub visits: &'a [Visit],
    pub params: &'a JourneyParams,
    pub fading: Fading,
    /// Weight of the whole history, as it has faded.
    pub total_weight: f64,
}

/// How weight fades with time.
#[derive(Clone, Copy)]
pub(super) struct Fading {
    /// The end of the dataset, in milliseconds since 1970.
    pub as_of: i64,
    /// Days in which half of the weight is gone; none: it stays.
    pub half_life_days: Option<f32>,
}

impl Fading {
    /// What is left of the weight of a visit.
    pub fn weight(self, visit: &Visit) -> f64 {
        let Some(half_life) = self.half_life_days else {
            return visit.weight;
        };
        let age = self.as_of.saturating_sub(visit.last).max(0) as f64 / DAY_MS as f64;
        visit.weight * libm::exp2(-age / f64::from(half_life))
    }
}

/// A member whose title may be kept.
struct Candidate {
    /// Position among the members.
    at: usize,
    /// Highest cosine to one whose title is.
    likeness: f64,
}

impl Describer<'_> {
    /// Describes the journey that has these members, in time order.
    /// `sum` is that of their vectors, of this norm; `scratch` is for other sums.
    pub fn describe(
        &self,
        members: &[u32],
        confidence: f64,
        (sum, norm): (&Sum, f64),
        scratch: &mut Sum,
    ) -> Journey {
        let terms = self.terms(sum, norm);
        let typicality = self.typicality(members, sum, norm);
        let titles = self.titles(members, &typicality, scratch);
        let visits = || members.iter().map(|&member| &self.visits[member as usize]);
        let first = visits().map(|visit| visit.first).min().unwrap_or(0);
        let last = visits().map(|visit| visit.last).max().unwrap_or(0);
        let weight: f64 = visits().map(|visit| self.fading.weight(visit)).sum();
        let listed = members
            .len()
            .saturating_sub(self.params.max_listed_items as usize);
        let items = members
            .iter()
            .zip(&typicality)
            .skip(listed)
            .map(|(&member, &cosine)| (self.item_id(member).into(), rounded(cosine)))
            .collect();
        let stage = Stage {
            // Saturating: times are whatever the input says, down to the ends of i64.
            duration: if last.saturating_sub(first) >= EVERGREEN_MS {
                StageDuration::Evergreen
            } else {
                StageDuration::Situational
            },
            activity: if self.fading.as_of.saturating_sub(last) > ENDED_MS {
                StageActivity::Ended
            } else {
                StageActivity::Ongoing
            },
        };
        let strength = if self.total_weight > 0.0 {
            rounded(weight / self.total_weight)
        } else {
            0.0
        };
        Journey {
            id: self.founding_id(members, first),
            name: naming::name_of_terms(&terms),
            name_source: NameSource::Provisional,
            signature: signature(&terms, &titles),
            terms,
            titles,
            items,
            size: members.len() as u32,
            strength,
            confidence: rounded(confidence),
            rank: 0,
            first: time(first),
            last: time(last),
            stage,
        }
    }

    fn item_id(&self, member: u32) -> &str {
        self.catalogue.item_id(self.visits[member as usize].item)
    }

    /// The heaviest terms (ties: the term), as a share of the unit vector.
    ///
    /// Only terms that two members or more have, where there are any: one that a single item has
    /// says something about that item, and in a small journey may weigh as much as what the items
    /// have in common.
    fn terms(&self, sum: &Sum, norm: f64) -> Vec<JourneyTerm> {
        let has_shared = sum.iter().any(|(local, _)| sum.is_shared(local));
        let mut terms: Vec<(TermId, f64)> = sum
            .iter()
            .filter(|&(local, _)| sum.is_shared(local) || !has_shared)
            .map(|(local, weight)| (TermId(self.vectors.catalogue_term(local)), weight))
            .collect();
        // Terms differ, so the order is one whatever sorts; and most of many are not kept.
        let heaviest_first =
            |a: &(TermId, f64), b: &(TermId, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if terms.len() > TERMS {
            terms.select_nth_unstable_by(TERMS, heaviest_first);
            terms.truncate(TERMS);
        }
        terms.sort_unstable_by(heaviest_first);
        terms
            .into_iter()
            .map(|(term, weight)| JourneyTerm {
                term: self.catalogue.surface(term).into(),
                weight: rounded(weight / norm),
            })
            .collect()
    }

    /// Cosine of each member to the journey.
    fn typicality(&self, members: &[u32], sum: &Sum, norm: f64) -> Vec<f64> {
        let cosine = |&member: &u32| {
            let vector = self.vectors.get(member);
            sum.dot(vector) / (norm * vector.square().sqrt())
        };
        members.iter().map(cosine).collect()
    }

    /// The title of the medoid, then of typical members that are unlike those before them (maximal
    /// marginal relevance, Carbonell and Goldstein 1998; ties: the more typical, then the older). No
    /// title twice. `sum` is used as scratch.
    fn titles(&self, members: &[u32], typicality: &[f64], sum: &mut Sum) -> Vec<String> {
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|&a, &b| typicality[b].total_cmp(&typicality[a]).then(a.cmp(&b)));
        let mut seen = FxHashSet::default();
        let title = |at: usize| self.catalogue.title(self.visits[members[at] as usize].item);
        let mut left: Vec<Candidate> = order
            .into_iter()
            .filter(|&at| !title(at).is_empty() && seen.insert(title(at).to_lowercase()))
            .take(CANDIDATES)
            .map(|at| Candidate { at, likeness: 0.0 })
            .collect();
        let mut titles = Vec::new();
        let worth = |of: &Candidate| typicality[of.at] - LIKENESS * of.likeness;
        while titles.len() < TITLES && !left.is_empty() {
            // Of equals the first, which `max_by` would not take.
            let best = (1..left.len()).fold(0, |best, other| {
                if worth(&left[other]) > worth(&left[best]) {
                    other
                } else {
                    best
                }
            });
            let chosen = left.remove(best);
            titles.push(cut(title(chosen.at)).to_owned());
            if titles.len() == TITLES {
                break;
            }
            sum.of(self.vectors, &members[chosen.at..=chosen.at]);
            let norm = sum.norm();
            for other in &mut left {
                let vector = self.vectors.get(members[other.at]);
                let cosine = sum.dot(vector) / (norm * vector.square().sqrt());
                other.likeness = other.likeness.max(cosine);
            }
        }
        titles
    }

    /// An id for a journey that is new: a hash of how it began, so that computing it again from the
    /// same history gives the same id.
    fn founding_id(&self, members: &[u32], first: i64) -> String {
        let mut hash = Xxh3::new();
        hash.update(
            members
                .first()
                .map_or("", |&member| self.item_id(member))
                .as_bytes(),
        );
        hash.update(&first.to_le_bytes());
        format!("{:08x}", hash.digest() as u32)
    }
}

/// What a name depends on: the heaviest terms, whatever their order, and the medoid's title.
fn signature(terms: &[JourneyTerm], titles: &[String]) -> String {
    let mut parts: Vec<&str> = terms
        .iter()
        .take(SIGNED_TERMS)
        .map(|term| term.term.as_str())
        .collect();
    parts.sort_unstable();
    parts.extend(titles.iter().take(SIGNED_TITLES).map(String::as_str));
    format!("{:016x}", xxh3_64(parts.join("\n").as_bytes()))
}

/// What is kept of a title.
fn cut(title: &str) -> &str {
    let end = title.char_indices().nth(MAX_TITLE).map(|(end, _)| end);
    &title[..end.unwrap_or(title.len())]
}

/// Four digits: more would only cost memory in every user's results.
pub(super) fn rounded(value: f64) -> f32 {
    ((value * 10_000.0).round() / 10_000.0) as f32
}

fn time(milliseconds: i64) -> Timestamp {
    let bounds = (
        Timestamp::MIN.as_millisecond() + 1,
        Timestamp::MAX.as_millisecond() - 1,
    );
    Timestamp::from_millisecond(milliseconds.clamp(bounds.0, bounds.1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::catalogue_of;
    use crate::item::{Item, ItemIndex};

    /// Words of titles occur once in the catalogue, but for "echo", so that tags say what an item is
    /// about.
    const CATALOGUE: [(&str, &[&str]); 8] = [
        ("Alpha", &["bread", "oven"]),
        ("Bravo", &["bread", "oven"]),
        ("Charlie", &["bread"]),
        ("Delta", &["oven", "flour"]),
        ("Echo", &["flour"]),
        ("ECHO", &["flour"]),
        ("", &["flour"]),
        ("Foxtrot", &["bread", "oven"]),
    ];

    const ALPHA: u32 = 0;
    const BRAVO: u32 = 1;
    const CHARLIE: u32 = 2;
    const DELTA: u32 = 3;
    const FOXTROT: u32 = 7;

    fn visit(item: u32, first: i64, last: i64, weight: f64) -> Visit {
        Visit {
            item: ItemIndex(item),
            first,
            last,
            weight,
        }
    }

    /// What is said about a journey that has all of these visits.
    struct Case {
        visits: Vec<Visit>,
        as_of: i64,
        half_life_days: Option<f32>,
        total_weight: f64,
        max_listed_items: u32,
    }

    impl Case {
        fn of(visits: impl IntoIterator<Item = Visit>) -> Case {
            Case {
                visits: visits.into_iter().collect(),
                as_of: 0,
                half_life_days: None,
                total_weight: 1.0,
                max_listed_items: 200,
            }
        }

        /// One visit of each item, a millisecond apart.
        fn items(items: impl IntoIterator<Item = u32>) -> Case {
            let visit = |(time, item)| visit(item, time, time, 1.0);
            Case::of((0..).zip(items).map(visit))
        }

        fn describe(&self) -> Journey {
            let items = CATALOGUE.iter().enumerate();
            let item = |(number, (title, tags)): (usize, &(&str, &[&str]))| Item {
                id: format!("item-{number}"),
                title: (*title).into(),
                tags: tags.iter().map(|&tag| tag.into()).collect(),
                ..Item::default()
            };
            let catalogue = catalogue_of(&items.map(item).collect::<Vec<_>>());
            let mut vectors = ItemVectors::default();
            for visit in &self.visits {
                let terms = catalogue.terms(visit.item);
                vectors.push(terms.map(|(term, weight)| (term.0, weight)));
            }
            let describer = Describer {
                catalogue: &catalogue,
                vectors: &vectors,
                visits: &self.visits,
                params: &JourneyParams {
                    max_listed_items: self.max_listed_items,
                    ..JourneyParams::default()
                },
                fading: Fading {
                    as_of: self.as_of,
                    half_life_days: self.half_life_days,
                },
                total_weight: self.total_weight,
            };
            let members: Vec<u32> = (0..self.visits.len() as u32).collect();
            let mut sum = Sum::default();
            sum.of(&vectors, &members);
            let sum = (&sum, sum.norm());
            describer.describe(&members, 1.0, sum, &mut Sum::default())
        }
    }

    #[test]
    fn a_month_makes_a_journey_evergreen_and_two_months_of_silence_end_it() {
        use StageActivity::{Ended, Ongoing};
        use StageDuration::{Evergreen, Situational};
        for (first, last, as_of, duration, activity) in [
            (0, 30 * DAY_MS, 90 * DAY_MS, Evergreen, Ongoing),
            (0, 30 * DAY_MS - 1, 90 * DAY_MS, Situational, Ended),
            (0, 0, 60 * DAY_MS, Situational, Ongoing),
            (0, 0, 60 * DAY_MS + 1, Situational, Ended),
            (DAY_MS, DAY_MS, 0, Situational, Ongoing),
            (i64::MIN, i64::MAX, i64::MIN, Evergreen, Ongoing),
            (i64::MIN, i64::MIN, i64::MAX, Situational, Ended),
        ] {
            let case = Case {
                as_of,
                ..Case::of([
                    visit(ALPHA, first, first, 1.0),
                    visit(BRAVO, first, last, 1.0),
                ])
            };
            let stage = Stage { duration, activity };
            assert_eq!(case.describe().stage, stage, "{first} {last} {as_of}");
        }
    }

    #[test]
    fn weight_halves_with_each_half_life_since_the_last_visit() {
        let strength = |half_life_days| {
            let case = Case {
                as_of: 20 * DAY_MS,
                half_life_days,
                total_weight: 4.0,
                ..Case::of([visit(ALPHA, 0, 20 * DAY_MS, 2.0), visit(BRAVO, 0, 0, 2.0)])
            };
            case.describe().strength
        };
        assert_eq!(strength(None), 1.0);
        assert_eq!(strength(Some(20.0)), 0.75);
        assert_eq!(strength(Some(10.0)), 0.625);
        // A clock that ran ahead of the dataset makes nothing count for more.
        let ahead = Fading {
            as_of: 0,
            half_life_days: Some(1.0),
        };
        assert_eq!(ahead.weight(&visit(ALPHA, 0, DAY_MS, 2.0)), 2.0);
    }

    #[test]
    fn a_journey_lasts_from_its_first_visit_to_the_last_return_to_any_member() {
        let journey = Case::of([
            visit(ALPHA, 1_000, 9_000, 1.0),
            visit(BRAVO, 2_000, 3_000, 1.0),
        ])
        .describe();
        assert_eq!(journey.first, Timestamp::from_second(1).unwrap());
        assert_eq!(journey.last, Timestamp::from_second(9).unwrap());
    }

    #[test]
    fn strength_is_the_share_of_all_weight_in_four_digits() {
        for (weights, total_weight, strength) in [
            ([1.0, 2.0], 4.0, 0.75),
            ([1.0, 1.0], 3.0, 0.6667),
            ([0.0, 0.0], 5.0, 0.0),
            ([0.0, 0.0], 0.0, 0.0),
        ] {
            let visits = [ALPHA, BRAVO].into_iter().zip(weights);
            let case = Case {
                total_weight,
                ..Case::of(visits.map(|(item, weight)| visit(item, 0, 0, weight)))
            };
            assert_eq!(case.describe().strength, strength, "{weights:?}");
        }
    }

    #[test]
    fn the_medoids_title_comes_first_then_typical_ones_that_are_unlike_it() {
        for (items, titles) in [
            // The third is the same as the first but for its title.
            (
                &[ALPHA, CHARLIE, BRAVO][..],
                &["Alpha", "Charlie", "Bravo"][..],
            ),
            (&[BRAVO, CHARLIE, ALPHA], &["Bravo", "Charlie", "Alpha"]),
            // Of equals the older.
            (&[FOXTROT, ALPHA, BRAVO], &["Foxtrot", "Alpha", "Bravo"]),
            // To be unlike all others is not enough.
            (
                &[ALPHA, BRAVO, FOXTROT, 4],
                &["Alpha", "Bravo", "Foxtrot", "Echo"],
            ),
            // No title is given twice, whatever its capitals, and none is empty.
            (&[4, 5, 6, DELTA], &["Echo", "Delta"]),
        ] {
            let journey = Case::items(items.iter().copied()).describe();
            assert_eq!(journey.titles, titles);
        }
    }

    fn terms(journey: &Journey) -> Vec<&str> {
        let terms = journey.terms.iter();
        terms.map(|term| term.term.as_str()).collect()
    }

    #[test]
    fn terms_are_the_heaviest_of_the_sum_and_weigh_what_they_have_in_its_unit_vector() {
        let journey = Case::items([ALPHA, CHARLIE, FOXTROT]).describe();
        assert_eq!(terms(&journey), ["bread", "oven"]);
        // Both words are in as many items, so twice (1, 1) / sqrt(2) and (1, 0).
        let (bread, oven) = (2.0_f32.sqrt() + 1.0, 2.0_f32.sqrt());
        let norm = (bread * bread + oven * oven).sqrt();
        for (term, weight) in journey.terms.iter().zip([bread / norm, oven / norm]) {
            assert!((term.weight - weight).abs() < 1e-4, "{journey:?}");
        }
        // Its cosine is what it has of the sum's direction.
        assert_eq!(journey.items[1].1, journey.terms[0].weight);
    }

    #[test]
    fn terms_of_a_single_item_do_not_stand_beside_those_that_several_have() {
        let journey = Case::items([ALPHA, CHARLIE]).describe();
        assert_eq!(terms(&journey), ["bread"], "oven is of one item");
        let journey = Case::items([CHARLIE, 6]).describe();
        assert_eq!(terms(&journey), ["bread", "flour"], "none is shared");
        let journey = Case::items([ALPHA]).describe();
        assert_eq!(
            terms(&journey).len(),
            2,
            "one item has nobody to share with"
        );
    }

    #[test]
    fn the_latest_items_are_listed_and_the_size_counts_all() {
        for (max_listed_items, listed) in [
            (1, &["item-2"][..]),
            (2, &["item-1", "item-2"]),
            (3, &["item-0", "item-1", "item-2"]),
            (4, &["item-0", "item-1", "item-2"]),
        ] {
            let journey = Case {
                max_listed_items,
                ..Case::items([ALPHA, BRAVO, CHARLIE])
            }
            .describe();
            let ids: Vec<&str> = journey.items.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!(ids, listed);
            assert_eq!(journey.size, 3);
        }
    }

    #[test]
    fn a_signature_changes_with_the_medoid_or_the_heaviest_terms_and_with_nothing_else() {
        let signature = |case: Case| case.describe().signature;
        let items = || Case::items([ALPHA, BRAVO, CHARLIE]);
        let base = signature(items());
        let later = [(ALPHA, 5), (BRAVO, 6), (CHARLIE, 90)];
        for (what, same) in [
            (
                "other times",
                Case::of(later.map(|(item, time)| visit(item, time, time, 2.0))),
            ),
            (
                "fewer listed items",
                Case {
                    max_listed_items: 1,
                    ..items()
                },
            ),
            (
                "another item like the medoid",
                Case::items([ALPHA, BRAVO, CHARLIE, FOXTROT]),
            ),
            ("one item less", Case::items([ALPHA, BRAVO])),
            (
                "an item with a term of its own",
                Case::items([ALPHA, BRAVO, CHARLIE, DELTA]),
            ),
        ] {
            assert_eq!(signature(same), base, "{what}");
        }
        for (what, other) in [
            ("another medoid", Case::items([BRAVO, ALPHA, CHARLIE])),
            (
                "another term that items share",
                Case::items([ALPHA, BRAVO, CHARLIE, DELTA, 4]),
            ),
        ] {
            assert_ne!(signature(other), base, "{what}");
        }
    }

    #[test]
    fn neither_the_order_of_the_heaviest_terms_nor_the_fifth_is_signed() {
        let signed = |terms: &[&str], titles: &[&str]| {
            let term = |term: &&str| JourneyTerm {
                term: (*term).into(),
                weight: 0.5,
            };
            let terms: Vec<JourneyTerm> = terms.iter().map(term).collect();
            let titles: Vec<String> = titles.iter().map(|&title| title.into()).collect();
            signature(&terms, &titles)
        };
        let base = signed(&["a", "b", "c", "d", "e"], &["medoid", "next"]);
        assert_eq!(
            signed(&["d", "c", "b", "a", "x"], &["medoid", "other"]),
            base
        );
        assert_ne!(signed(&["a", "b", "c", "x"], &["medoid"]), base);
        assert_ne!(signed(&["a", "b", "c", "d"], &["next"]), base);
    }

    #[test]
    fn a_journey_that_began_with_the_same_visit_has_the_same_id() {
        let id = |visits: &[Visit]| Case::of(visits.iter().copied()).describe().id;
        let began = visit(ALPHA, 1, 1, 1.0);
        let base = id(&[began, visit(BRAVO, 2, 2, 1.0)]);
        assert_eq!(id(&[began, visit(CHARLIE, 3, 3, 1.0)]), base);
        assert_ne!(id(&[visit(ALPHA, 2, 2, 1.0)]), base);
        assert_ne!(id(&[visit(BRAVO, 1, 1, 1.0)]), base);
    }
}
