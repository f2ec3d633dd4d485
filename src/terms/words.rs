//! Cutting clean text into words: where each starts and ends.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Longest word, in characters; what is longer is a key, a hash or a line of code.
const WORD_CHARACTERS: usize = 40;

/// The words of a clean text in their order, as byte ranges.
///
/// Words are those of UAX #29, with these differences:
/// - where the script writes no spaces (Han, Hiragana, Thai, Lao, Khmer, Myanmar), overlapping
///   pairs of characters; Katakana, which writes loan words and which UAX #29 keeps in one piece,
///   and Korean, which writes spaces, stay words;
/// - words that only an underscore, a colon, or a full stop without its space holds together are
///   taken apart (`snake_case`, `key:value`, `end.Start`);
/// - possessive endings and elided articles are left out (`child's`, `l'amour`);
/// - a sign that belongs to the name stays on it (`C++`, `C#`);
/// - numbers, quantities and single letters are no words.
pub(crate) fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut run = Run::default();
    for (start, word) in text.unicode_word_indices() {
        if word.chars().next().is_some_and(is_unspaced) {
            run.push(start..start + word.len(), text, &mut words);
            continue;
        }
        run.flush(text, &mut words);
        // A mark makes one segment with whatever it stands on, a blank for instance.
        let letters = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        let start = start + word.len() - letters.len();
        for part in parts(letters) {
            let part = trim(text, start + part.start..start + part.end);
            if is_word(&text[part.clone()]) {
                words.push(part);
            }
        }
    }
    run.flush(text, &mut words);
    words
}

/// Whether two words next to each other in [`words`] are neighbours in the text: nothing but
/// blanks or a tight hyphen between them, no stop word, number or punctuation.
pub(super) fn are_neighbours(text: &str, left: &Range<usize>, right: &Range<usize>) -> bool {
    let Some(gap) = text.get(left.end..right.start) else {
        return false; // pairs of characters overlap
    };
    matches!(gap, "-" | "\u{2010}" | "_")
        || (!gap.is_empty() && gap.chars().all(|c| c.is_whitespace() && c != '\n'))
}

/// Characters without spaces between words that follow each other directly.
#[derive(Default)]
struct Run {
    characters: Vec<Range<usize>>,
}

impl Run {
    fn push(&mut self, character: Range<usize>, text: &str, words: &mut Vec<Range<usize>>) {
        if self
            .characters
            .last()
            .is_some_and(|last| last.end != character.start)
        {
            self.flush(text, words);
        }
        self.characters.push(character);
    }

    fn flush(&mut self, text: &str, words: &mut Vec<Range<usize>>) {
        match self.characters.as_slice() {
            [] => {}
            // A lone ideograph is a word; a lone syllable is a particle.
            [only] => {
                if text[only.clone()].chars().next().is_some_and(is_ideograph) {
                    words.push(only.clone());
                }
            }
            characters => {
                words.extend(characters.windows(2).map(|pair| pair[0].start..pair[1].end));
            }
        }
        self.characters.clear();
    }
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '々' | '〇' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

fn is_unspaced(c: char) -> bool {
    is_ideograph(c)
        || matches!(c,
            '\u{3041}'..='\u{309f}' // Hiragana
            | '\u{0e00}'..='\u{0eff}' // Thai, Lao
            | '\u{1000}'..='\u{109f}' // Myanmar
            | '\u{1780}'..='\u{17ff}' // Khmer
        )
}

/// The parts of a word of UAX #29 that are words to a reader.
fn parts(word: &str) -> impl Iterator<Item = Range<usize>> {
    let mut cuts = Vec::new();
    if word.contains(['_', ':', '.']) {
        let mut before = ' ';
        let mut characters = word.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let after = characters.peek().map_or(' ', |&(_, c)| c);
            if matches!(c, '_' | ':') || (c == '.' && before.is_lowercase() && after.is_uppercase())
            {
                cuts.push(at);
            }
            before = c;
        }
    }
    let length = word.len();
    let mut start = 0;
    cuts.into_iter().chain([length]).map(move |cut| {
        let part = start..cut;
        start = cut + 1; // all of the characters that are cut out are one byte long
        part
    })
}

