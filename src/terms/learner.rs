//! Learning which terms are relevant, from a catalogue and from what users took up one after the other.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::analyser::FIELDS;
use super::evidence::evidence;
use super::relevance::{Belonging, CoOccurrence, Described, Example, Relevance};
use super::salience::{Learned, formula};
use super::{
    Analyser, Analysis, Evidence, Field, Salience, SalienceParams, TermId, TermVector, Vocabulary,
};
use crate::item::{Item, ItemIndex};

/// Terms of an item that are looked at, the heaviest: a few long texts must not take the memory.
const MOST_TERMS: usize = 64;

/// Transitions that examples are made of, and items whose fields are: more examples change nothing.
const TRANSITIONS: usize = 8_192;
const ITEMS: u64 = 1_024;

/// How many negative samples everything has at most; there are as many as make as many shared terms as
/// belonging together does.
const NEGATIVE_SAMPLES: usize = 64;

/// Most examples of each thing that belongs together: thinned out beyond.
const MOST_EXAMPLES: usize = 1 << 17;

/// Two different items that a user took up one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The earlier one.
    pub from: ItemIndex,
    /// The later one.
    pub to: ItemIndex,
    /// In which of two parts of the users it was seen. How terms co-occur in one tells how much that is
    /// worth in the other.
    pub fold: Fold,
}

/// A part of the users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// In which co-occurrence is counted.
    Counted,
    /// From which examples are made.
    Exemplary,
}

/// Looks at all items of a catalogue, and learns which of their terms are relevant: those that an item
/// shares with what the same users took up next, and those of which its other fields say the same.
pub struct SalienceLearner<'v> {
    params: SalienceParams,
    vocabulary: &'v Vocabulary,
    analyser: Analyser,
    transitions: Vec<Transition>,
    /// Those that examples are made of.
    exemplary: Vec<Transition>,
    /// Items in transitions, and items that exemplary ones start from.
    in_transitions: HashSet<u32>,
    starts: HashSet<u32>,
    /// Of this many items the fields of one are looked at.
    every: u64,
    seen: u64,
    /// Terms of the items in transitions, ascending.
    terms: HashMap<u32, Box<[TermId]>>,
    texts: HashMap<u32, Text>,
    by_field: [Vec<Told>; FIELDS],
}

/// The terms of an item or of a part of it, in ascending order.
type Text = Box<[(TermId, Described)]>;

/// What one field of an item says, and what all others say.
struct Told {
    field: Box<[TermId]>,
    others: Text,
}

/// What is wanted of one item.
#[derive(Default)]
struct Looked {
    terms: Option<Box<[TermId]>>,
    text: Option<Text>,
    told: Vec<(Field, Told)>,
}

