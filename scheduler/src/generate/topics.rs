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

/// Exponent of the popularity of items, in a topic and overall: the r-th is drawn in proportion to
/// `r^-0.8`. Since nobody takes up an item twice, the first few of a topic are taken up less often
/// than that. Logs of shops and of video sites have exponents between 0.6 and 1.
const POPULARITY_EXPONENT: f64 = 0.8;

/// Exponent of the frequencies of words: Zipf's law.
const WORD_EXPONENT: f64 = 1.0;

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
            general_words: Ranks::new(Word::GENERAL, WORD_EXPONENT),
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
/// A topic has one in every so many items of the catalogue, wherever one looks in the order of their
/// popularity: its j-th is the `c j k^0.8`-th of all. By that, what is Zipf in a topic is so
/// overall, and with the same exponent.
fn mass(k: u32, items: u32) -> f64 {
    let of_first = f64::from(k).powf(-SIZE_EXPONENT * POPULARITY_EXPONENT);
    let of_others = (1..=items).map(|j| f64::from(j).powf(-POPULARITY_EXPONENT));
    of_first * of_others.sum::<f64>()
}
