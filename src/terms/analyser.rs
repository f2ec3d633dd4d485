//! From an item to its tokens.

use std::collections::HashSet;
use std::ops::Range;

use super::SalienceParams;
use super::boilerplate::Boilerplate;
use super::capitals::{CaseUse, quiet};
use super::stemming::Stemming;
use super::stop_words::{phrase_only, stop_words};
use super::text::clean;
use super::words::{are_neighbours, words};
use crate::item::Item;

/// A part of an item's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the variants are the fields of an item")]
pub enum Field {
    Title,
    Tags,
    Queries,
    Description,
}

/// Number of [`Field`]s.
pub const FIELDS: usize = Field::ALL.len();

impl Field {
    /// All of them, in the order of an item's text.
    pub const ALL: [Field; 4] = [
        Field::Title,
        Field::Tags,
        Field::Queries,
        Field::Description,
    ];
}

/// One occurrence of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// Where it occurs.
    pub field: Field,
    /// The form that is matched.
    pub stem: &'a str,
    /// The form that is written.
    pub surface: &'a str,
    /// Whether its capitals were a choice: not those of a sentence's first word, nor of a text
    /// that has capitals on every word or on none.
    pub case_tells: bool,
    /// Whether it can be a term by itself, not only as a part of a phrase.
    pub stands_alone: bool,
}

/// The tokens of one item, in the order of its text.
#[derive(Debug, Default)]
pub struct Analysis {
    text: String,
    stems: String,
    tokens: Vec<Span>,
}

/// A token, as places in the strings of its analysis.
#[derive(Debug)]
struct Span {
    field: Field,
    stem: Range<u32>,
    surface: Range<u32>,
    case_tells: bool,
    stands_alone: bool,
    follows: bool,
}

impl Analysis {
    /// All tokens.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = Token<'_>> {
        self.tokens.iter().map(|span| self.token(span))
    }

    /// Every two neighbours, with the form in which the pair is written.
    pub fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        self.tokens
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| pair[1].follows)
            .map(|(left, pair)| Pair {
                left,
                first: self.token(&pair[0]),
                second: self.token(&pair[1]),
                between: &self.text[pair[0].surface.end as usize..pair[1].surface.start as usize],
            })
    }

    fn token(&self, span: &Span) -> Token<'_> {
        Token {
            field: span.field,
            stem: &self.stems[span.stem.start as usize..span.stem.end as usize],
            surface: &self.text[span.surface.start as usize..span.surface.end as usize],
            case_tells: span.case_tells,
            stands_alone: span.stands_alone,
        }
    }
}

/// Two neighbouring tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Position of the first among the tokens.
    pub left: usize,
    /// The first.
    pub first: Token<'a>,
    /// The second.
    pub second: Token<'a>,
    between: &'a str,
}

impl Pair<'_> {
    /// What joins the two when the pair is shown: the hyphen that was written, or one space.
    pub fn joint(&self) -> &'static str {
        match self.between {
            "-" | "\u{2010}" => "-",
            _ => " ",
        }
    }
}

/// Cuts items into tokens.
pub struct Analyser {
    stemming: Stemming,
    boilerplate: Boilerplate,
    stop_words: HashSet<&'static str>,
    phrase_only: &'static HashSet<&'static str>,
}

impl Analyser {
    /// An analyser for the language of the parameters.
    pub fn new(params: &SalienceParams) -> Analyser {
        Analyser {
            stemming: Stemming::new(params.language),
            boilerplate: Boilerplate::new(),
            stop_words: stop_words(params.language),
            phrase_only: phrase_only(),
        }
    }

    /// The tokens of an item.
    pub fn analyse(&self, item: &Item) -> Analysis {
        let mut analysis = Analysis::default();
        self.read(&mut analysis, Field::Title, &item.title);
        for tag in &item.tags {
            self.read(&mut analysis, Field::Tags, tag);
        }
        for query in &item.queries {
            self.read(&mut analysis, Field::Queries, query);
        }
        self.read(&mut analysis, Field::Description, &item.description);
        analysis
    }

