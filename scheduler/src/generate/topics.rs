//! What items are about, and which of them are popular.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand_distr::weighted::WeightedAliasIndex;

use super::Parameters;
use super::random::{Stream, rng};
use super::ranks::Ranks;
use super::words::Word;

/// Exponent of the sizes of topics: the k-th has items in proportion to `k^-0.8`. Of a million items
/// in ten thousand topics, the largest has 37,000 and the smallest about two dozen.
const SIZE_EXPONENT: f64 = 0.8;

/// Exponent of the popularity of items: the j-th of a topic is drawn in proportion to `1 / j`, Zipf's
/// law. Overall the exponent is about 1 too, and 0.7 among the first few hundred, which are the first ones
/// of large topics. Since nobody takes up an item twice, histories have less of what is popular: there it
/// is from 0.5 (the first hundred) to 0.7.
const POPULARITY_EXPONENT: f64 = 1.0;

/// Exponent of the frequencies of the words of a topic: Zipf's law.
const WORD_EXPONENT: f64 = 1.0;

/// Exponent of the frequencies of words that all topics share. Below 1, because the most frequent words
/// of a language are those that no term is made of.
const GENERAL_WORD_EXPONENT: f64 = 0.8;

/// Topics for the square root of the number of items, since what a catalogue is about grows with it,
/// and more slowly: ten thousand for a million items.
const TOPICS_PER_ROOT: f64 = 10.0;

/// Items of a topic in the mean, at least, so that topics of small catalogues are not of single items.
const ITEMS_PER_TOPIC: u32 = 20;

/// Words of a topic: so many, and so many more for the square root of the number of its items, as
/// the vocabularies of growing texts do (Heaps' law).
const WORDS: f64 = 24.0;
const WORDS_PER_ROOT: f64 = 2.0;

/// The topics of a catalogue, each with its items and words. Takes 4 bytes for each item.
#[derive(Debug)]
pub(super) struct Topics {
    topics: Vec<Topic>,
    /// The numbers of all items by topic; those of one topic from the most popular on.
    items: Vec<u32>,
    popularity: WeightedAliasIndex<f64>,
    general_words: Ranks,
}

/// What items are about.
#[derive(Clone, Copy, Debug)]
struct Topic {
    /// Place of its most popular item.
    first_item: u32,
    items: u32,
    popularity: Ranks,
    /// Number of its most frequent word.
    first_word: u32,
    words: Ranks,
}

impl Topics {
    /// The topics of the catalogue of a population.
    pub fn new(parameters: &Parameters) -> Topics {
        let &Parameters { items, seed, .. } = parameters;
        let count = number_of_topics(items);
        let sizes = sizes(items);
        let topic_of: Vec<u32> = (0..items)
            .map(|item| rng(seed, Stream::Item, item).sample(sizes))
            .collect();
        let mut of_topic = vec![0; count as usize];
        for &topic in &topic_of {
            of_topic[topic as usize] += 1;
        }
        let topics = topics(&of_topic);
        let items = by_topic(&topic_of, &topics, seed);
        let masses = (1..=count).zip(&of_topic).map(|(k, &items)| mass(k, items));
        Topics {
            topics,
            items,
            popularity: WeightedAliasIndex::new(masses.collect())
                .expect("some topic has an item, and none less than none"),
            general_words: Ranks::new(Word::GENERAL, GENERAL_WORD_EXPONENT),
        }
    }

    /// How many there are; some may have no item.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// How many items a topic has.
    pub fn items(&self, topic: u32) -> u32 {
        self.topics[topic as usize].items
    }

    /// A topic that somebody pursues: in proportion to how popular its items are together.
    pub fn draw_topic(&self, rng: &mut StdRng) -> u32 {
        rng.sample(&self.popularity) as u32
    }

    /// An item of a topic that has some, by its popularity there.
    pub fn draw_item(&self, topic: u32, rng: &mut StdRng) -> u32 {
        let topic = &self.topics[topic as usize];
        self.items[(topic.first_item + rng.sample(topic.popularity)) as usize]
    }

    /// A word that only items of this topic have.
    pub fn draw_word(&self, topic: u32, rng: &mut StdRng) -> Word {
        let topic = &self.topics[topic as usize];
        Word::special(topic.first_word + rng.sample(topic.words))
    }

    /// A word that items of any topic have.
    pub fn draw_general_word(&self, rng: &mut StdRng) -> Word {
        Word::general(rng.sample(self.general_words))
    }
}

/// The topics of items: the first thing that an item's own generator draws.
pub(super) fn sizes(items: u32) -> Ranks {
    Ranks::new(number_of_topics(items), SIZE_EXPONENT)
}

fn number_of_topics(items: u32) -> u32 {
    let topics = (f64::from(items).sqrt() * TOPICS_PER_ROOT) as u32;
    topics.min(items / ITEMS_PER_TOPIC).max(1)
}

/// The topics that have so many items each.
fn topics(of_topic: &[u32]) -> Vec<Topic> {
    let (mut first_item, mut first_word) = (0, 0);
    let topic = |&items: &u32| {
        let words = (WORDS + WORDS_PER_ROOT * f64::from(items).sqrt()) as u32;
        let topic = Topic {
            first_item,
            items,
            popularity: Ranks::new(items, POPULARITY_EXPONENT),
            first_word,
            words: Ranks::new(words, WORD_EXPONENT),
        };
        first_item += items;
        first_word += words;
        topic
    };
    of_topic.iter().map(topic).collect()
}

