//! Terms that go together, so that items about one thing in other words still meet.
//!
//! Every term is a dimension of its own, and "film" and "movie" seldom stand in one text; but both
//! stand beside "actor" and "director". A vector that has a little of what its terms go together
//! with meets others half way.

use std::cmp::Reverse;
use std::io;
use std::path::Path;

use grenad::Sorter;

use super::salience::npmi;
use super::spill::Sum;
use super::tally::Count;
use super::{SalienceParams, TermId, TermVector};
use crate::external_sort::{ScratchFiles, damaged, io_error, sorter};

/// Items whose pairs of terms are counted, evenly spaced over the catalogue: what goes together in
/// ten million items shows in these, and the time and the memory are bounded.
const MOST_ITEMS: u64 = 1 << 17;

/// Memory for sorting pairs: they are as good as sorted in a few files.
const SORT_BYTES: usize = 16 << 20;

/// Items in which two terms have to stand together: once is no evidence.
const FEWEST_TOGETHER: u32 = 2;

/// Normalised pointwise mutual information that two terms have to reach.
const LEAST_NPMI: f64 = 0.2;

/// How many related terms of a term count: beyond, other numbers changed nothing.
const MOST_RELATED: usize = 20;

/// Counts in how many items two terms stand together.
pub struct RelatedCounter {
    sorter: Sorter<Sum, ScratchFiles>,
    /// Of this many items one is counted.
    every: u64,
    seen: u64,
    counted: u64,
    frequencies: Vec<u32>,
}

impl RelatedCounter {
    /// A counter for a catalogue of `items` items and `terms` terms, with files without a name in the
    /// folder `scratch`.
    pub fn new(items: u64, terms: usize, scratch: &Path) -> RelatedCounter {
        RelatedCounter {
            sorter: sorter(Sum, SORT_BYTES, scratch),
            every: items.div_ceil(MOST_ITEMS).max(1),
            seen: 0,
            counted: 0,
            frequencies: vec![0; terms],
        }
    }

    /// Counts the terms of the next item, each given once.
    pub fn add(&mut self, terms: impl Iterator<Item = TermId>) -> io::Result<()> {
        self.seen += 1;
        if !(self.seen - 1).is_multiple_of(self.every) {
            return Ok(());
        }
        self.counted += 1;
        let mut terms: Vec<u32> = terms.map(|term| term.0).collect();
        terms.sort_unstable();
        let once = Count {
            items: 1,
            case_tells: 0,
        };
        let once = once.to_bytes();
        for (at, &first) in terms.iter().enumerate() {
            self.frequencies[first as usize] += 1;
            for &second in &terms[at + 1..] {
                let key = (u64::from(first) << 32 | u64::from(second)).to_be_bytes();
                self.sorter.insert(key, once).map_err(io_error)?;
            }
        }
        Ok(())
    }

    /// The terms that go together.
    pub fn finish(self) -> io::Result<RelatedTerms> {
        let mut related: Vec<Candidates> = Vec::new();
        related.resize_with(self.frequencies.len(), Candidates::default);
        let mut pairs = self.sorter.into_stream_merger_iter().map_err(io_error)?;
        while let Some((key, count)) = pairs.next().map_err(io_error)? {
            let key = u64::from_be_bytes(key.try_into().map_err(|_| damaged())?);
            let together = Count::from_bytes(count).ok_or_else(damaged)?.items;
            if together < FEWEST_TOGETHER {
                continue;
            }
            let (first, second) = ((key >> 32) as u32, key as u32);
            let frequency = |term: u32| self.frequencies[term as usize];
            let npmi = npmi(together, frequency(first), frequency(second), self.counted);
            if npmi >= LEAST_NPMI {
                related[first as usize].offer(second, npmi as f32);
                related[second as usize].offer(first, npmi as f32);
            }
        }
        let mut terms = RelatedTerms::default();
        for candidates in related {
            terms.related.extend(candidates.best());
            terms.ends.push(terms.related.len() as u32);
        }
        Ok(terms)
    }
}

/// What may be among the most related terms of one.
#[derive(Default)]
struct Candidates(Vec<(u32, f32)>);

impl Candidates {
    fn offer(&mut self, term: u32, npmi: f32) {
        self.0.push((term, npmi));
        // Now and then, so that the most frequent terms do not keep all they were offered.
        if self.0.len() >= 4 * MOST_RELATED {
            self.cut();
        }
    }

    /// Keeps the best (ties: the smaller term), whatever the order in which they came.
    fn cut(&mut self) {
        self.0
            .sort_unstable_by_key(|&(term, npmi)| (Reverse(npmi.to_bits()), term));
        self.0.truncate(MOST_RELATED);
    }

    fn best(mut self) -> Vec<(u32, f32)> {
        self.cut();
        self.0
    }
}

/// For each term of a vocabulary the terms that it goes together with most, and how much, as
/// normalised pointwise mutual information.
#[derive(Debug, Default)]
pub struct RelatedTerms {
    /// Where the related terms of each term end.
    ends: Vec<u32>,
    related: Vec<(u32, f32)>,
}

