//! Words that are written as one: "Gemüsegarten" is a garden, and of vegetables.

use super::stemming::Stemming;
use super::stop_words::phrase_only;
use super::{Language, TermId, Vocabulary};

/// Shortest first and last part, in letters. Shorter ones are endings and prefixes more often than
/// words.
const FIRST_LETTERS: usize = 3;
const LAST_LETTERS: usize = 4;

/// Takes compounds apart in the languages that write them as one word.
pub(super) struct Compounds {
    stemming: Stemming,
}

impl Compounds {
    /// None for a language that writes the parts as words.
    pub(super) fn of(language: Language) -> Option<Compounds> {
        let compounding = matches!(
            language,
            Language::German
                | Language::Dutch
                | Language::Danish
                | Language::Norwegian
                | Language::Swedish
        );
        compounding.then(|| Compounds {
            stemming: Stemming::new(language),
        })
    }

    /// How many more items each term of a vocabulary is a part of, in compounds that are terms: by the
    /// words alone, the parts would look rarer than they are.
    pub(super) fn items_of_parts(&self, vocabulary: &Vocabulary) -> Vec<(TermId, u32)> {
        let words = (0..vocabulary.len() as u32).map(TermId);
        let words = words.filter(|&term| vocabulary.npmi(term).is_none());
        words
            .flat_map(|term| {
                let items = vocabulary.document_frequency(term);
                let parts = self.parts(vocabulary.surface(term), items, vocabulary);
                parts.map(move |part| (part, items))
            })
            .collect()
    }

    /// The two words of the vocabulary that a word, which stands in `items` items, is made of; none if
    /// it is not. The stemmer takes off what joins the parts ("Zeitungsartikel").
    ///
    /// Of all ways to cut it, the one whose parts are the most frequent, by their geometric mean; and no
    /// way at all where the whole is more frequent than they are. Koehn and Knight, "Empirical Methods
    /// for Compound Splitting", 2003.
    pub(super) fn parts(
        &self,
        written: &str,
        items: u32,
        vocabulary: &Vocabulary,
    ) -> impl Iterator<Item = TermId> + use<> {
        let word = written.to_lowercase();
        let letters = word.chars().count();
        let cuts = word.char_indices().map(|(at, _)| at);
        let cuts = cuts
            .take((letters + 1).saturating_sub(LAST_LETTERS))
            .skip(FIRST_LETTERS);
        let find = |part: &str| {
            if phrase_only().contains(part) {
                return None;
            }
            let term = vocabulary.find(&self.stemming.stem(part))?;
            Some((term, u64::from(vocabulary.document_frequency(term))))
        };
        let mut best: Option<(u64, [TermId; 2])> = None;
        for cut in cuts {
            let (first, last) = word.split_at(cut);
            let Some(((last, last_items), (first, first_items))) =
                find(last).and_then(|last| Some((last, find(first)?)))
            else {
                continue;
            };
            let product = first_items * last_items;
            let enough = u64::from(items) * u64::from(items);
            if product > best.map_or(enough, |(most, _)| most) {
                best = Some((product, [first, last]));
            }
        }
        best.into_iter().flat_map(|(_, parts)| parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Item;
    use crate::terms::{SalienceParams, VocabularyCounter};

    fn vocabulary(language: Language, titles: &[&str]) -> Vocabulary {
        let params = SalienceParams {
            language,
            ..SalienceParams::default()
        };
        let titled = |title: &&str| Item {
            title: (*title).into(),
            ..Item::default()
        };
        let items: Vec<Item> = titles.iter().map(titled).collect();
        let scratch = tempfile::tempdir().unwrap();
        let mut counter = VocabularyCounter::new(&params, 0, scratch.path()).unwrap();
        counter.add(&items).unwrap();
        counter.finish().unwrap()
    }

    fn parts(language: Language, word: &str, titles: &[&str]) -> Vec<String> {
        let vocabulary = vocabulary(language, titles);
        let compounds = Compounds::of(language).unwrap();
        let items = Stemming::new(language).stem(&word.to_lowercase());
        let items = vocabulary.find(&items);
        let items = items.map_or(0, |term| vocabulary.document_frequency(term));
        let parts = compounds.parts(word, items, &vocabulary);
        parts
            .map(|part| vocabulary.surface(part).to_owned())
            .collect()
    }

    #[test]
    fn a_compound_is_made_of_words_that_stand_alone_elsewhere() {
        let titles = [
            "Gemüse", "Gemüse", "Garten", "Garten", "Zeitung", "Zeitung", "Artikel", "Artikel",
        ];
        let german = |word| parts(Language::German, word, &titles);
        assert_eq!(german("Gemüsegarten"), ["Gemüse", "Garten"]);
        assert_eq!(german("Gemüsegärten"), ["Gemüse", "Garten"]);
        assert_eq!(german("Zeitungsartikel"), ["Zeitung", "Artikel"]);
        assert!(german("Gartenbau").is_empty(), "nobody wrote of Bau");
        assert!(german("Garten").is_empty());
        let titles = ["fiets", "fiets", "band", "band"];
        assert_eq!(parts(Language::Dutch, "fietsband", &titles).len(), 2);
    }

    #[test]
    fn a_word_that_is_more_frequent_than_what_it_could_be_made_of_is_whole() {
        let rare = ["Hand", "Hand", "Lunge", "Lunge", "Handlunge"];
        assert_eq!(parts(Language::German, "Handlunge", &rare).len(), 2);
        let common = [&rare[..], &["Handlunge"; 4]].concat();
        assert!(parts(Language::German, "Handlunge", &common).is_empty());
    }

    #[test]
    fn a_part_is_in_the_items_of_its_compounds_too() {
        let titles = [&["Gemüsegarten"; 3][..], &["Gemüse"; 4], &["Garten"; 5]].concat();
        let vocabulary = vocabulary(Language::German, &titles);
        let frequency = |word: &str| {
            let stem = Stemming::new(Language::German).stem(word);
            vocabulary.document_frequency(vocabulary.find(&stem).unwrap())
        };
        assert_eq!(
            ["gemüsegarten", "gemüse", "garten"].map(frequency),
            [3, 7, 8]
        );
    }

    #[test]
    fn a_word_that_only_phrases_are_made_of_is_no_part() {
        let titles = ["work", "work", "shop", "shop"];
        assert!(parts(Language::German, "Workshop", &titles).is_empty());
    }

    #[test]
    fn other_languages_write_words_apart() {
        assert!(Compounds::of(Language::English).is_none());
        assert!(Compounds::of(Language::Any).is_none());
    }
}
