//! From a word as it is written to the form that is matched.

use rust_stemmers::Stemmer;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::{Language, korean};

/// Shortest word that is stemmed, in letters. Shorter ones that end in s are more often acronyms
/// (iOS, AWS) than plurals.
const STEMMED_LETTERS: usize = 4;

/// Brings the forms of a word to one: lower case, no accents on Latin and Greek letters, and the
/// stem by Snowball where the word is in the script of the language. Korean, for which there is no
/// Snowball, loses its particles.
pub(crate) struct Stemming {
    language: Language,
    stemmer: Option<Stemmer>,
}

impl Stemming {
    pub(crate) fn new(language: Language) -> Stemming {
        Stemming {
            language,
            stemmer: language.algorithm().map(Stemmer::create),
        }
    }

    /// The form of a lower-case word that is matched.
    pub(crate) fn stem(&self, word: &str) -> String {
        if let Some(bare) = korean::without_particles(word) {
            return bare.to_owned();
        }
        let word = match self.language {
            // Names keep their endings behind an apostrophe.
            Language::Turkish => word.split_once('\'').map_or(word, |(name, _)| name),
            _ => word,
        };
        let Some(stemmer) = self.stemmer.as_ref().filter(|_| self.is_stemmed(word)) else {
            return fold(word);
        };
        match self.language {
            // English spells words with and without their accents: both have to meet its rules.
            Language::English => stemmer.stem(&fold(word)).into_owned(),
            // Elsewhere accents tell endings apart, and the stemmer needs them.
            _ => fold(&stemmer.stem(word)),
        }
    }

    /// Whether a word is in the script of the language, and long enough to have an ending.
    pub(crate) fn is_stemmed(&self, word: &str) -> bool {
        let mut letters = 0;
        let in_script = word.chars().all(|c| {
            letters += 1;
            self.language.writes(c)
        });
        in_script && letters >= STEMMED_LETTERS
    }
}

impl Language {
    /// Whether a lower-case letter is of the script that the language is written in.
    fn writes(self, c: char) -> bool {
        match self {
            Language::Any => false,
            Language::Arabic => matches!(c, '\u{0620}'..='\u{065f}'),
            Language::Greek => matches!(c, '\u{0370}'..='\u{03ff}' | '\u{1f00}'..='\u{1fff}'),
            Language::Russian => matches!(c, '\u{0400}'..='\u{04ff}'),
            Language::Tamil => matches!(c, '\u{0b80}'..='\u{0bff}'),
            _ => is_latin(c) || c == '\'',
        }
    }
}

fn is_latin(c: char) -> bool {
    c.is_alphabetic() && matches!(c, 'a'..='z' | '\u{00aa}'..='\u{024f}' | '\u{1e00}'..='\u{1eff}')
}

/// The word without accents. In other scripts marks make another letter (が, й) or a vowel
/// (Indic), and stay.
fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    let mut folded = String::with_capacity(word.len());
    let mut base = ' ';
    for c in word.nfd() {
        if is_combining_mark(c) {
            let is_accent = base.is_ascii_alphabetic()
                || matches!(base, '\u{0370}'..='\u{03ff}')
                // Russian prints ё as е.
                || (base == 'е' && c == '\u{308}');
            if is_accent {
                continue;
            }
        } else {
            base = c;
        }
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'þ' => folded.push_str("th"),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            c => folded.push(c),
        }
    }
    folded.nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_meet_with_and_without_accents() {
        let english = Stemming::new(Language::English);
        assert_eq!(english.stem("hydroponics"), english.stem("hydroponic"));
        assert_eq!(english.stem("cafés"), english.stem("cafe"));
        assert_eq!(english.stem("smørrebrød"), "smorrebrod");
        assert_eq!(english.stem("straße"), english.stem("strasse"));
    }

    #[test]
    fn short_acronyms_and_names_with_signs_are_left_alone() {
        let english = Stemming::new(Language::English);
        for word in ["ios", "aws", "c++", "node.js", "mp3s"] {
            assert_eq!(english.stem(word), word);
        }
    }

    #[test]
    fn only_words_in_the_script_of_the_language_are_stemmed() {
        let russian = Stemming::new(Language::Russian);
        assert_eq!(russian.stem("книги"), russian.stem("книга"));
        assert_eq!(russian.stem("books"), "books");
        assert_eq!(Stemming::new(Language::English).stem("книги"), "книги");
        assert_eq!(Stemming::new(Language::Any).stem("books"), "books");
    }

    #[test]
    fn marks_that_make_another_letter_stay() {
        let any = Stemming::new(Language::Any);
        assert_eq!(any.stem("が"), "が");
        assert_eq!(any.stem("йод"), "йод");
        assert_eq!(any.stem("ёлка"), "елка");
        assert_eq!(any.stem("हिन्दी"), "हिन्दी");
    }
}
