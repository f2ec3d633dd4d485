//! The words of names, terms and titles, as the catalogue's terms are made: the same splitter, stop
//! words and stems.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use rustc_hash::FxHashMap;

use crate::terms::{Language, Stemming, clean, phrase_only, stop_words, words};

/// Words that name no interest.
const GENERIC: &str = "category collection content film general interest item journey misc \
    miscellaneous mixed movie name null product stuff topic unknown untitled user video";

/// Words that fit any interest: how people speak of pursuing one. A good name may hold them without
/// any title that does. Whoever adds one: it must be harmless in everybody's names.
const COMPANIONS: &str = "advanced adventure art beginner class classic course craft diy \
    enthusiast essential exploration explore fan favorite favourite fundamental guide hobby home \
    idea introduction learn lesson lover method practice project skill technique tip trick \
    tutorial world";

static SAY_NOTHING: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let phrase_only = phrase_only().into_iter().map(stem);
    GENERIC
        .split_whitespace()
        .map(stem)
        .chain(phrase_only)
        .collect()
});

static FIT_ANYTHING: LazyLock<HashSet<String>> =
    LazyLock::new(|| COMPANIONS.split_whitespace().map(stem).collect());

/// The function words of all languages that share none with another one's content words; the
/// language of a journey is not known here.
static FUNCTION_WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| stop_words(Language::English));

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

/// Words whose meaning a thread remembers, at most; more than any language uses much.
const REMEMBERED: usize = 1 << 16;

thread_local! {
    /// What words mean, as they are written. Titles say the same words over and over, and to stem one
    /// takes twenty times as long as to find it here.
    static MEANINGS: RefCell<FxHashMap<Box<str>, Option<Arc<str>>>> = RefCell::default();
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

    /// Whether it would fit any interest.
    pub(super) fn fits_anything(&self) -> bool {
        FIT_ANYTHING.contains(&*self.stem)
    }
}

/// The words of a text that say something: no numbers, no function words, nothing generic.
pub(super) fn telling_words(text: &str) -> Vec<Word> {
    let text = clean(text);
    let telling = |range: Range<usize>| {
        let stem = meaning(&text[range.clone()])?;
        Some(Word { stem, range })
    };
    words(&text).into_iter().filter_map(telling).collect()
}

/// The form of a word that is matched; none for one that says nothing.
fn meaning(word: &str) -> Option<Arc<str>> {
    MEANINGS.with_borrow_mut(|meanings| {
        if let Some(meaning) = meanings.get(word) {
            return meaning.clone();
        }
        let lower = word.to_lowercase();
        // Pairs of Hiragana are endings and particles.
        let says_nothing =
            FUNCTION_WORDS.contains(lower.as_str()) || lower.chars().all(is_hiragana);
        let stem = (!says_nothing).then(|| stem(&lower));
        let stem = stem.filter(|stem| !SAY_NOTHING.contains(stem));
        let meaning: Option<Arc<str>> = stem.map(Arc::from);
        if meanings.len() >= REMEMBERED {
            meanings.clear();
        }
        meanings.insert(word.into(), meaning.clone());
        meaning
    })
}

/// Whether two terms have a word in common, inflected or not.
pub(super) fn share_a_word(a: &str, b: &str) -> bool {
    let (a, b) = (clean(a), clean(b));
    let stems = |text: &str| -> HashSet<String> {
        let words = words(text).into_iter();
        words.map(|word| stem(&text[word].to_lowercase())).collect()
    };
    !stems(&a).is_disjoint(&stems(&b))
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
        let words = telling_words(text).into_iter();
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
            assert!(share_a_word(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("star", "start"),
            ("community", "communist"),
            ("marine", "marinade"),
            ("party", "partner"),
        ] {
            assert!(!share_a_word(a, b), "{a} {b}");
        }
    }

    #[test]
    fn marks_within_a_word_do_not_split_it() {
        assert_eq!(said("हिन्दी व्याकरण"), ["हिन्दी", "व्याकरण"]);
        assert!(!share_a_word("हिन्दी", "दीवार"));
    }

    #[test]
    fn pairs_of_characters_overlap_and_words_with_spaces_do_not() {
        let pairs = telling_words("宇宙船");
        assert!(pairs[0].overlaps(&pairs[1]));
        let words = telling_words("Ukulele chords");
        assert!(!words[0].overlaps(&words[1]));
    }
}