impl RelatedTerms {
    /// The terms that a term goes together with, most related first.
    pub fn of(&self, term: TermId) -> impl Iterator<Item = (TermId, f32)> + '_ {
        let at = term.position();
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        let range = start as usize..self.ends[at] as usize;
        self.related[range]
            .iter()
            .map(|&(term, npmi)| (TermId(term), npmi))
    }

    /// A unit vector with what its terms go together with: `(1 - share) * x + share * y / |y|`, where
    /// `y` has each related term by the weight of what it is related to, times how much it is; then
    /// the heaviest terms at unit length again. A vector whose terms have nothing related stays.
    pub fn widen(&self, vector: &[(TermId, f32)], params: &SalienceParams) -> TermVector {
        let share = params.related_share;
        let mut related: Vec<(TermId, f64)> = Vec::new();
        for &(term, weight) in vector {
            let of_term = self.of(term);
            related
                .extend(of_term.map(|(other, npmi)| (other, f64::from(weight) * f64::from(npmi))));
        }
        sum_up(&mut related);
        let norm = related
            .iter()
            .map(|(_, weight)| weight * weight)
            .sum::<f64>()
            .sqrt();
        let own = vector
            .iter()
            .map(|&(term, weight)| (term, f64::from(weight)));
        let mut widened: Vec<(TermId, f64)> = if norm > 0.0 {
            let own = own.map(|(term, weight)| (term, (1.0 - share) * weight));
            let related = related.into_iter();
            own.chain(related.map(|(term, weight)| (term, share * weight / norm)))
                .collect()
        } else {
            own.collect()
        };
        sum_up(&mut widened);
        TermVector::from_weights(widened, params.terms_per_item)
    }
}

/// Makes one of the weights of each term. The sort is stable, so that they are added in the order in
/// which they stand and the sum is the same everywhere.
fn sum_up(weights: &mut Vec<(TermId, f64)>) {
    weights.sort_by_key(|&(term, _)| term);
    weights.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same {
            first.1 += later.1;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes together in items of these terms, of a vocabulary of `terms`.
    fn related(terms: usize, items: &[&[u32]]) -> RelatedTerms {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let mut counter = RelatedCounter::new(items.len() as u64, terms, scratch.path());
        for item in items {
            let terms = item.iter().map(|&term| TermId(term));
            counter.add(terms).expect("room on disk");
        }
        counter.finish().expect("what was written can be read")
    }

    const FILM: u32 = 0;
    const MOVIE: u32 = 1;
    const ACTOR: u32 = 2;
    const BREAD: u32 = 3;
    const OVEN: u32 = 4;

    /// Films and movies never meet.
    const ITEMS: [&[u32]; 8] = [
        &[FILM, ACTOR],
        &[ACTOR, FILM],
        &[MOVIE, ACTOR],
        &[MOVIE, ACTOR],
        &[BREAD, OVEN],
        &[BREAD, OVEN],
        &[BREAD],
        &[OVEN, FILM],
    ];

    #[test]
    fn what_stands_together_twice_and_more_than_by_chance_is_related_both_ways() {
        let related = related(5, &ITEMS);
        let of = |term| -> Vec<u32> { related.of(TermId(term)).map(|(term, _)| term.0).collect() };
        assert_eq!(of(FILM), [ACTOR]);
        assert_eq!(of(ACTOR), [MOVIE, FILM], "most related first");
        assert_eq!(of(OVEN), [BREAD], "once with a film is no evidence");
        let (_, npmi) = related.of(TermId(BREAD)).next().expect("it has one");
        let expected = (2.0 * 8.0 / 9.0_f64).ln() / (8.0 / 2.0_f64).ln();
        assert!((f64::from(npmi) - expected).abs() < 1e-6, "{npmi}");
    }

    #[test]
    fn items_that_say_the_same_in_other_words_meet_half_way() {
        let related = related(5, &ITEMS);
        let params = SalienceParams {
            related_share: 0.25,
            ..SalienceParams::default()
        };
        let widened = |term| related.widen(&[(TermId(term), 1.0)], &params);
        let (film, movie) = (widened(FILM), widened(MOVIE));
        let norm = (0.75_f64.powi(2) + 0.25_f64.powi(2)).sqrt();
        for (vector, own) in [(&film, FILM), (&movie, MOVIE)] {
            let expected = [(TermId(own), 0.75 / norm), (TermId(ACTOR), 0.25 / norm)];
            for (&(term, weight), (same, expected)) in vector.terms().iter().zip(expected) {
                assert_eq!(term, same);
                assert!((f64::from(weight) - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_vector_of_which_nothing_is_related_stays() {
        let related = related(3, &[&[0, 1], &[0, 2]]);
        let vector = [(TermId(0), 0.8), (TermId(1), 0.6)];
        assert_eq!(
            related.widen(&vector, &SalienceParams::default()).terms(),
            vector
        );
    }

    #[test]
    fn the_most_related_terms_stay_however_many_are_offered() {
        let mut candidates = Candidates::default();
        for term in 0..1_000 {
            candidates.offer(term, (term % 100) as f32 / 100.0);
        }
        let best = candidates.best();
        assert_eq!(best.len(), MOST_RELATED);
        let terms: Vec<u32> = best.iter().map(|&(term, _)| term).collect();
        assert_eq!(
            terms[..11],
            [99, 199, 299, 399, 499, 599, 699, 799, 899, 999, 98]
        );
    }
}
