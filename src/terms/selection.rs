//! Choosing, out of all terms that occur, those that a vocabulary keeps.

use super::compounds::Compounds;
use super::salience::npmi;
use super::tally::Kind;
use super::vocabulary::Terms;
use super::{SalienceParams, Vocabulary, VocabularyStats};

/// Takes all words and then all bigrams, each in ascending byte order, and keeps the good ones.
///
/// When there are more than the vocabulary may hold, the terms of the most items stay; among
/// equals words before bigrams, then the smaller term. The two words of a bigram come before it in
/// this order, so that a bigram never stays without its words, and the cut can be made again and
/// again on the way, which bounds the memory, without changing what remains at the end.
pub(super) struct Selection<'p> {
    params: &'p SalienceParams,
    items: u64,
    bigram_floor: u32,
    words: Terms,
    bigrams: Terms,
    cut: u64,
}

impl<'p> Selection<'p> {
    pub(super) fn new(params: &'p SalienceParams, items: u64) -> Selection<'p> {
        Selection {
            params,
            items,
            bigram_floor: params.bigram_floor(items),
            words: Terms::default(),
            bigrams: Terms::default(),
            cut: 0,
        }
    }

    /// Whether a term of so many items can be kept at all; most bigrams cannot, and need no
    /// further look.
    pub(super) fn is_frequent(&self, kind: Kind, document_frequency: u32) -> bool {
        match kind {
            Kind::Word => document_frequency >= self.params.min_df,
            Kind::Bigram => document_frequency >= self.bigram_floor,
        }
    }

    pub(super) fn offer_word(&mut self, stem: &str, surface: &str, document_frequency: u32) {
        if self.is_frequent(Kind::Word, document_frequency) {
            self.words.push(stem, surface, document_frequency, 0.0);
            self.make_room();
        }
    }

    pub(super) fn offer_bigram(&mut self, stems: &str, surface: &str, document_frequency: u32) {
        if !self.is_frequent(Kind::Bigram, document_frequency) {
            return;
        }
        let words = stems.split_once(' ').and_then(|(first, second)| {
            Some((
                self.words.document_frequency(first)?,
                self.words.document_frequency(second)?,
            ))
        });
        // A word of a bigram that passed the floor passed it as well: it is missing only if it
        // was cut.
        let Some((first, second)) = words else {
            self.cut += 1;
            return;
        };
        let npmi = npmi(document_frequency, first, second, self.items);
        if npmi >= self.params.bigram_min_npmi {
            self.bigrams
                .push(stems, surface, document_frequency, npmi as f32);
            self.make_room();
        }
    }

    /// Cuts when there is a quarter too much: seldom enough for the cost, often enough for the
    /// memory.
    fn make_room(&mut self) {
        let most = self.params.max_vocabulary;
        if self.words.len() + self.bigrams.len() > most.saturating_add(most / 4) {
            self.cut_to(most);
        }
    }

    fn cut_to(&mut self, most: usize) {
        let candidates = self.words.len() + self.bigrams.len();
        if candidates <= most {
            return;
        }
        let mut frequencies = self.words.document_frequencies.clone();
        frequencies.extend(&self.bigrams.document_frequencies);
        let (higher, &mut lowest, _) =
            frequencies.select_nth_unstable_by(most - 1, |a, b| b.cmp(a));
        let mut ties = 1 + higher
            .iter()
            .filter(|&&frequency| frequency == lowest)
            .count();
        let mut stays = |frequency: u32| {
            let is_tie = frequency == lowest && ties > 0;
            ties -= usize::from(is_tie);
            is_tie || frequency > lowest
        };
        self.words.retain(&mut stays);
        self.bigrams.retain(&mut stays);
        self.cut += (candidates - most) as u64;
    }

    pub(super) fn finish(mut self) -> Vocabulary {
        self.cut_to(self.params.max_vocabulary);
        let stats = VocabularyStats {
            items: self.items,
            unigrams: self.words.len() as u64,
            bigrams: self.bigrams.len() as u64,
            cut: self.cut,
        };
        let mut vocabulary = Vocabulary::new(Terms::merge(&self.words, &self.bigrams), stats);
        if let Some(compounds) = Compounds::of(self.params.language) {
            vocabulary.add_items(compounds.items_of_parts(&vocabulary));
        }
        vocabulary
    }
}

impl Terms {
    fn len(&self) -> usize {
        self.stems.len()
    }

    fn push(&mut self, stem: &str, surface: &str, document_frequency: u32, npmi: f32) {
        self.stems.push(stem);
        self.surfaces.push(surface);
        self.document_frequencies.push(document_frequency);
        self.npmi.push(npmi);
    }

    fn push_from(&mut self, other: &Terms, position: usize) {
        self.push(
            other.stems.get(position).unwrap_or(""),
            other.surfaces.get(position).unwrap_or(""),
            other.document_frequencies[position],
            other.npmi[position],
        );
    }

    fn document_frequency(&self, stem: &str) -> Option<u32> {
        self.stems
            .find(stem)
            .map(|position| self.document_frequencies[position])
    }