    /// Appends the tokens of one text. Tokens of two texts are never neighbours.
    fn read(&self, analysis: &mut Analysis, field: Field, text: &str) {
        let text = quiet(clean(text).into_owned());
        let first_token = analysis.tokens.len();
        let offset = analysis.text.len();
        let mut last: Option<Range<usize>> = None;
        let mut case = CaseUse::default();
        let mut sentence_start = true;
        let mut read_to = 0;
        let words: Vec<(Range<usize>, String)> = words(&text)
            .into_iter()
            .map(|word| (word.clone(), text[word].to_lowercase()))
            .collect();
        let mut boilerplate_to = 0;
        for (at, (word, lower)) in words.iter().enumerate() {
            let word = word.clone();
            let between = text.get(read_to..word.start).unwrap_or("");
            sentence_start |= between.contains(ends_sentence);
            let is_first = std::mem::take(&mut sentence_start);
            read_to = word.end;

            let written = &text[word.clone()];
            let length = self.boilerplate.length(&text, &words[at..]);
            boilerplate_to = boilerplate_to.max(at + length);
            if at < boilerplate_to || self.stop_words.contains(lower.as_str()) {
                continue;
            }
            case.note(written, is_first);
            let stem = self.stemming.stem(lower);
            let stem_start = analysis.stems.len();
            analysis.stems.push_str(&stem);
            analysis.tokens.push(Span {
                field,
                stem: stem_start as u32..analysis.stems.len() as u32,
                surface: (offset + word.start) as u32..(offset + word.end) as u32,
                case_tells: !is_first,
                stands_alone: !self.phrase_only.contains(lower.as_str()),
                follows: last.is_some_and(|last| are_neighbours(&text, &last, &word)),
            });
            last = Some(word);
        }
        if !case.tells() {
            for token in &mut analysis.tokens[first_token..] {
                token.case_tells = false;
            }
        }
        analysis.text.push_str(&text);
    }
}

fn ends_sentence(c: char) -> bool {
    matches!(
        c,
        '.' | '!'
            | '?'
            | ':'
            | ';'
            | '\n'
            | '"'
            | '“'
            | '„'
            | '«'
            | '('
            | '['
            | '•'
            | '|'
            | '–'
            | '—'
            | '。'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::terms::Language;

    const LANGUAGES: [Language; 5] = [
        Language::Any,
        Language::English,
        Language::German,
        Language::Russian,
        Language::Turkish,
    ];

    fn analyse(item: &Item) -> Analysis {
        Analyser::new(&SalienceParams::default()).analyse(item)
    }

    fn titled(title: &str) -> Item {
        Item {
            title: title.into(),
            ..Item::default()
        }
    }

    fn pairs(title: &str) -> Vec<String> {
        analyse(&titled(title))
            .pairs()
            .map(|pair| [pair.first.surface, pair.joint(), pair.second.surface].concat())
            .collect()
    }

    #[test]
    fn punctuation_and_stop_words_separate_neighbours() {
        assert_eq!(
            pairs("deep learning for robots, vision; sci-fi films"),
            ["deep learning", "sci-fi", "fi films"]
        );
    }

    #[test]
    fn words_of_two_fields_or_two_tags_are_never_neighbours() {
        let item = Item {
            title: "garden".into(),
            description: "pump".into(),
            tags: vec!["water".into(), "light".into()],
            queries: vec!["soil".into(), "seed".into()],
            ..Item::default()
        };
        let analysis = analyse(&item);
        assert_eq!(analysis.tokens().count(), 6);
        assert_eq!(analysis.pairs().count(), 0);
    }

    #[test]
    fn a_text_in_capitals_throughout_is_read_in_lower_case() {
        let analysis = analyse(&titled("WHITE HANGING HEART T-LIGHT HOLDER"));
        let surfaces: Vec<_> = analysis.tokens().map(|token| token.surface).collect();
        assert_eq!(surfaces, ["white", "hanging", "heart", "light", "holder"]);
        let acronym = analyse(&titled("NASA"));
        assert_eq!(
            acronym.tokens().next().map(|token| token.surface),
            Some("NASA")
        );
    }

    #[test]
    fn a_word_that_says_little_alone_is_a_part_of_phrases_only() {
        let analysis = analyse(&titled("new York theatres"));
        let alone: Vec<_> = analysis.tokens().map(|token| token.stands_alone).collect();
        assert_eq!(alone, [false, true, true]);
        assert_eq!(analysis.pairs().count(), 2);
    }

    #[test]
    fn capitals_tell_only_inside_sentences_that_use_them_sparingly() {
        let told = |title: &str| -> Vec<String> {
            let analysis = analyse(&titled(title));
            analysis
                .tokens()
                .filter(|token| token.case_tells)
                .map(|token| token.surface.to_owned())
                .collect()
        };
        assert_eq!(told("Early films by Hitchcock"), ["films", "Hitchcock"]);
        assert_eq!(told("Baking sourdough bread"), ["sourdough", "bread"]);
        assert!(told("Attack of the Giant Tomatoes").is_empty());
        assert!(told("early films by hitchcock").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_cut_into_words_that_stand_in_it(text in any::<String>(), choice in 0..5usize) {
            let params = SalienceParams { language: LANGUAGES[choice], ..SalienceParams::default() };
            let item = Item { title: text.clone(), description: text.repeat(2), ..Item::default() };
            let analysis = Analyser::new(&params).analyse(&item);
            for token in analysis.tokens() {
                prop_assert!(!token.stem.is_empty() && !token.surface.is_empty());
                prop_assert!(!token.stem.contains(char::is_whitespace) && !token.stem.contains('\0'));
            }
            for pair in analysis.pairs() {
                let is_joint = |c: char| c.is_whitespace() || matches!(c, '-' | '_' | '\u{2010}');
                prop_assert!(pair.between.chars().all(is_joint), "{:?}", pair);
            }
        }
    }
}
