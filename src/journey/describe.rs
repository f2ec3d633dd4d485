//! What is said about a cluster of items: terms, typical titles, span, strength, stage.

use std::collections::HashSet;

use jiff::Timestamp;
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
    /// The end of the dataset, in milliseconds since 1970.
    pub as_of: i64,
    /// Weight of the whole history.
    pub total_weight: f64,
}

impl Describer<'_> {
    /// Describes the journey that has these members, in time order.
    pub fn describe(&self, members: &[u32], sum: &mut Sum) -> Journey {
        let norm = sum.of(self.vectors, members);
        let terms = self.terms(sum, norm);
        let typicality = self.typicality(members, sum, norm);
        let titles = self.titles(members, &typicality);
        let visits = || members.iter().map(|&member| &self.visits[member as usize]);
        let first = visits().map(|visit| visit.first).min().unwrap_or(0);
        let last = visits().map(|visit| visit.last).max().unwrap_or(0);
        let weight: f64 = visits().map(|visit| f64::from(visit.weight)).sum();
        let listed = members
            .len()
            .saturating_sub(self.params.max_listed_items as usize);
        let items = members
            .iter()
            .zip(&typicality)
            .skip(listed)
            .map(|(&member, &cosine)| (self.item_id(member).to_owned(), rounded(cosine)))
            .collect();
        let stage = Stage {
            duration: if last - first >= EVERGREEN_MS {
                StageDuration::Evergreen
            } else {
                StageDuration::Situational
            },
            activity: if self.as_of - last > ENDED_MS {
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
            first: time(first),
            last: time(last),
            stage,
        }
    }

    fn item_id(&self, member: u32) -> &str {
        self.catalogue.item_id(self.visits[member as usize].item)
    }

    /// The heaviest terms (ties: the term), as a share of the unit vector.
    fn terms(&self, sum: &Sum, norm: f64) -> Vec<JourneyTerm> {
        let mut terms: Vec<(TermId, f64)> = sum
            .iter()
            .map(|(local, weight)| (TermId(self.vectors.catalogue_term(local)), weight))
            .collect();
        terms.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        terms
            .into_iter()
            .take(TERMS)
            .map(|(term, weight)| JourneyTerm {
                term: self.catalogue.surface(term).to_owned(),
                weight: rounded(weight / norm),
            })
            .collect()
    }

    /// Cosine of each member to the journey.
    fn typicality(&self, members: &[u32], sum: &Sum, norm: f64) -> Vec<f64> {
        let mut dense = vec![0.0; self.vectors.vocabulary()];
        for (term, weight) in sum.iter() {
            dense[term as usize] = weight;
        }
        let cosine = |&member: &u32| {
            let vector = self.vectors.get(member);
            let dot: f64 = vector
                .iter()
                .map(|(term, w)| w * dense[term as usize])
                .sum();
            dot / (norm * vector.square().sqrt())
        };
        members.iter().map(cosine).collect()
    }

    /// Titles of the most typical members (ties: the older), no title twice.
    fn titles(&self, members: &[u32], typicality: &[f64]) -> Vec<String> {
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|&a, &b| typicality[b].total_cmp(&typicality[a]).then(a.cmp(&b)));
        let mut seen = HashSet::new();
        order
            .into_iter()
            .map(|at| self.catalogue.title(self.visits[members[at] as usize].item))
            .filter(|title| !title.is_empty() && seen.insert(title.to_lowercase()))
            .take(TITLES)
            .map(|title| title.chars().take(MAX_TITLE).collect())
            .collect()
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

/// Four digits: more would only cost memory in every user's results.
fn rounded(value: f64) -> f32 {
    ((value * 10_000.0).round() / 10_000.0) as f32
}

fn time(milliseconds: i64) -> Timestamp {
    let bounds = (
        Timestamp::MIN.as_millisecond() + 1,
        Timestamp::MAX.as_millisecond() - 1,
    );
    Timestamp::from_millisecond(milliseconds.clamp(bounds.0, bounds.1)).unwrap_or_default()
}
