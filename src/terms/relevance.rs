//! How relevant a term is to an item, learned without labels.
//!
//! Two items share a term by chance, or because of what they are about, and a logistic regression can
//! tell one from the other: it learns from items that belong together and from negative samples, items
//! that were put together at random, wherever they have a term in common. Its log-odds are how much more
//! than chance the term says.

use std::collections::BTreeMap;

use super::analyser::FIELDS;
use super::salience::rarity;
use super::{Evidence, Field};
use crate::regression::fit;

/// What a text says of a term.
const IN_TEXT: usize = FIELDS + 8;

/// With what is known of its co-occurrence.
const FEATURES: usize = IN_TEXT + 2;

/// In their order.
const FEATURE_NAMES: [&str; FEATURES] = [
    "title",
    "tags",
    "queries",
    "description",
    "log_occurrences",
    "earliness",
    "bigram",
    "npmi",
    "covered",
    "absorbed",
    "capitals",
    "case_untold",
    "log_lift",
    "log_expected",
];

/// Nuisance variables, which are held constant when what was learned is applied: how rare the term is,
/// which the formula has weighed already, and what it was that belongs together.
const NUISANCE: usize = 2 + FIELDS;

/// What is learned counts by this power of the odds. On films and shop items (the next item, learned
/// from what came before) 0.25 to 0.6 gain; at 1, shop items lose.
const STRENGTH: f64 = 0.4;

/// Pseudocount of what is observed and of what is expected, so that a term that was seen once is no
/// marvel.
const PSEUDOCOUNT: f64 = 3.0;

/// Words after which it hardly matters any more how early a term stands.
const EARLY: f64 = 5.0;

/// Fewest examples of each label.
const FEWEST: usize = 100;

/// How often users went on from an item with a term to another one with the term.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CoOccurrence {
    pub(super) observed: f64,
    /// How often they would have by chance.
    pub(super) expected: f64,
}

/// What belongs together with an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Belonging {
    /// The item that the same user took up next.
    Next,
    /// What another field of it says.
    Field(Field),
}

/// What a text says of a term, in few bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described {
    in_text: [f32; IN_TEXT],
    rarity: f32,
}

impl Described {
    pub(super) fn of(evidence: &Evidence) -> Described {
        Described {
            in_text: in_text(evidence).map(|feature| feature as f32),
            rarity: rarity(evidence) as f32,
        }
    }
}

/// A term that an item shares with what belongs to it, or with a negative sample.
pub(super) struct Example {
    pub(super) belonging: Belonging,
    pub(super) described: Described,
    pub(super) co_occurrence: CoOccurrence,
    /// The label: whether it belongs.
    pub(super) belongs: bool,
}

/// What was learned about which terms say more than chance does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Relevance {
    weights: [f64; FEATURES],
}

impl Relevance {
    /// Learns from examples. None where they are too few.
    pub(super) fn learned(examples: &[Example]) -> Option<Relevance> {
        let positive = examples.iter().filter(|example| example.belongs).count();
        if positive.min(examples.len() - positive) < FEWEST {
            return None;
        }
        let rows = examples.iter().map(Example::row).collect();
        let labels: Vec<bool> = examples.iter().map(|example| example.belongs).collect();
        let fitted = fit(rows, &labels)?;
        let mut weights = [0.0; FEATURES];
        weights.copy_from_slice(&fitted.weights[..FEATURES]);
        Some(Relevance { weights })
    }

    /// The coefficients by the names of the features.
    pub(super) fn coefficients(&self) -> BTreeMap<String, f64> {
        let names = FEATURE_NAMES.map(String::from);
        names.into_iter().zip(self.weights).collect()
    }

    /// What the weight of a term is multiplied by: a power of the odds that it says more than chance,
    /// in an unknown unit that is the same for all terms.
    pub(super) fn factor(&self, evidence: &Evidence, co_occurrence: CoOccurrence) -> f64 {
        let features = in_text(evidence).into_iter().chain(of_pairs(co_occurrence));
        let terms = self.weights.iter().zip(features);
        let log_odds: f64 = terms.map(|(weight, feature)| weight * feature).sum();
        libm::exp(STRENGTH * log_odds)
    }
}

impl Example {
    fn row(&self) -> [f64; FEATURES + NUISANCE] {
        let mut row = [0.0; FEATURES + NUISANCE];
        let rarity = f64::from(self.described.rarity);
        let in_text = self.described.in_text.into_iter().map(f64::from);
        let known = in_text
            .chain(of_pairs(self.co_occurrence))
            .chain([rarity, rarity * rarity]);
        for (cell, value) in row.iter_mut().zip(known) {
            *cell = value;
        }
        if let Belonging::Field(field) = self.belonging {
            row[FEATURES + 2 + field as usize] = 1.0;
        }
        row
    }
}

fn in_text(evidence: &Evidence) -> [f64; IN_TEXT] {
    let flag = |is: bool| f64::from(u8::from(is));
    let occurrences: u32 = evidence.occurrences.iter().sum();
    let [title, tags, queries, description] = evidence.occurrences.map(|times| flag(times > 0));
    [
        title,
        tags,
        queries,
        description,
        libm::log(f64::from(occurrences.max(1))),
        libm::exp(-f64::from(evidence.position) / EARLY),
        flag(evidence.npmi.is_some()),
        evidence.npmi.unwrap_or(0.0),
        evidence.covered,
        evidence.absorbed,
        flag(evidence.capitals.is_some_and(|share| share > 0.5)),
        flag(evidence.capitals.is_none()),
    ]
}

fn of_pairs(co_occurrence: CoOccurrence) -> [f64; FEATURES - IN_TEXT] {
    [
        libm::log((co_occurrence.observed + PSEUDOCOUNT) / (co_occurrence.expected + PSEUDOCOUNT)),
        libm::log1p(co_occurrence.expected),
    ]
}
