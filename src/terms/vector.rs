//! An item's terms as a vector: exact, and in one byte a weight.

use super::evidence::evidence;
use super::params::TERMS_PER_ITEM;
use super::{Analysis, Salience, TermId, Vocabulary};

/// The terms of an item with weights of unit norm, heaviest first (ties: term).
///
/// Empty where the item shares no term with another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TermVector {
    terms: Vec<(TermId, f32)>,
}

impl TermVector {
    /// Weighs the terms of an item and keeps the best.
    pub fn of(analysis: &Analysis, vocabulary: &Vocabulary, salience: &Salience) -> TermVector {
        let weights = evidence(analysis, vocabulary, salience.params().language, None)
            .into_iter()
            .map(|(term, evidence)| (term, salience.weight(term, &evidence)));
        TermVector::from_weights(weights.collect(), salience.params().terms_per_item)
    }

    /// The `most` heaviest terms at unit norm. Weights that are not above zero are left out.
    pub fn from_weights(mut weights: Vec<(TermId, f64)>, most: usize) -> TermVector {
        weights.retain(|&(_, weight)| weight > 0.0 && weight.is_finite());
        weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        weights.truncate(most);
        let Some(&(_, heaviest)) = weights.first() else {
            return TermVector::default();
        };
        // In proportion to the heaviest, squares neither overflow nor vanish, whatever the unit.
        let squares = weights
            .iter()
            .map(|(_, weight)| (weight / heaviest) * (weight / heaviest));
        let norm = squares.sum::<f64>().sqrt();
        let unit = |(term, weight): (TermId, f64)| (term, (weight / heaviest / norm) as f32);
        TermVector {
            terms: weights.into_iter().map(unit).collect(),
        }
    }

    /// The terms, heaviest first.
    pub fn terms(&self) -> &[(TermId, f32)] {
        &self.terms
    }
}

/// A term vector with one byte a weight: the weight of slot `i` is `scale * quanta[i]`.
///
/// Slots that are not used hold [`QuantisedVector::UNUSED`] and 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantisedVector {
    pub(crate) terms: [u32; QuantisedVector::SLOTS],
    pub(crate) quanta: [u8; QuantisedVector::SLOTS],
    pub(crate) scale: f32,
}

impl QuantisedVector {
    /// The term of a slot that is not used.
    pub const UNUSED: u32 = u32::MAX;

    /// The most terms it can hold.
    pub const SLOTS: usize = *TERMS_PER_ITEM.end();

    /// The vector with its heaviest weight at 255 and the others in proportion, at least 1, scaled
    /// so that the quantised weights again have unit norm. Slots beyond [`Self::SLOTS`] are lost.
    pub fn of(vector: &TermVector) -> QuantisedVector {
        let mut quantised = QuantisedVector {
            terms: [Self::UNUSED; Self::SLOTS],
            quanta: [0; Self::SLOTS],
            scale: 0.0,
        };
        let Some(&(_, heaviest)) = vector.terms.first() else {
            return quantised;
        };
        let mut squares = 0_u32;
        for (slot, &(term, weight)) in vector.terms.iter().take(Self::SLOTS).enumerate() {
            let quantum = (f64::from(weight) / f64::from(heaviest) * 255.0)
                .round()
                .clamp(1.0, 255.0);
            quantised.terms[slot] = term.0;
            quantised.quanta[slot] = quantum as u8;
            squares += quantum as u32 * quantum as u32;
        }
        quantised.scale = (1.0 / f64::from(squares).sqrt()) as f32;
        quantised
    }

