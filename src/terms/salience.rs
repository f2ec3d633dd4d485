//! How much a term says about an item.

use std::collections::BTreeMap;

use super::relevance::{CoOccurrence, Relevance};
use super::{Evidence, SalienceParams, TermId};

/// What weighs the terms of items: everything that makes an item's terms goes through it.
#[derive(Clone, Debug)]
pub struct Salience {
    params: SalienceParams,
    learned: Option<Learned>,
}

/// What was learned of the terms of one vocabulary.
#[derive(Clone, Debug)]
pub(super) struct Learned {
    pub(super) relevance: Relevance,
    /// By term; empty where no histories were learned from.
    pub(super) co_occurrences: Vec<CoOccurrence>,
}

impl Salience {
    /// The formula alone.
    pub fn formula(params: &SalienceParams) -> Salience {
        Salience {
            params: params.clone(),
            learned: None,
        }
    }

    /// The formula times what was learned.
    pub(super) fn learned(params: &SalienceParams, learned: Learned) -> Salience {
        Salience {
            params: params.clone(),
            learned: Some(learned),
        }
    }

    /// The weight of a term in an item before normalisation; a term that is not above zero is
    /// dropped.
    pub fn weight(&self, term: TermId, evidence: &Evidence) -> f64 {
        let factor = self.learned.as_ref().map_or(1.0, |learned| {
            let co_occurrence = learned.co_occurrences.get(term.position());
            let co_occurrence = co_occurrence.copied().unwrap_or_default();
            learned.relevance.factor(evidence, co_occurrence)
        });
        formula(evidence, &self.params) * factor
    }

    /// What weighs that was not learned.
    pub fn params(&self) -> &SalienceParams {
        &self.params
    }

    /// If it was learned, the coefficients of the regression by the names of its features.
    pub fn coefficients(&self) -> Option<BTreeMap<String, f64>> {
        let learned = self.learned.as_ref()?;
        Some(learned.relevance.coefficients())
    }
}

/// The weight of a term in an item, as far as it is not learned.
///
/// `sum over fields of boost * (1 + ln tf) * ln(1 + (N - df + .5) / (df + .5)) * phi`, with
/// phi = 1 + lambda * NPMI for a bigram, and for a word
/// `1 - covered * (1 - damping * (1 - absorbed))`: a word that stands only in bigrams is damped,
/// the more so the less it occurs outside of them, and nothing is left of one that never does
/// ("fi" of "sci fi"), as it could not relate the item to any that the bigram does not.
///
/// Logarithms come from `libm`, so that every machine computes the same bits.
pub(super) fn formula(evidence: &Evidence, params: &SalienceParams) -> f64 {
    let boosts = &params.boosts;
    let boosts = [
        boosts.title,
        boosts.tags,
        boosts.queries,
        boosts.description,
    ];
    let frequency: f64 = boosts
        .iter()
        .zip(evidence.occurrences)
        .filter(|&(_, occurrences)| occurrences > 0)
        .map(|(boost, occurrences)| boost * (1.0 + libm::log(f64::from(occurrences))))
        .sum();
    let phi = match evidence.npmi {
        Some(npmi) => 1.0 + params.bigram_bonus * npmi,
        None => 1.0 - evidence.covered * (1.0 - params.bigram_damping * (1.0 - evidence.absorbed)),
    };
    frequency * rarity(evidence) * phi
}

/// How few items of the catalogue have the term, as a logarithm.
pub(super) fn rarity(evidence: &Evidence) -> f64 {
    let items = evidence.items as f64;
    let containing = f64::from(evidence.document_frequency);
    libm::log1p((items - containing + 0.5) / (containing + 0.5))
}

/// Normalised pointwise mutual information of two words as neighbours, -1 to 1, from the numbers
/// of items that have the pair, the first word, the second word, and of all items.
///
/// Bouma, "Normalized (Pointwise) Mutual Information in Collocation Extraction", 2009. A pair that
/// is in every item tells nothing, and gets 0 where the formula has no value.
pub(super) fn npmi(pair: u32, first: u32, second: u32, items: u64) -> f64 {
    let items = items as f64;
    let (pair, first, second) = (f64::from(pair), f64::from(first), f64::from(second));
    if pair <= 0.0 || pair >= items {
        return if pair <= 0.0 { -1.0 } else { 0.0 };
    }
    libm::log(pair * items / (first * second)) / libm::log(items / pair)
}

#[cfg(test)]
mod tests {
    use super::super::FieldBoosts;
    use super::*;

    fn evidence() -> Evidence {
        Evidence {
            occurrences: [1, 0, 0, 0],
            document_frequency: 10,
            items: 1000,
            npmi: None,
            covered: 0.0,
            absorbed: 0.0,
            position: 0,
            capitals: None,
        }
    }

    #[test]
    fn a_word_weighs_what_the_formula_says() {
        let boosts = FieldBoosts {
            title: 3.0,
            ..FieldBoosts::default()
        };
        let params = SalienceParams {
            boosts,
            ..SalienceParams::default()
        };
        let weight = formula(
            &Evidence {
                occurrences: [1, 0, 0, 3],
                ..evidence()
            },
            &params,
        );
        let expected = (3.0 + (1.0 + 3.0_f64.ln())) * (1.0 + 990.5 / 10.5_f64).ln();
        assert!((weight - expected).abs() < 1e-12, "{weight} {expected}");
    }

    #[test]
    fn a_term_of_every_item_still_has_a_weight_above_zero() {
        let params = SalienceParams::default();
        assert!(
            formula(
                &Evidence {
                    document_frequency: 1000,
                    ..evidence()
                },
                &params
            ) > 0.0
        );
    }

    #[test]
    fn a_bigram_gains_by_its_npmi_and_a_covered_word_loses() {
        let params = SalienceParams::default();
        let plain = formula(&evidence(), &params);
        let bigram = formula(
            &Evidence {
                npmi: Some(0.8),
                ..evidence()
            },
            &params,
        );
        let covered = formula(
            &Evidence {
                covered: 1.0,
                ..evidence()
            },
            &params,
        );
        assert!((bigram / plain - (1.0 + 0.8 * params.bigram_bonus)).abs() < 1e-12);
        assert!((covered / plain - params.bigram_damping).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_left_of_a_word_that_never_occurs_outside_of_its_bigram() {
        let params = SalienceParams::default();
        let absorbed = Evidence {
            covered: 1.0,
            absorbed: 1.0,
            ..evidence()
        };
        assert_eq!(formula(&absorbed, &params), 0.0);
        let elsewhere_too = Evidence {
            covered: 0.5,
            ..absorbed
        };
        assert!(formula(&elsewhere_too, &params) > 0.0);
    }

    #[test]
    fn npmi_is_one_for_words_that_never_part_and_zero_for_chance() {
        assert!((npmi(10, 10, 10, 1000) - 1.0).abs() < 1e-12);
        assert!(npmi(10, 100, 100, 1000).abs() < 1e-12);
        assert!(npmi(1, 100, 100, 1000) < 0.0);
        assert_eq!(npmi(1000, 1000, 1000, 1000), 0.0);
        assert_eq!(npmi(0, 5, 5, 1000), -1.0);
    }
}
