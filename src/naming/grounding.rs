//! Whether a name speaks of a journey: what the two have in common, word by word.

use crate::journey::Journey;

/// Titles that have to support a name that no term supports. One alone may be written by somebody
/// who wants to name other people's journeys, and a name that only one supports is its copy.
const LEAST_TITLES: usize = 2;

/// Words that name no interest.
const GENERIC: &[&str] = &[
    "assorted",
    "category",
    "collection",
    "content",
    "film",
    "films",
    "general",
    "interest",
    "interests",
    "item",
    "items",
    "journey",
    "journeys",
    "misc",
    "miscellaneous",
    "mixed",
    "movie",
    "movies",
    "name",
    "none",
    "null",
    "other",
    "product",
    "products",
    "stuff",
    "things",
    "topic",
    "topics",
    "unknown",
    "untitled",
    "user",
    "various",
    "video",
    "videos",
];

/// Words that hold sentences together in the languages that catalogues are most often written in.
const FUNCTION_WORDS: &[&str] = &[
    "a", "all", "am", "an", "and", "are", "as", "at", "be", "but", "by", "can", "do", "for",
    "from", "get", "has", "have", "he", "her", "his", "how", "i", "in", "into", "is", "it", "its",
    "me", "more", "my", "new", "no", "not", "of", "on", "one", "or", "our", "out", "over", "s",
    "she", "so", "t", "that", "the", "their", "they", "this", "to", "up", "us", "was", "we",
    "what", "when", "who", "why", "will", "with", "without", "you", "your", // English
    "con", "de", "del", "el", "en", "la", "las", "los", "para", "por", "que", "se", "sin", "un",
    "una", "y", // Spanish
    "au", "aux", "avec", "ce", "d", "dans", "des", "du", "est", "et", "l", "le", "les", "ou",
    "par", "pas", "pour", "sans", "sur", "une", // French
    "auf", "aus", "das", "dem", "den", "der", "die", "ein", "eine", "für", "im", "ist", "mit",
    "ohne", "und", "von", "vom", "zu", "zum", "zur", // German
    "al", "che", "da", "della", "di", "e", "gli", "il", "lo", "nel", "non", "per", "su",
    "uno", // Italian
    "ao", "às", "com", "dos", "em", "na", "não", "nas", "nos", "o", "os", "sem", "um",
    "uma", // Portuguese
];

/// Whether a name has a word that says something of an interest.
pub(super) fn says_something(name: &str) -> bool {
    telling_words(name).next().is_some()
}

/// Whether two names are the same but for case, blanks and punctuation.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    words(&a).eq(words(&b))
}

/// Whether a journey supports a name: one of its terms, or enough of its titles, have a telling
/// word or a pair of characters in common with it.
pub(super) fn is_grounded(name: &str, journey: &Journey) -> bool {
    let said: Vec<&str> = telling_words(name).collect();
    let pairs = unspaced_pairs(name);
    let supports = |text: &str| {
        words(text).any(|word| said.iter().any(|said| same_word(word, said)))
            || unspaced_pairs(text).iter().any(|pair| pairs.contains(pair))
    };
    let titles = journey
        .titles
        .iter()
        .filter(|title| supports(title))
        .count();
    journey.terms.iter().any(|term| supports(&term.term))
        || titles >= LEAST_TITLES.min(journey.titles.len().max(1))
}

/// Whether two terms have a word in common, inflected or not.
pub(super) fn share_a_word(a: &str, b: &str) -> bool {
    a.split(' ').any(|a| b.split(' ').any(|b| same_word(a, b)))
}

/// "Hydroponic" and "hydroponics", "story" and "stories": equal but for an ending of up to three
/// letters, and the rest at least four letters long.
fn same_word(a: &str, b: &str) -> bool {
    const LONGEST_ENDING: usize = 3;
    const SHORTEST_STEM: usize = 4;
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let common = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let longest = a.chars().count().max(b.chars().count());
    a == b || (common >= SHORTEST_STEM && longest - common <= LONGEST_ENDING)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// Words other than numbers, function words and generic words.
fn telling_words(text: &str) -> impl Iterator<Item = &str> {
    words(text).filter(|word| {
        let word = word.to_lowercase();
        !word.chars().all(char::is_numeric)
            && !FUNCTION_WORDS.contains(&word.as_str())
            && !GENERIC.contains(&word.as_str())
    })
}

/// Neighbouring characters of the scripts in which blanks do not separate words: two of them stand
/// for a word. Pairs of Hiragana alone are endings and particles.
fn unspaced_pairs(text: &str) -> Vec<(char, char)> {
    // Terms may have blanks where a segmenter saw words.
    let characters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    characters
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|&(a, b)| is_unspaced(a) && is_unspaced(b) && !(is_hiragana(a) && is_hiragana(b)))
        .collect()
}

fn is_hiragana(c: char) -> bool {
    ('\u{3041}'..='\u{309F}').contains(&c)
}

/// Han, Kana, and Hangul, whose words have blanks but also endings as long as themselves.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}'
        | '\u{3041}'..='\u{309F}'
        | '\u{30A1}'..='\u{30FA}'
        | '\u{30FC}'..='\u{30FF}'
        | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FF66}'..='\u{FF9F}'
        | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::super::answer::tests::journey;
    use super::*;

    #[test]
    fn a_term_or_two_titles_support_a_name_and_one_title_of_many_does_not() {
        let lettuce = journey(
            &["Growing lettuce indoors", "Lettuce towers", "Pump noise"],
            &["nutrient solution"],
        );
        assert!(is_grounded("Nutrients at Home", &lettuce));
        assert!(is_grounded("Indoor Lettuces", &lettuce));
        assert!(!is_grounded("Noise and Silence", &lettuce));
        assert!(is_grounded("Silence", &journey(&["The Silence"], &[])));
    }

    #[test]
    fn function_words_numbers_and_generic_words_support_nothing() {
        let thrones = journey(&["A Game of Movies 2", "The Game of 2"], &[]);
        for name in ["History of the Rome", "Rome 2", "Movies from Rome"] {
            assert!(!is_grounded(name, &thrones), "{name}");
        }
        for name in ["Various, Things", "Journey 1", "The Movies", "2013", "…"] {
            assert!(!says_something(name), "{name}");
        }
    }

    #[test]
    fn two_characters_in_common_support_a_name_without_blanks() {
        let space = journey(&["宇宙戦争の歴史", "宇宙を旅する", "月面基地"], &[]);
        assert!(is_grounded("宇宙の物語", &space));
        assert!(!is_grounded(
            "海の生き物を旅する",
            &journey(&["山を登る", "森を登る"], &[])
        ));
        assert!(is_grounded(
            "한국의 요리",
            &journey(&["한국은 어디", "한국에서"], &[])
        ));
        assert!(!is_grounded("料理の基本", &space));
        assert!(is_grounded("宇宙の物語", &journey(&["x", "y"], &["宇 宙"])));
    }

    #[test]
    fn a_name_without_any_evidence_is_not_grounded() {
        assert!(!is_grounded("Ukulele", &journey(&[], &[])));
    }
}
