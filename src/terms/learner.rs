//! Learning which terms are relevant, from a catalogue and from what users took up one after the other.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::analyser::FIELDS;
use super::evidence::evidence;
use super::relevance::{Belonging, Company, Described, Example, Relevance};
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

/// How often everything is put together with something at random, at most, until chance has brought
/// about as many shared terms as belonging together has.
const ROUNDS: usize = 64;

/// Two items that a user took up one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The earlier one.
    pub from: ItemIndex,
    /// The later one.
    pub to: ItemIndex,
    /// In which half of the users it was seen. What is known of a term's company in one half tells how
    /// much that is worth in the other.
    pub half: bool,
}

/// Looks at all items of a catalogue, and learns which of their terms are relevant: those that an item
/// shares with what the same users took up next, and those of which its other fields say the same.
pub struct SalienceLearner<'v> {
    params: SalienceParams,
    vocabulary: &'v Vocabulary,
    analyser: Analyser,
    transitions: Vec<Transition>,
    /// Those of the second half that examples are made of.
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
        let second: Vec<Transition> = transitions.iter().copied().filter(|t| t.half).collect();
        let step = second.len().div_ceil(TRANSITIONS).max(1);
        let exemplary: Vec<Transition> = second.into_iter().step_by(step).collect();
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
        let company = self.company(|transition| !transition.half);
        let mut examples = Vec::new();
        self.of_transitions(&company, &mut examples);
        self.of_fields(&company, &mut examples);
        let learned = Relevance::learned(&examples).map(|relevance| Learned {
            relevance,
            company: self.company(|_| true),
        });
        Salience::learned(&self.params, learned)
    }

    /// The company of each term in some of the transitions; empty without any.
    fn company(&self, counts: impl Fn(&Transition) -> bool) -> Vec<Company> {
        let mut from = vec![0_u32; self.vocabulary.len()];
        let mut company = vec![Company::default(); self.vocabulary.len()];
        let mut transitions = 0.0;
        for transition in self.transitions.iter().filter(|t| counts(t)) {
            transitions += 1.0;
            let earlier = self.terms_of(transition.from);
            for term in earlier {
                from[term.position()] += 1;
            }
            for term in self.terms_of(transition.to) {
                let company = &mut company[term.position()];
                company.expected += 1.0;
                if earlier.binary_search(term).is_ok() {
                    company.together += 1.0;
                }
            }
        }
        for (company, from) in company.iter_mut().zip(from) {
            company.expected *= f64::from(from) / f64::max(transitions, 1.0);
        }
        company
    }

    fn terms_of(&self, item: ItemIndex) -> &[TermId] {
        self.terms.get(&item.0).map_or(&[], |terms| terms)
    }

    fn of_transitions(&self, company: &[Company], examples: &mut Vec<Example>) {
        let pairs: Vec<(&[(TermId, Described)], &[TermId])> = self
            .exemplary
            .iter()
            .filter_map(|transition| {
                let text = self.texts.get(&transition.from.0)?;
                Some((&**text, self.terms_of(transition.to)))
            })
            .collect();
        compare(&pairs, Belonging::Next, company, examples);
    }

    fn of_fields(&self, company: &[Company], examples: &mut Vec<Example>) {
        for (field, told) in Field::ALL.into_iter().zip(&self.by_field) {
            let pairs: Vec<(&[(TermId, Described)], &[TermId])> = told
                .iter()
                .map(|told| (&*told.others, &*told.field))
                .collect();
            compare(&pairs, Belonging::Field(field), company, examples);
        }
    }
}

/// Adds examples from texts and what belongs to each, and about as many from texts and what belongs to
/// others.
fn compare(
    pairs: &[(&[(TermId, Described)], &[TermId])],
    belonging: Belonging,
    company: &[Company],
    examples: &mut Vec<Example>,
) {
    let mut add = |text: usize, partner: usize| {
        let before = examples.len();
        let shared = shared(pairs[text].0, pairs[partner].1);
        examples.extend(shared.map(|&(term, described)| Example {
            belonging,
            described,
            company: company.get(term.position()).copied().unwrap_or_default(),
            belongs: text == partner,
        }));
        examples.len() - before
    };
    let belong: usize = (0..pairs.len()).map(|at| add(at, at)).sum();
    let mut at_random = 0;
    for round in 1..=ROUNDS {
        if at_random >= belong || pairs.len() <= ROUNDS {
            break;
        }
        // Others far away: items with ids in a row are often of one kind.
        let away = (round * pairs.len()).div_ceil(ROUNDS + 1);
        at_random += (0..pairs.len())
            .map(|at| add(at, (at + away) % pairs.len()))
            .sum::<usize>();
    }
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

    fn learned(items: &[Item], transitions: &[Transition], batch: usize) -> (Vocabulary, Salience) {
        let params = SalienceParams::default();
        let scratch = tempfile::tempdir().unwrap();
        let mut counter = VocabularyCounter::new(&params, 0, scratch.path()).unwrap();
        counter.add(items).unwrap();
        let vocabulary = counter.finish().unwrap();
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
        assert_eq!(formula.relevance(), None, "one field alone says nothing");
        let lead_of = |vocabulary, salience| lead(&items, vocabulary, salience, 77);
        let before = lead_of(&vocabulary, &formula);

        // From each item to another one of its subject.
        let indices = 0..items.len();
        let transition = |from: usize| Transition {
            from: ItemIndex(from as u32),
            to: ItemIndex(((from + SUBJECTS * (1 + scattered(from) % 19)) % items.len()) as u32),
            half: scattered(from + items.len()).is_multiple_of(2),
        };
        let transitions: Vec<Transition> = indices.map(transition).collect();
        let (vocabulary, salience) = learned(&items, &transitions, 100);
        let after = lead_of(&vocabulary, &salience);
        assert!(after > 1.5 * before, "{before}, {after}");
        let (_, in_one) = learned(&items, &transitions, items.len());
        assert_eq!(in_one.relevance(), salience.relevance());
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
            assert!(salience.relevance().is_some());
            assert!(
                lead_of(&salience) > 1.1 * lead_of(&formula),
                "{:?}",
                salience.relevance()
            );
        }
    }

    #[test]
    fn nothing_is_learned_from_a_few_items() {
        let few = |at, item: &mut Item| {
            item.title = subject(at);
            item.description = format!("{} {}", subject(at), noise(at));
        };
        let items: Vec<Item> = items(few).into_iter().take(50).collect();
        let transitions = (0..49).map(|at| Transition {
            from: ItemIndex(at),
            to: ItemIndex(at + 1),
            half: at % 2 == 0,
        });
        let (_, salience) = learned(&items, &transitions.collect::<Vec<_>>(), 10);
        assert_eq!(salience.relevance(), None);
    }
}