    fn retain(&mut self, mut stays: impl FnMut(u32) -> bool) {
        let all = std::mem::take(self);
        for position in 0..all.len() {
            if stays(all.document_frequencies[position]) {
                self.push_from(&all, position);
            }
        }
    }

    /// Both in one ascending order.
    fn merge(left: &Terms, right: &Terms) -> Terms {
        let mut merged = Terms::default();
        let (mut l, mut r) = (0, 0);
        while l < left.len() || r < right.len() {
            let is_left = match (left.stems.get(l), right.stems.get(r)) {
                (Some(left), Some(right)) => left <= right,
                (left, _) => left.is_some(),
            };
            if is_left {
                merged.push_from(left, l);
                l += 1;
            } else {
                merged.push_from(right, r);
                r += 1;
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn select(
        params: &SalienceParams,
        words: &[(&str, u32)],
        bigrams: &[(&str, u32)],
    ) -> Vocabulary {
        let mut selection = Selection::new(params, 1000);
        for (stem, frequency) in words {
            selection.offer_word(stem, stem, *frequency);
        }
        for (stems, frequency) in bigrams {
            selection.offer_bigram(stems, stems, *frequency);
        }
        selection.finish()
    }

    fn stems(vocabulary: &Vocabulary) -> Vec<&str> {
        vocabulary.stems().iter().collect()
    }

    #[test]
    fn a_word_of_one_item_is_not_kept() {
        let vocabulary = select(
            &SalienceParams::default(),
            &[("once", 1), ("twice", 2)],
            &[],
        );
        assert_eq!(stems(&vocabulary), ["twice"]);
    }

    #[test]
    fn a_bigram_below_the_count_floor_is_not_admitted() {
        let words = [("deep", 4), ("learn", 4)];
        let params = SalienceParams::default();
        assert_eq!(params.bigram_floor(1000), 3);
        let below = select(&params, &words, &[("deep learn", 2)]);
        assert_eq!(stems(&below), ["deep", "learn"]);
        let at = select(&params, &words, &[("deep learn", 3)]);
        assert_eq!(stems(&at), ["deep", "deep learn", "learn"]);
    }

    #[test]
    fn a_bigram_below_the_npmi_threshold_is_not_admitted() {
        let words = [("big", 400), ("film", 500)];
        let vocabulary = select(&SalienceParams::default(), &words, &[("big film", 210)]);
        assert_eq!(stems(&vocabulary), ["big", "film"]);
    }

    #[test]
    fn words_and_bigrams_are_numbered_in_one_byte_order() {
        let words = [("ab", 9), ("abc", 9), ("b", 9)];
        let vocabulary = select(
            &SalienceParams::default(),
            &words,
            &[("ab b", 8), ("b ab", 8)],
        );
        assert_eq!(stems(&vocabulary), ["ab", "ab b", "abc", "b", "b ab"]);
        for (position, stem) in vocabulary.stems().iter().enumerate() {
            assert_eq!(
                vocabulary.find(stem).map(|term| term.position()),
                Some(position)
            );
        }
        let bigram = vocabulary.find("ab b").expect("it was admitted");
        assert!(vocabulary.npmi(bigram).is_some_and(|npmi| npmi > 0.9));
        assert_eq!(
            vocabulary.npmi(vocabulary.find("abc").expect("it is frequent")),
            None
        );
    }

    proptest! {
        #[test]
        fn a_full_vocabulary_keeps_the_most_frequent_terms_however_often_it_was_cut(
            words in proptest::collection::btree_map("[a-d]{1,3}", 2..9_u32, 2..40),
            choices in proptest::collection::btree_map((0..40usize, 0..40usize), 1..9_u32, 0..60),
            most in 1..40_usize,
        ) {
            let words: Vec<(&str, u32)> = words.iter().map(|(stem, df)| (stem.as_str(), *df)).collect();
            let mut bigrams: Vec<(String, u32)> = choices
                .into_iter()
                .map(|((a, b), df)| {
                    let (a, b) = (words[a % words.len()], words[b % words.len()]);
                    (format!("{} {}", a.0, b.0), df.min(a.1).min(b.1))
                })
                .collect();
            bigrams.sort();
            bigrams.dedup_by(|a, b| a.0 == b.0);
            let bigrams: Vec<(&str, u32)> = bigrams.iter().map(|(stems, df)| (stems.as_str(), *df)).collect();

            let unlimited = SalienceParams { bigram_min_df: Some(2), ..SalienceParams::default() };
            let all = select(&unlimited, &words, &bigrams);
            let mut expected: Vec<(u32, bool, &str)> = all
                .stems()
                .iter()
                .zip(all.document_frequencies())
                .map(|(stem, &df)| (u32::MAX - df, stem.contains(' '), stem))
                .collect();
            expected.sort();
            expected.truncate(most);
            let mut expected: Vec<&str> = expected.into_iter().map(|(_, _, stem)| stem).collect();
            expected.sort();

            let limited = SalienceParams { max_vocabulary: most, ..unlimited };
            let kept = select(&limited, &words, &bigrams);
            prop_assert_eq!(stems(&kept), expected);
            prop_assert_eq!(all.stats().cut, 0);
        }
    }
}
