//! What the words of a name say, by the lists of a template.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::form::Names;
use crate::naming::words::{Word, content_words, stems};
use crate::terms::phrase_only;

/// The rules of names.
#[derive(Debug)]
pub(in crate::naming) struct Rules {
    /// Longest name.
    pub characters: usize,
    /// How refusals begin, in lower case.
    refusals: Vec<String>,
    /// Stems of words that name no interest.
    generic: FxHashSet<Arc<str>>,
    /// Stems of words that fit any interest.
    companions: FxHashSet<Arc<str>>,
    /// Unsafe phrases by the stem that they begin with: the stems that follow.
    unsafe_phrases: FxHashMap<Arc<str>, Vec<Vec<Arc<str>>>>,
}

impl Rules {
    pub(super) fn of(names: &Names) -> Rules {
        let all = |words: &[String]| words.iter().flat_map(|word| stems(word)).collect();
        let mut generic: FxHashSet<Arc<str>> = all(&names.generic);
        // What says nothing as a term says nothing as a name.
        generic.extend(phrase_only().iter().copied().flat_map(stems));
        let mut unsafe_phrases: FxHashMap<Arc<str>, Vec<Vec<Arc<str>>>> = FxHashMap::default();
        for phrase in &names.unsafe_words {
            let mut stems = stems(phrase).into_iter();
            if let Some(first) = stems.next() {
                unsafe_phrases
                    .entry(first)
                    .or_default()
                    .push(stems.collect());
            }
        }
        Rules {
            characters: names.characters,
            refusals: names
                .refusals
                .iter()
                .map(|text| text.to_lowercase())
                .collect(),
            generic,
            companions: all(&names.companions),
            unsafe_phrases,
        }
    }

    /// The words of a text that say something: no numbers, no function words, nothing generic.
    pub(in crate::naming) fn telling_words(&self, text: &str) -> Vec<Word> {
        let mut words = content_words(text);
        words.retain(|word| !self.generic.contains(&*word.stem));
        words
    }

    /// Whether a word would fit any interest.
    pub(in crate::naming) fn fits_anything(&self, word: &Word) -> bool {
        self.companions.contains(&*word.stem)
    }

    /// Whether a model declines; in lower case and with straight apostrophes.
    pub(in crate::naming) fn is_refusal(&self, lower: &str) -> bool {
        self.refusals
            .iter()
            .any(|refusal| lower.starts_with(refusal))
    }

    /// Whether a text holds an unsafe word or phrase.
    pub(in crate::naming) fn is_unsafe(&self, text: &str) -> bool {
        let stems = stems(text);
        (0..stems.len()).any(|at| {
            let phrases = self.unsafe_phrases.get(&stems[at]);
            let rest = &stems[at + 1..];
            phrases.is_some_and(|phrases| phrases.iter().any(|phrase| rest.starts_with(phrase)))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::naming::Template;

    fn said(text: &str) -> Vec<String> {
        let template = Template::default();
        let words = template.rules().telling_words(text).into_iter();
        words.map(|word| word.stem.to_string()).collect()
    }

    #[test]
    fn function_words_numbers_and_generic_words_say_nothing() {
        for name in [
            "Various, Things",
            "Journey 1",
            "The Movies",
            "2013",
            "…",
            "The Best of the New",
            "どうして",
        ] {
            assert_eq!(said(name), Vec::<String>::new(), "{name}");
        }
        assert_eq!(said("Ukulele videos"), ["ukulel"]);
    }

    #[test]
    fn an_unsafe_word_is_found_in_any_inflection_and_in_no_other_word() {
        let template = Template::default();
        for name in [
            "Fucking Great Ukuleles",
            "FUCKS",
            "Bitches' Brew",
            "Ways to Kill Yourself",
            "Self-Harm",
            "ｆｕｃｋ",
            "色情电影",
            "hijos? hijo de puta",
        ] {
            assert!(template.rules().is_unsafe(name), "{name}");
        }
        for name in [
            "Scunthorpe and Penistone",
            "Grape Growing",
            "Therapists in Essex",
            "Shiitake and Shih Tzu",
            "Kill Bill",
            "Draping a Dress",
            "Classic Hitchcock",
            "Spicy Food",
            "Make It Yourself",
            "Rapeseed Oil",
        ] {
            assert!(!template.rules().is_unsafe(name), "{name}");
        }
    }
}