/// The word without possessive ending and elided article, and with the sign that belongs to it.
fn trim(text: &str, word: Range<usize>) -> Range<usize> {
    /// Articles and the like that lose their vowel in French, Italian and Catalan.
    const ELIDED: [&str; 16] = [
        "l", "d", "j", "m", "n", "s", "t", "c", "qu", "un", "dell", "all", "dall", "nell", "sull",
        "quest",
    ];
    let Range { mut start, mut end } = word;
    let written = &text[start..end];
    if let Some(owner) = written
        .strip_suffix("'s")
        .or_else(|| written.strip_suffix("'S"))
    {
        end = start + owner.len();
    } else if let Some((article, noun)) = written.split_once('\'')
        && noun.chars().count() > 2
        && ELIDED
            .iter()
            .any(|elided| article.eq_ignore_ascii_case(elided))
    {
        start = end - noun.len();
    }
    let signs = if text[end..].starts_with("++") {
        2
    } else {
        usize::from(end - start == 1 && text[end..].starts_with('#'))
    };
    let stands_alone = !text[end + signs..].starts_with(|c: char| c.is_alphanumeric());
    if signs > 0 && stands_alone && text[start..end].chars().all(char::is_alphabetic) {
        end += signs;
    }
    start..end
}

fn is_word(word: &str) -> bool {
    let mut characters = 0;
    let mut letters = 0;
    for c in word.chars() {
        characters += 1;
        letters += usize::from(c.is_alphabetic());
    }
    letters > 0 && (2..=WORD_CHARACTERS).contains(&characters) && !is_quantity(word)
}

/// `22nd`, `19th`, `30cm`, `1.5GB`, `10x`: numbers, whatever they end in. Not `3D`, `4K`, `5G` and
/// `1980s`, which people follow.
fn is_quantity(word: &str) -> bool {
    const ENDINGS: [&str; 20] = [
        "st", "nd", "rd", "th", "b", "cm", "gb", "hz", "kb", "kg", "km", "m", "mb", "mg", "ml",
        "mm", "ms", "px", "tb", "x",
    ];
    let ending = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
    ending.len() < word.len() && ENDINGS.iter().any(|unit| ending.eq_ignore_ascii_case(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        words(text).into_iter().map(|word| &text[word]).collect()
    }

    #[test]
    fn numbers_quantities_and_single_letters_are_no_words() {
        assert_eq!(
            cut("a 19th plan 9 from 1,000 3.5 x 30cm 10x 1.5GB mp3 1980s 3D"),
            ["plan", "from", "mp3", "1980s", "3D"]
        );
    }

    #[test]
    fn names_of_languages_keep_their_signs() {
        assert_eq!(
            cut("C++ and C#, not C+ or A#b"),
            ["C++", "and", "C#", "not", "or"]
        );
    }

    #[test]
    fn names_with_dots_stay_whole_and_missing_spaces_are_seen() {
        assert_eq!(
            cut("Node.js works.Then key:value snake_case"),
            ["Node.js", "works", "Then", "key", "value", "snake", "case"]
        );
    }

    #[test]
    fn possessives_and_elided_articles_are_left_out() {
        assert_eq!(
            cut("child's l'amour dell'arte O'Brien"),
            ["child", "amour", "arte", "O'Brien"]
        );
    }

    #[test]
    fn han_and_hiragana_are_cut_into_overlapping_pairs() {
        assert_eq!(
            cut("機械学習の本"),
            ["機械", "械学", "学習", "習の", "の本"]
        );
        assert_eq!(cut("猫"), ["猫"]);
        assert_eq!(cut("の"), Vec::<&str>::new());
    }

    #[test]
    fn katakana_and_korean_stay_words() {
        assert_eq!(cut("東京タワー"), ["東京", "タワー"]);
        assert_eq!(cut("한국 요리"), ["한국", "요리"]);
    }

    #[test]
    fn thai_is_cut_between_characters_never_inside_one() {
        let text = "อาหารไทย";
        let pairs = cut(text);
        assert!(pairs.len() >= 3, "{pairs:?}");
        assert!(
            pairs
                .windows(2)
                .all(|pair| pair[0].chars().last() == pair[1].chars().next()
                    || pair[0].chars().count() > 2
                    || pair[1].chars().count() > 2),
            "{pairs:?}"
        );
    }

    #[test]
    fn only_blanks_and_tight_hyphens_make_neighbours() {
        let neighbours = |text: &str| {
            let words = words(text);
            are_neighbours(text, &words[0], &words[1])
        };
        assert!(neighbours("deep learning"));
        assert!(neighbours("sci-fi"));
        assert!(neighbours("deep  learning"));
        for apart in [
            "deep, learning",
            "deep - learning",
            "deep\nlearning",
            "deep 3 learning",
            "deep/learning",
        ] {
            assert!(!neighbours(apart), "{apart}");
        }
        assert!(!neighbours("機械学"));
    }
}