/// The numbers of items by topic, those of each in an order of chance: which are popular has nothing to
/// do with their numbers.
fn by_topic(topic_of: &[u32], topics: &[Topic], seed: u64) -> Vec<u32> {
    let mut items = vec![0; topic_of.len()];
    let mut places: Vec<u32> = topics.iter().map(|topic| topic.first_item).collect();
    for (item, &topic) in (0..).zip(topic_of) {
        let place = &mut places[topic as usize];
        items[*place as usize] = item;
        *place += 1;
    }
    for (number, topic) in (0..).zip(topics) {
        let from = topic.first_item as usize;
        items[from..from + topic.items as usize].shuffle(&mut rng(seed, Stream::Topic, number));
    }
    items
}

/// How popular the items of the k-th topic (from 1) are together.
///
/// If items were popular whatever they are about, every topic would have its even part of popular and of
/// unpopular ones: its j-th would be about the `j k^0.8`-th of all, but for a constant. Drawn with that
/// chance, items that are Zipf in their topics are so overall.
fn mass(k: u32, items: u32) -> f64 {
    let of_first = f64::from(k).powf(-SIZE_EXPONENT * POPULARITY_EXPONENT);
    let of_others = (1..=items).map(|j| f64::from(j).powf(-POPULARITY_EXPONENT));
    of_first * of_others.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    fn topics(items: u32) -> Topics {
        Topics::new(&Parameters {
            items,
            ..Parameters::default()
        })
    }

    #[test]
    fn topics_grow_with_the_square_root_of_the_items_but_have_twenty_in_the_mean() {
        let counts = [1, 1000, 100_000, 1_000_000].map(number_of_topics);
        assert_eq!(counts, [1, 50, 3162, 10_000]);
    }

    #[test]
    fn every_item_is_in_the_topic_that_it_is_about_and_in_no_other() {
        let topics = topics(10_000);
        let mut seen = vec![false; 10_000];
        for (number, topic) in (0..).zip(&topics.topics) {
            let from = topic.first_item as usize;
            for &item in &topics.items[from..from + topic.items as usize] {
                let mut rng = rng(1, Stream::Item, item);
                assert_eq!(rng.sample(sizes(10_000)), number);
                assert!(!std::mem::replace(&mut seen[item as usize], true), "{item}");
            }
        }
        assert!(seen.iter().all(|&seen| seen));
    }

    #[test]
    fn no_two_topics_have_a_word_in_common() {
        let topics = topics(10_000);
        let next = topics.topics.iter().skip(1);
        for (topic, next) in topics.topics.iter().zip(next) {
            let mut rng = rng(1, Stream::Topic, 0);
            let words = topic.first_word..next.first_word;
            assert!(words.len() >= WORDS as usize);
            for _ in 0..100 {
                let word = topic.first_word + rng.sample(topic.words);
                assert!(words.contains(&word), "{word} of {words:?}");
            }
        }
    }

    #[test]
    fn sizes_of_topics_fall_by_zipfs_law() {
        let topics = topics(200_000);
        let items = |topics: &[Topic]| topics.iter().map(|topic| topic.items).sum::<u32>();
        // Ten times the ranks have ten to the power of 0.8 times fewer items each.
        let (first, later) = (
            items(&topics.topics[10..20]),
            items(&topics.topics[100..200]),
        );
        let slope = (f64::from(first) / (f64::from(later) / 10.0)).log10();
        assert!((slope - SIZE_EXPONENT).abs() < 0.05, "{slope}");
    }

    /// How steeply counts fall, by rank (from 1) in a log-log plot.
    fn slope(counts: &[u32], ranks: Range<usize>) -> f64 {
        let (first, last) = (counts[ranks.start - 1], counts[ranks.end - 1]);
        (f64::from(first) / f64::from(last)).ln() / (ranks.end as f64 / ranks.start as f64).ln()
    }

    #[test]
    fn popularity_is_zipf_in_a_topic_and_nearly_so_overall() {
        const ITEMS: u32 = 20_000;
        let topics = topics(ITEMS);
        let mut rng = rng(1, Stream::User, 0);
        let mut overall = vec![0_u32; ITEMS as usize];
        let mut largest = overall.clone();
        for _ in 0..1_000_000 {
            largest[topics.draw_item(0, &mut rng) as usize] += 1;
            let topic = topics.draw_topic(&mut rng);
            overall[topics.draw_item(topic, &mut rng) as usize] += 1;
        }
        for counts in [&mut overall, &mut largest] {
            counts.sort_unstable_by(|a, b| b.cmp(a));
        }
        for ranks in [1..10, 10..100, 100..1000] {
            let slope = slope(&largest, ranks.clone());
            assert!((0.93..1.07).contains(&slope), "{slope} in {ranks:?}");
        }
        for ranks in [10..100, 100..1000, 1000..10_000] {
            let slope = slope(&overall, ranks.clone());
            assert!((0.6..1.1).contains(&slope), "{slope} in {ranks:?}");
        }
    }
}