impl<'v> SalienceLearner<'v> {
    /// A learner for the items that the vocabulary was counted in.
    pub fn new(
        params: &SalienceParams,
        vocabulary: &'v Vocabulary,
        transitions: Vec<Transition>,
    ) -> SalienceLearner<'v> {
        let of_fold = transitions.iter().filter(|t| t.fold == Fold::Exemplary);
        let exemplary: Vec<Transition> = of_fold.copied().collect();
        let step = exemplary.len().div_ceil(TRANSITIONS).max(1);
        let exemplary: Vec<Transition> = exemplary.into_iter().step_by(step).collect();
        let both = |t: &Transition| [t.from.0, t.to.0];
        SalienceLearner {
            params: params.clone(),
            vocabulary,
            analyser: Analyser::new(params),
            in_transitions: transitions.iter().flat_map(both).collect(),
            starts: exemplary
                .iter()
                .map(|transition| transition.from.0)
                .collect(),
            transitions,
            exemplary,
            every: vocabulary.stats().items.div_ceil(ITEMS).max(1),
            seen: 0,
            terms: HashMap::new(),
            texts: HashMap::new(),
            by_field: Default::default(),
        }
    }

    /// Looks at the next items of the catalogue, in its order.
    pub fn add(&mut self, batch: &[Item]) {
        let first = self.seen;
        self.seen += batch.len() as u64;
        let look = |(at, item): (usize, &Item)| self.look(first + at as u64, item);
        let looked: Vec<Looked> = batch.par_iter().enumerate().map(look).collect();
        for (at, looked) in (first as u32..).zip(looked) {
            self.terms.extend(looked.terms.map(|terms| (at, terms)));
            self.texts.extend(looked.text.map(|text| (at, text)));
            for (field, told) in looked.told {
                self.by_field[field as usize].push(told);
            }
        }
    }

    fn look(&self, at: u64, item: &Item) -> Looked {
        let mut looked = Looked::default();
        // Positions of items are u32 everywhere; the catalogue refuses more.
        let index = at as u32;
        let counted = self.in_transitions.contains(&index);
        let sampled = at.is_multiple_of(self.every);
        if !counted && !sampled {
            return looked;
        }
        let analysis = self.analyser.analyse(item);
        if counted {
            let text = self.text(&analysis, None);
            looked.terms = Some(text.iter().map(|&(term, _)| term).collect());
            looked.text = self.starts.contains(&index).then_some(text);
        }
        if sampled {
            for field in Field::ALL {
                let told = Told {
                    field: self.of_field(&analysis, field),
                    others: self.text(&analysis, Some(field)),
                };
                if !told.field.is_empty() && !told.others.is_empty() {
                    looked.told.push((field, told));
                }
            }
        }
        looked
    }

    fn evidence(&self, analysis: &Analysis, without: Option<Field>) -> Vec<(TermId, Evidence)> {
        evidence(analysis, self.vocabulary, self.params.language, without)
    }

    /// The heaviest terms.
    fn text(&self, analysis: &Analysis, without: Option<Field>) -> Text {
        let text = self.evidence(analysis, without);
        let weights = text
            .iter()
            .map(|(term, evidence)| (*term, formula(evidence, &self.params)));
        let heaviest = TermVector::from_weights(weights.collect(), MOST_TERMS);
        let mut heaviest: Vec<TermId> = heaviest.terms().iter().map(|&(term, _)| term).collect();
        heaviest.sort_unstable();
        text.iter()
            .filter(|(term, _)| heaviest.binary_search(term).is_ok())
            .map(|(term, evidence)| (*term, Described::of(evidence)))
            .collect()
    }

    fn of_field(&self, analysis: &Analysis, field: Field) -> Box<[TermId]> {
        let text = self.evidence(analysis, None);
        text.iter()
            .filter(|(_, evidence)| evidence.occurrences[field as usize] > 0)
            .map(|&(term, _)| term)
            .collect()
    }

    /// What was learned, or the formula alone where there was too little to learn from.
    pub fn finish(self) -> Salience {
        match Relevance::learned(&self.examples()) {
            None => Salience::formula(&self.params),
            Some(relevance) => {
                let learned = Learned {
                    relevance,
                    co_occurrences: self.co_occurrences(|_| true),
                };
                Salience::learned(&self.params, learned)
            }
        }
    }

    fn examples(&self) -> Vec<Example> {
        let counted = self.co_occurrences(|transition| transition.fold == Fold::Counted);
        let mut examples = Vec::new();
        let pairs = self.exemplary.iter().filter_map(|transition| {
            Some(Pair {
                item: transition.from.0,
                text: self.texts.get(&transition.from.0)?,
                other: transition.to.0,
                terms: self.terms_of(transition.to),
            })
        });
        compare(
            &pairs.collect::<Vec<_>>(),
            Belonging::Next,
            &counted,
            &mut examples,
        );
        for (field, told) in Field::ALL.into_iter().zip(&self.by_field) {
            let pairs = (0..).zip(told).map(|(item, told)| Pair {
                item,
                text: &told.others,
                other: item,
                terms: &told.field,
            });
            let belonging = Belonging::Field(field);
            compare(
                &pairs.collect::<Vec<_>>(),
                belonging,
                &counted,
                &mut examples,
            );
        }
        examples
    }

    /// How each term co-occurs in some of the transitions; empty without any.
    fn co_occurrences(&self, counts: impl Fn(&Transition) -> bool) -> Vec<CoOccurrence> {
        let transitions: Vec<&Transition> =
            self.transitions.iter().filter(|&t| counts(t)).collect();
        if transitions.is_empty() {
            return Vec::new();
        }
        let mut terms = vec![TermCounts::default(); self.vocabulary.len()];
        let mut items: HashMap<ItemIndex, [u64; 2]> = HashMap::new();
        for transition in &transitions {
            let earlier = self.terms_of(transition.from);
            for term in earlier {
                terms[term.position()].from += 1;
            }
            for term in self.terms_of(transition.to) {
                let counts = &mut terms[term.position()];
                counts.to += 1;
                counts.together += u32::from(earlier.binary_search(term).is_ok());
            }
            items.entry(transition.from).or_default()[0] += 1;
            items.entry(transition.to).or_default()[1] += 1;
        }
        // Nobody goes on from an item to itself, so chance does not either.
        for (item, [from, to]) in items {
            for term in self.terms_of(item) {
                terms[term.position()].with_itself += from * to;
            }
        }
        let number = transitions.len() as f64;
        let of_counts = |counts: TermCounts| CoOccurrence {
            observed: f64::from(counts.together),
            expected: (u64::from(counts.from) * u64::from(counts.to) - counts.with_itself) as f64
                / number,
        };
        terms.into_iter().map(of_counts).collect()
    }

    fn terms_of(&self, item: ItemIndex) -> &[TermId] {
        self.terms.get(&item.0).map_or(&[], |terms| terms)
    }
}

