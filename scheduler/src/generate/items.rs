//! Items: what they are called, and what is said about them.

use std::ops::RangeInclusive;

use rand::RngExt;
use rand::rngs::StdRng;

use super::Parameters;
use super::random::{Stream, rng};
use super::topics::{Topics, sizes};
use super::words::Word;

const TITLE_WORDS: RangeInclusive<usize> = 3..=6;
const DESCRIPTION_WORDS: RangeInclusive<usize> = 6..=12;
const TAGS: RangeInclusive<usize> = 1..=3;

/// Share of the words of a title, and of a description, that are of the item's topic. With these, an
/// item has 14 terms in the mean, and more often than not a user's interests are found as journeys.
const SPECIAL_IN_TITLES: f64 = 0.5;
const SPECIAL_IN_DESCRIPTIONS: f64 = 1.0 / 3.0;

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Number of its topic.
    pub topic: u32,
    /// A few words, half of them of the topic.
    pub title: String,
    /// A sentence, a third of whose words are of the topic.
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::generate::Population;

    fn items() -> Vec<Item> {
        let parameters = Parameters {
            users: 1,
            items_per_user: 1,
            items: 5000,
            seed: 1,
        };
        let population = Population::new(parameters).unwrap();
        (0..parameters.items)
            .map(|number| population.item(number))
            .collect()
    }

    fn words(item: &Item) -> HashSet<String> {
        let text = format!("{} {}", item.title, item.description).to_lowercase();
        let words = text.split([' ', '.']).filter(|word| !word.is_empty());
        words.map(str::to_owned).chain(item.tags.clone()).collect()
    }

    #[test]
    fn titles_descriptions_and_tags_have_as_many_words_as_they_may() {
        for item in items() {
            assert!(
                TITLE_WORDS.contains(&item.title.split(' ').count()),
                "{item:?}"
            );
            let words = item.description.split(' ').count();
            assert!(DESCRIPTION_WORDS.contains(&words), "{item:?}");
            assert!(item.description.ends_with('.'));
            let tags: HashSet<&String> = item.tags.iter().collect();
            assert!(
                TAGS.contains(&tags.len()) && tags.len() == item.tags.len(),
                "{item:?}"
            );
        }
    }

    #[test]
    fn items_share_long_words_within_their_topic_and_short_ones_with_all() {
        let items = items();
        let most = items.iter().map(|item| item.topic).max().unwrap();
        let mut of_topics: Vec<HashSet<String>> = vec![HashSet::new(); most as usize + 1];
        for item in &items {
            of_topics[item.topic as usize].extend(words(item));
        }
        let shared = |topic: usize| of_topics[0].intersection(&of_topics[topic]);
        let lengths: HashSet<usize> = (1..10).flat_map(shared).map(String::len).collect();
        assert_eq!(lengths, HashSet::from([4]));
        let lengths: HashSet<usize> = of_topics[0].iter().map(String::len).collect();
        assert_eq!(lengths, HashSet::from([4, 8]));
    }
}
