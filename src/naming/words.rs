//! The words of names, terms and titles, as the catalogue's terms are made: the same splitter, stop
//! words and stems.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::terms::{Language, Stemming, clean, stop_words, words};

/// The function words of all languages that share none with another one's content words; the
/// language of a journey is not known here.
static FUNCTION_WORDS: LazyLock<FxHashSet<&'static str>> =
    LazyLock::new(|| stop_words(Language::English).into_iter().collect());

/// A stemmer for each script, that of Latin letters last. They are taken for English, whose rules
/// take a plural s off in the other languages too.
static STEMMINGS: LazyLock<[Stemming; 5]> = LazyLock::new(|| {
    [
        Language::Greek,
        Language::Russian,
        Language::Arabic,
        Language::Tamil,
        Language::English,
    ]
    .map(Stemming::new)
});

/// What a thread remembers of texts, at most; more than any language uses much.
const REMEMBERED: usize = 1 << 16;

thread_local! {
    /// Words as they are written. Titles and names say the same ones over and over, and to stem one
    /// takes twenty times as long as to find it here.
    static KNOWN: RefCell<Remembered<Known>> = RefCell::default();

    /// Terms. All journeys of a population are made of the same ones.
    static TERMS: RefCell<Remembered<Stems>> = RefCell::default();
}

/// What was worked out of some texts.
struct Remembered<T>(FxHashMap<Box<str>, T>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Remembered(FxHashMap::default())
    }
}

impl<T: Clone> Remembered<T> {
    fn get_or(&mut self, text: &str, work_out: impl FnOnce() -> T) -> T {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let known = work_out();
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(text.into(), known.clone());
        known
    }
}

/// The stems of all words of a text, in their order.
pub(super) type Stems = Arc<[Arc<str>]>;

/// What is known of a word.
#[derive(Clone)]
struct Known {
    stem: Arc<str>,
    /// Whether it says something by itself.
    has_content: bool,
}

/// A word that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The form that is matched.
    pub stem: Arc<str>,
    /// Where it stands. Where a script writes no spaces, words are pairs of characters, and overlap.
    range: Range<usize>,
}

impl Word {
    pub(super) fn overlaps(&self, other: &Word) -> bool {
        self.range.start < other.range.end && other.range.start < self.range.end
    }
}

/// The words of a text that say something: no numbers and no function words.
pub(super) fn content_words(text: &str) -> Vec<Word> {
    let text = clean(text);
    let word = |range: Range<usize>| {
        let Known { stem, has_content } = known(&text[range.clone()]);
        has_content.then_some(Word { stem, range })
    };
    words(&text).into_iter().filter_map(word).collect()
}

/// The stems of a term, which is likely to be asked for again.
pub(super) fn stems_of_term(term: &str) -> Stems {
    TERMS.with_borrow_mut(|terms| terms.get_or(term, || stems(term).into()))
}

/// The stems of all words of a text, in their order.
pub(super) fn stems(text: &str) -> Vec<Arc<str>> {
    let text = clean(text);
    let words = words(&text).into_iter();
    words.map(|word| known(&text[word]).stem).collect()
}

fn known(word: &str) -> Known {
    let work_out = || {
        let lower = word.to_lowercase();
        // Pairs of Hiragana are endings and particles.
        let is_empty = FUNCTION_WORDS.contains(lower.as_str()) || lower.chars().all(is_hiragana);
        Known {
            stem: stem(&lower).into(),
            has_content: !is_empty,
        }
    };
    KNOWN.with_borrow_mut(|known| known.get_or(word, work_out))
}

/// The form of a lower-case word that is matched.
fn stem(word: &str) -> String {
    // Korean endings are as long as the words that they are put to; the word begins with two
    // syllables of its own.
    const SYLLABLES: usize = 2;
    if word.chars().all(is_hangul) {
        return word.chars().take(SYLLABLES).collect();
    }
    let [others @ .., english] = &*STEMMINGS;
    let of_script = others.iter().find(|stemming| stemming.is_stemmed(word));
    of_script.unwrap_or(english).stem(word)
}

fn is_hiragana(c: char) -> bool {
    ('\u{3041}'..='\u{309F}').contains(&c)
}

fn is_hangul(c: char) -> bool {
    ('\u{AC00}'..='\u{D7A3}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let words = content_words(text).into_iter();
        words.map(|word| word.stem.to_string()).collect()
    }

    #[test]
    fn forms_of_a_word_are_one_and_words_that_begin_alike_are_not() {
        for (a, b) in [
            ("Hydroponics", "hydroponic"),
            ("story", "stories"),
            ("beginner's", "beginners"),
            ("книги", "книга"),
            ("한국의", "한국에서"),
        ] {
            assert_eq!(stems(a), stems(b));
        }
        for (a, b) in [
            ("star", "start"),
            ("community", "communist"),
            ("marine", "marinade"),
            ("party", "partner"),
        ] {
            assert_ne!(stems(a), stems(b));
        }
    }

    #[test]
    fn marks_within_a_word_do_not_split_it() {
        assert_eq!(said("हिन्दी व्याकरण"), ["हिन्दी", "व्याकरण"]);
        let wall = stems("दीवार");
        assert!(stems("हिन्दी").iter().all(|stem| !wall.contains(stem)));
    }

    #[test]
    fn pairs_of_characters_overlap_and_words_with_spaces_do_not() {
        let pairs = content_words("宇宙船");
        assert!(pairs[0].overlaps(&pairs[1]));
        let words = content_words("Ukulele chords");
        assert!(!words[0].overlaps(&words[1]));
    }
}
