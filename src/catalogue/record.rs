//! The terms of one item as they stand in the file.

use crate::terms::{QuantisedVector, TermId};

/// Bytes of a record of `terms` terms: terms, scale, weights, and zeros to a multiple of 4.
pub(super) const fn record_length(terms: usize) -> usize {
    (terms * 4 + 4 + terms).next_multiple_of(4)
}

/// Appends the record of an item. Terms beyond `terms` are lost.
pub(super) fn write_record(vector: &QuantisedVector, terms: usize, bytes: &mut Vec<u8>) {
    let end = bytes.len() + record_length(terms);
    for term in &vector.terms[..terms] {
        bytes.extend(term.to_le_bytes());
    }
    bytes.extend(vector.scale.to_le_bytes());
    bytes.extend(&vector.quanta[..terms]);
    bytes.resize(end, 0);
}

/// A record, borrowed from the file.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    terms: &'a [u8],
    scale: f32,
    quanta: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record in these bytes; none if there are too few.
    pub(super) fn parse(bytes: &'a [u8], terms: usize) -> Option<Record<'a>> {
        let (ids, rest) = bytes.split_at_checked(terms * 4)?;
        let (scale, rest) = rest.split_first_chunk()?;
        let quanta = rest.get(..terms)?;
        Some(Record {
            terms: ids,
            scale: f32::from_le_bytes(*scale),
            quanta,
        })
    }

    /// The terms with their weights, heaviest first.
    pub(super) fn terms(self) -> impl Iterator<Item = (TermId, f32)> + 'a {
        let terms = self
            .terms
            .as_chunks()
            .0
            .iter()
            .map(|&term| u32::from_le_bytes(term));
        terms
            .zip(self.quanta)
            .take_while(|&(term, _)| term != QuantisedVector::UNUSED)
            .map(move |(term, &quantum)| (TermId(term), self.scale * f32::from(quantum)))
    }

    /// What is wrong with the record, in a catalogue of `vocabulary` terms. Whoever reads terms
    /// relies on it: each occurs once and has a weight above 0.
    pub(super) fn fault(self, vocabulary: u64) -> Option<String> {
        let mut used = 0;
        let mut before = u8::MAX;
        let mut squares = 0_u32;
        let slots = self
            .terms
            .as_chunks()
            .0
            .iter()
            .map(|&term| u32::from_le_bytes(term));
        for (slot, (term, &quantum)) in slots.zip(self.quanta).enumerate() {
            if term == QuantisedVector::UNUSED {
                if quantum != 0 {
                    return Some(format!("slot {slot} is not used but has weight {quantum}"));
                }
                continue;
            }
            if used < slot {
                return Some(format!("slot {slot} is used but one before it is not"));
            }
            if u64::from(term) >= vocabulary {
                return Some(format!("slot {slot} has term {term} of {vocabulary}"));
            }
            if quantum == 0 || quantum > before {
                return Some(format!("slot {slot} has weight {quantum} after {before}"));
            }
            let earlier = self.terms.as_chunks().0.iter().take(slot);
            if earlier
                .into_iter()
                .any(|&other| u32::from_le_bytes(other) == term)
            {
                return Some(format!("slot {slot} repeats term {term}"));
            }
            before = quantum;
            squares += u32::from(quantum) * u32::from(quantum);
            used += 1;
        }
        let norm = self.scale * self.scale * squares as f32;
        let expected = if used == 0 { 0.0 } else { 1.0 };
        // Negated, so that a norm that is not a number is a fault too. The bound is far above the
        // rounding of f32 and far below what would move a cosine.
        let is_unit = (norm - expected).abs() < 1e-3 && self.scale >= 0.0;
        (!is_unit).then(|| format!("its squared norm is {norm}, expected {expected}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::TermVector;

    fn vector(weights: &[f64]) -> QuantisedVector {
        let weights = weights
            .iter()
            .enumerate()
            .map(|(id, &weight)| (TermId(id as u32), weight));
        QuantisedVector::of(&TermVector::from_weights(
            weights.collect(),
            QuantisedVector::SLOTS,
        ))
    }

    fn bytes(vector: &QuantisedVector, terms: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_record(vector, terms, &mut bytes);
        bytes
    }

    #[test]
    fn a_record_of_twelve_terms_is_one_cache_line() {
        assert_eq!(record_length(12), 64);
    }

    #[test]
    fn a_record_is_read_as_it_was_written_for_every_number_of_terms() {
        for terms in 8..=16 {
            for used in [0, 1, 8] {
                let vector = vector(&[3.0, 2.5, 2.0, 1.5, 1.0, 0.9, 0.5, 0.01][..used]);
                let bytes = bytes(&vector, terms);
                assert_eq!(bytes.len(), record_length(terms));
                let record = Record::parse(&bytes, terms).expect("it is complete");
                assert!(record.terms().eq(vector.terms()));
                assert_eq!(record.fault(8), None);
            }
        }
    }

    #[test]
    fn a_term_outside_of_the_vocabulary_is_a_fault() {
        let bytes = bytes(&vector(&[3.0, 2.0]), 12);
        let record = Record::parse(&bytes, 12).expect("it is complete");
        assert_eq!(record.fault(2), None);
        assert_eq!(record.fault(1).as_deref(), Some("slot 1 has term 1 of 1"));
    }

    #[test]
    fn a_term_that_occurs_twice_is_a_fault() {
        let mut vector = vector(&[3.0, 2.0, 1.0]);
        vector.terms[2] = vector.terms[0];
        let bytes = bytes(&vector, 12);
        let record = Record::parse(&bytes, 12).expect("it is complete");
        assert_eq!(record.fault(3).as_deref(), Some("slot 2 repeats term 0"));
    }

    #[test]
    fn a_scale_that_does_not_make_a_unit_vector_is_a_fault() {
        for scale in [0.0, 1.0, -1.0, f32::NAN, f32::INFINITY] {
            let vector = QuantisedVector {
                scale,
                ..vector(&[3.0, 2.0])
            };
            let bytes = bytes(&vector, 12);
            let record = Record::parse(&bytes, 12).expect("it is complete");
            assert!(
                record.fault(2).is_some_and(|fault| fault.contains("norm")),
                "{scale}"
            );
        }
    }
}
