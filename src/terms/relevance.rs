//! How relevant a term is to an item, beyond what the formula of salience knows.
//!
//! Nobody labels terms. But two items that share a term go together by chance, or because of what
//! they are about, and a logistic regression can tell one from the other: it learns from items that
//! belong together and from items that were put together at random, wherever they have a term in
//! common. Its log-odds are how much more than chance the term says.

use serde::{Deserialize, Serialize};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

use super::analyser::FIELDS;
use super::salience::rarity;
use super::{Evidence, Field};

/// What a text says of a term: in which fields, how often, how early, whether it is a bigram, how firm
/// a one, how much bigrams cover of it, its capitals.
const IN_TEXT: usize = FIELDS + 8;

/// With what is known of its company.
const FEATURES: usize = IN_TEXT + 2;

/// What counts only while it is learned: how rare the term is, which the formula knows already, and what
/// it was that belongs together.
const ASIDE: usize = 2 + FIELDS;

/// What is learned counts by this power of the odds. On films and shop items (the next item, learned
/// from what came before) 0.25 to 0.6 gain; at 1, shop items lose.
const STRENGTH: f64 = 0.4;

/// Added to what was counted and to what was expected, so that a term that was seen once is no marvel.
const DOUBT: f64 = 3.0;

/// Words after which it hardly matters any more how early a term stands.
const EARLY: f64 = 5.0;

/// Fewest examples of each kind.
const FEWEST: usize = 100;

/// Decimals of what is learned that are kept: the last bits of a logarithm differ from machine to
/// machine, and the same data must make the same catalogue on all of them.
const DECIMALS: f64 = 1e4;

/// Keeps the coefficients small where there are few examples.
const PENALTY: f64 = 1.0;

/// How often items with a term were taken up one after the other by the same user.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Company {
    /// Transitions from an item with the term to one with the term.
    pub(super) together: f64,
    /// How many of them chance would have brought about.
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

/// A term that an item shares with what belongs to it, or with what was put to it at random.
pub(super) struct Example {
    pub(super) belonging: Belonging,
    pub(super) described: Described,
    pub(super) company: Company,
    /// Whether it belongs.
    pub(super) belongs: bool,
}

/// What was learned about which terms say more than chance does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relevance {
    weights: [f64; FEATURES],
}

impl Relevance {
    /// Learns from examples. None where they are too few.
    pub(super) fn learned(examples: &[Example]) -> Option<Relevance> {
        let belong = examples.iter().filter(|example| example.belongs).count();
        if belong.min(examples.len() - belong) < FEWEST {
            return None;
        }
        let mut rows: Vec<[f64; FEATURES + ASIDE]> = examples.iter().map(Example::row).collect();
        let scales = standardise(&mut rows);
        let belongs: Vec<i32> = examples
            .iter()
            .map(|example| i32::from(example.belongs))
            .collect();
        let values = rows.iter().flatten().copied().collect();
        let rows = DenseMatrix::new(rows.len(), FEATURES + ASIDE, values, false).ok()?;
        let parameters = LogisticRegressionParameters::default().with_alpha(PENALTY);
        let model = LogisticRegression::fit(&rows, &belongs, parameters).ok()?;
        let mut weights = [0.0; FEATURES];
        for (at, weight) in weights.iter_mut().enumerate() {
            let learned = *model.coefficients().get((0, at)) / scales[at];
            *weight = (learned * DECIMALS).round() / DECIMALS;
        }
        let is_finite = weights.iter().all(|weight: &f64| weight.is_finite());
        is_finite.then_some(Relevance { weights })
    }

    /// What the weight of a term is multiplied by: a power of the odds that it says more than chance,
    /// in an unknown unit that is the same for all terms.
    pub(super) fn factor(&self, evidence: &Evidence, company: Company) -> f64 {
        let features = in_text(evidence).into_iter().chain(of_company(company));
        let terms = self.weights.iter().zip(features);
        let log_odds: f64 = terms.map(|(weight, feature)| weight * feature).sum();
        libm::exp(STRENGTH * log_odds)
    }
}

impl Example {
    fn row(&self) -> [f64; FEATURES + ASIDE] {
        let mut row = [0.0; FEATURES + ASIDE];
        let rarity = f64::from(self.described.rarity);
        let in_text = self.described.in_text.into_iter().map(f64::from);
        let known = in_text
            .chain(of_company(self.company))
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

fn of_company(company: Company) -> [f64; FEATURES - IN_TEXT] {
    [
        libm::log((company.together + DOUBT) / (company.expected + DOUBT)),
        libm::log1p(company.expected),
    ]
}

/// Brings every column to a mean of 0 and a deviation of 1, so that one penalty suits all, and returns
/// the deviations; 1 for a column whose values are all the same.
fn standardise<const N: usize>(rows: &mut [[f64; N]]) -> [f64; N] {
    let count = rows.len() as f64;
    let mut scales = [1.0; N];
    for column in 0..N {
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / count;
        let squares = rows
            .iter()
            .map(|row| (row[column] - mean) * (row[column] - mean));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        if deviation > 1e-9 {
            scales[column] = deviation;
        }
        for row in rows.iter_mut() {
            row[column] = (row[column] - mean) / scales[column];
        }
    }
    scales
}
