//! Made-up words that can be spoken.

use std::fmt;

const CONSONANTS: &[u8; 14] = b"bdfgklmnprstvz";
const VOWELS: &[u8; 5] = b"aeiou";
/// At the end of a word: no ending that an English stemmer takes off has one of these.
const LAST_VOWELS: &[u8; 3] = b"aou";

/// How many words of `syllables` there are.
const fn count(syllables: u32) -> u64 {
    let syllable = (CONSONANTS.len() * VOWELS.len()) as u64;
    let last = (CONSONANTS.len() * LAST_VOWELS.len()) as u64;
    syllable.pow(syllables - 1) * last
}

/// A prime, which shares no factor with any count of words, so that multiplying by it changes nothing but
/// their order.
const STRIDE: u64 = 2_654_435_761;

/// A word by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    syllables: u32,
    number: u32,
}

impl Word {
    /// How many words there are that all topics share. They are short, as common words are.
    pub const GENERAL: u32 = count(2) as u32;

    /// A word that all topics share.
    pub fn general(number: u32) -> Word {
        Word {
            syllables: 2,
            number,
        }
    }

    /// A word of one topic.
    pub fn special(number: u32) -> Word {
        Word {
            syllables: 4,
            number,
        }
    }

    /// Writes it in small letters. Numbers that follow one another give words that are not alike.
    pub fn write(self, text: &mut String) {
        let mut rest = (u64::from(self.number) + 1) * STRIDE % count(self.syllables);
        let mut digit = |base: usize| {
            let digit = rest % base as u64;
            rest /= base as u64;
            digit as usize
        };
        for left in (0..self.syllables).rev() {
            let vowels: &[u8] = if left == 0 { LAST_VOWELS } else { VOWELS };
            text.push(CONSONANTS[digit(CONSONANTS.len())].into());
            text.push(vowels[digit(vowels.len())].into());
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_has_a_word_of_its_own() {
        let general = (0..Word::GENERAL).map(Word::general);
        let special = (0..100_000).map(Word::special);
        let mut words = HashSet::new();
        for word in general.chain(special) {
            let mut text = String::new();
            word.write(&mut text);
            assert_eq!(text.len(), 2 * word.syllables as usize);
            assert!(words.insert(text), "{word:?}");
        }
    }
}
