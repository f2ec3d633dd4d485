//! What capitals say: a name, the start of a sentence, or nothing.

/// Capitals for each small letter above which a text is taken to be in capitals throughout, units
/// and the like aside ("BAG 250g SWIRLY MARBLES").
const SHOUTING: usize = 8;

/// The text in lower case where it has several words and all of them are in capitals, which then
/// say nothing but make ugly names.
pub(super) fn quiet(text: String) -> String {
    let count = |is: fn(char) -> bool| text.chars().filter(|&c| is(c)).count();
    let shouts = text.trim().contains(char::is_whitespace)
        && count(char::is_uppercase) > SHOUTING * count(char::is_lowercase);
    if shouts { text.to_lowercase() } else { text }
}

/// How a text uses capitals.
#[derive(Default)]
pub(super) struct CaseUse {
    is_used: bool,
    /// Words with a capital, and words without, that are not the first of a sentence.
    capital: usize,
    small: usize,
}

impl CaseUse {
    pub(super) fn note(&mut self, word: &str, is_first: bool) {
        let first = word.chars().next();
        let is_capital = first.is_some_and(char::is_uppercase);
        self.is_used |= is_capital;
        if !is_first {
            self.capital += usize::from(is_capital);
            self.small += usize::from(first.is_some_and(char::is_lowercase));
        }
    }

    /// Whether capitals are a choice: the text has some, and a third or more of its words have
    /// none. "Attack of the Giant Tomatoes" has its capitals by the rules of titles.
    pub(super) fn tells(&self) -> bool {
        self.is_used && 2 * self.small >= self.capital
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_of_several_words_in_capitals_are_quieted() {
        for (text, quieted) in [
            ("WHITE HANGING HEART", "white hanging heart"),
            ("BAG 250g SWIRLY MARBLES", "bag 250g swirly marbles"),
            ("NASA", "NASA"),
            ("AWS EC2 API docs", "AWS EC2 API docs"),
            ("1984", "1984"),
        ] {
            assert_eq!(quiet(text.to_owned()), quieted);
        }
    }
}
