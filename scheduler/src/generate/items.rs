//! Items: what they are called, and what is said about them.

use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::RngExt;

use super::random::{Stream, rng};
use super::topics::{Topics, sizes};
use super::words::Word;
use super::Parameters;

const TITLE_WORDS: RangeInclusive<usize> = 3..=6;
const DESCRIPTION_WORDS: RangeInclusive<usize> = 6..=12;
const TAGS: RangeInclusive<usize> = 1..=3;

/// Share of the words of a title, and of a description, that are of the item's topic.
const SPECIAL_IN_TITLES: f64 = 0.5;
const SPECIAL_IN_DESCRIPTIONS: f64 = 0.25;

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Number of its topic.
    pub topic: u32,
    /// A few words, half of them of the topic.
    pub title: String,
    /// A sentence, a quarter of whose words are of the topic.
    pub description: String,
    /// Words of the topic, each once.
    pub tags: Vec<String>,
}

impl Item {
    /// The item of this number.
    pub(super) fn draw(number: u32, topics: &Topics, parameters: &Parameters) -> Item {
        let mut rng = rng(parameters.seed, Stream::Item, number);
        let topic = rng.sample(sizes(parameters.items));
        let mut words = Words { topic, topics, rng };
        let mut description = words.phrase(DESCRIPTION_WORDS, SPECIAL_IN_DESCRIPTIONS);
        description.push('.');
        Item {
            topic,
            title: words.phrase(TITLE_WORDS, SPECIAL_IN_TITLES),
            description,
            tags: words.tags(),
        }
    }
}

/// The words of one item.
struct Words<'t> {
    topic: u32,
    topics: &'t Topics,
    rng: StdRng,
}

impl Words<'_> {
    /// Different words, with a capital at the beginning.
    fn phrase(&mut self, length: RangeInclusive<usize>, special: f64) -> String {
        let draw = |words: &mut Self| match words.rng.random_bool(special) {
            true => words.topics.draw_word(words.topic, &mut words.rng),
            false => words.topics.draw_general_word(&mut words.rng),
        };
        let mut text = String::new();
        for word in self.different(length, draw) {
            if !text.is_empty() {
                text.push(' ');
            }
            word.write(&mut text);
        }
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        text
    }

    fn tags(&mut self) -> Vec<String> {
        let draw = |words: &mut Self| words.topics.draw_word(words.topic, &mut words.rng);
        let tags = self.different(TAGS, draw);
        tags.into_iter().map(|word| word.to_string()).collect()
    }

    fn different(
        &mut self,
        count: RangeInclusive<usize>,
        mut draw: impl FnMut(&mut Self) -> Word,
    ) -> Vec<Word> {
        let count = self.rng.random_range(count);
        let mut words = Vec::with_capacity(count);
        while words.len() < count {
            let word = draw(self);
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words
    }
}