/// In how many transitions an item with the term is left, come to, and both; and how many pairs of those
/// left and those come to are of an item with itself.
#[derive(Clone, Copy, Default)]
struct TermCounts {
    from: u32,
    to: u32,
    together: u32,
    with_itself: u64,
}

/// The text of an item, and the terms of what belongs to it.
struct Pair<'a> {
    item: u32,
    text: &'a [(TermId, Described)],
    other: u32,
    terms: &'a [TermId],
}

/// Adds examples from each item with what belongs to it, and about as many from items with what belongs
/// to others.
fn compare(
    pairs: &[Pair<'_>],
    belonging: Belonging,
    counted: &[CoOccurrence],
    examples: &mut Vec<Example>,
) {
    // Too few to be put together in other ways.
    if pairs.len() <= NEGATIVE_SAMPLES {
        return;
    }
    let start = examples.len();
    let mut add = |at: usize, partner: usize| {
        let (pair, partner) = (&pairs[at], &pairs[partner]);
        let belongs = std::ptr::eq(pair, partner);
        if !belongs && (partner.other == pair.item || partner.other == pair.other) {
            return 0;
        }
        let before = examples.len();
        let shared = shared(pair.text, partner.terms);
        examples.extend(shared.map(|&(term, described)| Example {
            belonging,
            described,
            co_occurrence: counted.get(term.position()).copied().unwrap_or_default(),
            belongs,
        }));
        examples.len() - before
    };
    let positive: usize = (0..pairs.len()).map(|at| add(at, at)).sum();
    let mut negative = 0;
    for sample in 1..=NEGATIVE_SAMPLES {
        if negative >= positive {
            break;
        }
        // From far away: items with ids in a row are often of one kind.
        let away = (sample * pairs.len()).div_ceil(NEGATIVE_SAMPLES + 1);
        let added = (0..pairs.len()).map(|at| add(at, (at + away) % pairs.len()));
        negative += added.sum::<usize>();
    }
    let step = (positive + negative).div_ceil(MOST_EXAMPLES).max(1);
    let kept: Vec<Example> = examples.drain(start..).step_by(step).collect();
    examples.extend(kept);
}

/// The terms of a text that stand among these.
fn shared<'a>(
    text: &'a [(TermId, Described)],
    others: &'a [TermId],
) -> impl Iterator<Item = &'a (TermId, Described)> {
    text.iter()
        .filter(|(term, _)| others.binary_search(term).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::VocabularyCounter;

    const ITEMS_OF_A_SUBJECT: usize = 20;
    const SUBJECTS: usize = 20;

    fn subject(item: usize) -> String {
        format!("subj{}q", letter(item % SUBJECTS))
    }

    /// One of as many words, in as many items, that has nothing to do with the subject.
    fn noise(item: usize) -> String {
        format!("nois{}q", letter(scattered(item) % SUBJECTS))
    }

    fn letter(at: usize) -> char {
        char::from(b'a' + at as u8)
    }

    fn scattered(at: usize) -> usize {
        (xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) >> 8) as usize
    }

    fn fold(number: usize) -> Fold {
        [Fold::Counted, Fold::Exemplary][number % 2]
    }

    fn items(describe: impl Fn(usize, &mut Item)) -> Vec<Item> {
        let item = |at| {
            let mut item = Item {
                id: format!("{at:04}"),
                ..Item::default()
            };
            describe(at, &mut item);
            item
        };
        (0..SUBJECTS * ITEMS_OF_A_SUBJECT).map(item).collect()
    }

    fn count(items: &[Item]) -> Vocabulary {
        let params = SalienceParams::default();
        let scratch = tempfile::tempdir().unwrap();
        let mut counter = VocabularyCounter::new(&params, 0, scratch.path()).unwrap();
        counter.add(items).unwrap();
        counter.finish().unwrap()
    }

    fn learned(items: &[Item], transitions: &[Transition], batch: usize) -> (Vocabulary, Salience) {
        let vocabulary = count(items);
        let params = SalienceParams::default();
        let mut learner = SalienceLearner::new(&params, &vocabulary, transitions.to_vec());
        items.chunks(batch).for_each(|batch| learner.add(batch));
        let salience = learner.finish();
        (vocabulary, salience)
    }

    /// How much heavier the subject of an item is than its noise.
    fn lead(items: &[Item], vocabulary: &Vocabulary, salience: &Salience, item: usize) -> f32 {
        let analysis = Analyser::new(salience.params()).analyse(&items[item]);
        let vector = TermVector::of(&analysis, vocabulary, salience);
        let weight = |stem: &str| {
            let found = vector
                .terms()
                .iter()
                .find(|(term, _)| vocabulary.term(*term) == stem);
            found.map_or(0.0, |&(_, weight)| weight)
        };
        weight(&subject(item)) / weight(&noise(item))
    }

    #[test]
    fn a_term_that_users_go_on_with_weighs_more_than_one_that_they_do_not() {
        let items = items(|at, item| item.title = format!("{} {}", noise(at), subject(at)));
        let (vocabulary, formula) = learned(&items, &[], 100);
        assert_eq!(formula.coefficients(), None, "one field alone says nothing");
        let lead_of = |vocabulary, salience| lead(&items, vocabulary, salience, 77);
        let before = lead_of(&vocabulary, &formula);

        // From each item to another one of its subject.
        let indices = 0..items.len();
        let transition = |from: usize| Transition {
            from: ItemIndex(from as u32),
            to: ItemIndex(((from + SUBJECTS * (1 + scattered(from) % 19)) % items.len()) as u32),
            fold: fold(scattered(from + items.len())),
        };
        let transitions: Vec<Transition> = indices.map(transition).collect();
        let (vocabulary, salience) = learned(&items, &transitions, 100);
        let after = lead_of(&vocabulary, &salience);
        assert!(after > 1.5 * before, "{before}, {after}");
        let (_, in_one) = learned(&items, &transitions, items.len());
        assert_eq!(in_one.coefficients(), salience.coefficients());
    }

    #[test]
    fn what_other_fields_say_too_is_relevant() {
        // What comes first is the subject, and what the title says too.
        let witnesses: [fn(usize, &mut Item); 3] = [
            |at, item| item.tags = vec![subject(at), noise(at + 1000)],
            |at, item| item.queries = vec![subject(at), noise(at + 1000)],
            |at, item| item.description = format!("{}, {}", subject(at), noise(at + 1000)),
        ];
        for witness in witnesses {
            let items = items(|at, item| {
                item.title = subject(at);
                if at % 2 == 0 {
                    item.title += &format!(", {}", noise(at));
                }
                witness(at, item);
            });
            let (vocabulary, salience) = learned(&items, &[], 64);
            let lead_of = |salience| lead(&items, &vocabulary, salience, 78);
            let formula = Salience::formula(salience.params());
            assert!(salience.coefficients().is_some());
            assert!(
                lead_of(&salience) > 1.05 * lead_of(&formula),
                "{:?}",
                salience.coefficients()
            );
        }
    }

    #[test]
    fn an_item_that_everybody_takes_up_is_no_sample_of_chance_for_itself() {
        // Half of all transitions start from the first item, half lead to it.
        let items = items(|at, item| item.title = format!("{}, {}", subject(at), noise(at)));
        let transition = |at: usize| {
            let other = ItemIndex(1 + at as u32);
            let (from, to) = match at % 2 {
                0 => (ItemIndex(0), other),
                _ => (other, ItemIndex(0)),
            };
            Transition {
                from,
                to,
                fold: fold(at / 2),
            }
        };
        let transitions: Vec<Transition> = (0..items.len() - 1).map(transition).collect();
        let vocabulary = count(&items);
        let params = SalienceParams::default();
        let mut learner = SalienceLearner::new(&params, &vocabulary, transitions);
        learner.add(&items);
        let counts = learner.co_occurrences(|_| true);
        let subject = vocabulary.find(&subject(0)).unwrap();
        let CoOccurrence { observed, expected } = counts[subject.position()];
        assert_eq!(observed, 19.0, "the other items of its subject");
        assert!(
            expected < 25.0,
            "{expected}, and not the hundred of the item with itself"
        );
    }

    #[test]
    fn nothing_is_learned_from_a_few_items() {
        let few = |at, item: &mut Item| {
            item.title = subject(at);
            if at % 7 == 0 {
                item.description = format!("{} {}", subject(at), noise(at));
            }
        };
        let items: Vec<Item> = items(few).into_iter().take(70).collect();
        let transitions = (0..69).map(|at| Transition {
            from: ItemIndex(at),
            to: ItemIndex(at + 1),
            fold: fold(at as usize),
        });
        let (_, salience) = learned(&items, &transitions.collect::<Vec<_>>(), 10);
        assert_eq!(salience.coefficients(), None);
    }
}