    /// The terms with their weights, heaviest first.
    pub fn terms(&self) -> impl Iterator<Item = (TermId, f32)> + '_ {
        self.terms
            .iter()
            .zip(self.quanta)
            .take_while(|&(&term, _)| term != Self::UNUSED)
            .map(|(&term, quantum)| (TermId(term), self.scale * f32::from(quantum)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::item::Item;
    use crate::terms::{Analyser, SalienceParams, VocabularyCounter};

    /// A quantum is at most 1 away from the exact ratio (1 only where it was raised to 1), which
    /// moves the norm by at most `sqrt(16) / 255` of the heaviest weight: together 0.02.
    const WEIGHT_ERROR: f32 = 0.02;

    #[test]
    fn the_heaviest_terms_are_kept_and_ties_go_to_the_smaller_term() {
        let weights = vec![
            (TermId(3), 1.0),
            (TermId(1), 1.0),
            (TermId(2), 2.0),
            (TermId(0), 0.5),
        ];
        let vector = TermVector::from_weights(weights, 3);
        let order: Vec<u32> = vector.terms().iter().map(|(term, _)| term.0).collect();
        assert_eq!(order, [2, 1, 3]);
    }

    #[test]
    fn weights_that_are_not_above_zero_are_left_out() {
        let weights = vec![(TermId(0), 0.0), (TermId(1), f64::NAN), (TermId(2), -1.0)];
        assert_eq!(TermVector::from_weights(weights, 12), TermVector::default());
        assert_eq!(
            QuantisedVector::of(&TermVector::default()).terms().count(),
            0
        );
    }

    #[test]
    fn weights_of_any_unit_are_brought_to_unit_norm() {
        for unit in [1e-300, 1.0, 1e300] {
            let weights = vec![(TermId(0), 3.0 * unit), (TermId(1), 4.0 * unit)];
            let vector = TermVector::from_weights(weights, 12);
            assert_eq!(vector.terms(), [(TermId(1), 0.8), (TermId(0), 0.6)]);
        }
    }

    /// Ten items, three of which have "hydroponic lettuce"; one has "lettuce" alone.
    fn garden() -> Vocabulary {
        let titles = ["Hydroponic lettuce"; 3].into_iter().chain(["Lettuce"]);
        let titles = titles.chain(["Bread"; 6]);
        let items: Vec<Item> = titles.map(titled).collect();
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let params = SalienceParams::default();
        let mut counter = VocabularyCounter::new(&params, 0, scratch.path()).expect("good");
        counter.add(&items).expect("there is room");
        counter.finish().expect("there is room")
    }

    fn titled(title: &str) -> Item {
        Item {
            title: title.into(),
            ..Item::default()
        }
    }

    /// The weights of "hydroponic lettuce", "lettuce" and "hydroponic" in a title, 0 where absent.
    fn weights(title: &str) -> [f64; 3] {
        let vocabulary = garden();
        let params = SalienceParams::default();
        let analysis = Analyser::new(&params).analyse(&titled(title));
        let vector = TermVector::of(&analysis, &vocabulary, &Salience::formula(&params));
        ["hydropon lettuc", "lettuc", "hydropon"].map(|stem| {
            let term = vocabulary.find(stem).expect("it occurs often enough");
            let found = vector.terms().iter().find(|&&(other, _)| other == term);
            found.map_or(0.0, |&(_, weight)| f64::from(weight))
        })
    }

    /// `ln(1 + (N - df + .5) / (df + .5))` in the garden.
    fn rarity(document_frequency: f64) -> f64 {
        (1.0 + (10.0 - document_frequency + 0.5) / (document_frequency + 0.5)).ln()
    }

    /// What the phrase weighs before normalisation, by the formula of salience.
    fn phrase() -> f64 {
        let npmi = (3.0 * 10.0 / (3.0 * 4.0_f64)).ln() / (10.0 / 3.0_f64).ln();
        rarity(3.0) * (1.0 + SalienceParams::default().bigram_bonus * npmi)
    }

    #[test]
    fn a_word_that_occurs_only_in_its_bigram_is_absent_and_one_that_also_occurs_elsewhere_damped() {
        let [bigram, lettuce, hydroponic] = weights("Hydroponic lettuce");
        assert_eq!(hydroponic, 0.0, "all of its items have the bigram");
        // One in four items with the word has it without the bigram.
        let damping = SalienceParams::default().bigram_damping * 0.25;
        let expected = rarity(4.0) * damping / phrase();
        assert!(
            (lettuce / bigram - expected).abs() < 1e-6,
            "{lettuce} {bigram}"
        );
    }

    #[test]
    fn a_word_is_damped_by_half_where_half_of_its_occurrences_stand_alone() {
        let [bigram, lettuce, _] = weights("Hydroponic lettuce, lettuce");
        let damping = SalienceParams::default().bigram_damping * 0.25;
        let phi = 1.0 - 0.5 * (1.0 - damping);
        let expected = (1.0 + 2.0_f64.ln()) * rarity(4.0) * phi / phrase();
        assert!(
            (lettuce / bigram - expected).abs() < 1e-6,
            "{lettuce} {bigram}"
        );
    }

    #[test]
    fn a_word_without_its_bigram_is_not_damped() {
        let [bigram, lettuce, hydroponic] = weights("Lettuce, hydroponic");
        assert_eq!(bigram, 0.0);
        let expected = rarity(4.0) / rarity(3.0);
        assert!((lettuce / hydroponic - expected).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn quantised_weights_are_close_to_the_exact_ones_and_have_unit_norm(
            weights in proptest::collection::vec(1e-3..1e3_f64, 1..=16)
        ) {
            let weights = weights.into_iter().enumerate().map(|(i, w)| (TermId(i as u32), w)).collect();
            let exact = TermVector::from_weights(weights, 16);
            let quantised: Vec<_> = QuantisedVector::of(&exact).terms().collect();
            let mut norm = 0.0;
            let mut cosine = 0.0;
            prop_assert_eq!(quantised.len(), exact.terms().len());
            for (&(term, weight), &(same, close)) in exact.terms().iter().zip(&quantised) {
                prop_assert_eq!(term, same);
                prop_assert!((weight - close).abs() <= WEIGHT_ERROR, "{} {}", weight, close);
                norm += close * close;
                cosine += weight * close;
            }
            prop_assert!((norm - 1.0).abs() < 1e-5);
            prop_assert!(cosine > 0.9998, "{}", cosine);
            prop_assert!(quantised.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        }
    }
}
