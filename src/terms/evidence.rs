//! What is known about one term in one item.

use std::collections::BTreeMap;

use super::analyser::{Analysis, FIELDS, Field, Token};
use super::compounds::Compounds;
use super::{Language, TermId, Vocabulary};

/// All that is known about one term in one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Occurrences in title, tags, queries and description.
    pub occurrences: [u32; FIELDS],
    /// Items that the term occurs in, in the whole catalogue.
    pub document_frequency: u32,
    /// Items in the catalogue.
    pub items: u64,
    /// For a bigram: its normalised pointwise mutual information.
    pub npmi: Option<f64>,
    /// For a word: share of its occurrences in the item that stand in an admitted bigram, or in a
    /// compound that is a term, 0 to 1.
    pub covered: f64,
    /// For a word: share of the items with the word that have the bigram or compound as well, 0 to 1;
    /// the largest if several of the item cover it.
    pub absorbed: f64,
    /// Words that stand before it in the field that it comes first in.
    pub position: u32,
    /// Share of its occurrences that begin with a capital, of those where that was a choice, 0 to 1;
    /// none where it never was.
    pub capitals: Option<f64>,
}

/// Looks up all words and pairs of an item, but for those of one field if one is named; in the order
/// of terms, so that sums over them are the same on every machine.
pub(super) fn evidence(
    analysis: &Analysis,
    vocabulary: &Vocabulary,
    language: Language,
    without: Option<Field>,
) -> Vec<(TermId, Evidence)> {
    let mut found: BTreeMap<TermId, Found> = BTreeMap::new();
    // Of each token, the items of the most frequent admitted bigram it stands in; 0 without one.
    let mut covering = vec![0; analysis.tokens().len()];
    let mut starts = [None; FIELDS];
    for (at, token) in analysis.tokens().enumerate() {
        starts[token.field as usize].get_or_insert(at);
    }
    let position = |token: &Token<'_>, at: usize| {
        let start = starts[token.field as usize].unwrap_or(at);
        (at - start) as u32
    };
    let mut bigram = String::new();
    let pairs = analysis.pairs();
    for pair in pairs.filter(|pair| Some(pair.first.field) != without) {
        bigram.clear();
        bigram.extend([pair.first.stem, " ", pair.second.stem]);
        if let Some(term) = vocabulary.find(&bigram) {
            let found = found.entry(term).or_default();
            found.note(&pair.first, position(&pair.first, pair.left));
            let items = vocabulary.document_frequency(term);
            for covering in &mut covering[pair.left..pair.left + 2] {
                *covering = items.max(*covering);
            }
        }
    }
    let compounds = Compounds::of(language);
    for ((at, token), covering) in analysis.tokens().enumerate().zip(covering) {
        if !token.stands_alone || Some(token.field) == without {
            continue;
        }
        let mut note = |term: TermId, covering: u32| {
            let found = found.entry(term).or_default();
            found.note(&token, position(&token, at));
            found.covered += u32::from(covering > 0);
            found.whole_items = covering.max(found.whole_items);
        };
        let word = vocabulary.find(token.stem);
        if let Some(term) = word {
            note(term, covering);
        }
        if let Some(compounds) = &compounds {
            // What a bigram is to its words, a compound is to its parts.
            let items = word.map_or(0, |term| vocabulary.document_frequency(term));
            for part in compounds.parts(token.surface, items, vocabulary) {
                note(part, items);
            }
        }
    }
    found
        .into_iter()
        .map(|(term, found)| (term, found.evidence(term, vocabulary)))
        .collect()
}

/// What one item says about one term.
#[derive(Default)]
struct Found {
    occurrences: [u32; FIELDS],
    /// Occurrences that stand in an admitted bigram or in a compound that is a term.
    covered: u32,
    /// Items that have the most frequent of these.
    whole_items: u32,
    /// Where it comes first.
    position: Option<u32>,
    /// Occurrences whose case was a choice, and those of them with a capital.
    case_tells: u32,
    capitals: u32,
}

impl Found {
    fn note(&mut self, token: &Token<'_>, position: u32) {
        self.occurrences[token.field as usize] += 1;
        self.position.get_or_insert(position);
        if token.case_tells {
            self.case_tells += 1;
            self.capitals += u32::from(token.surface.starts_with(char::is_uppercase));
        }
    }

    fn evidence(&self, term: TermId, vocabulary: &Vocabulary) -> Evidence {
        let share = |part: u32, of: u32| f64::from(part) / f64::from(of.max(1));
        let document_frequency = vocabulary.document_frequency(term);
        Evidence {
            occurrences: self.occurrences,
            document_frequency,
            items: vocabulary.stats().items,
            npmi: vocabulary.npmi(term),
            covered: share(self.covered, self.occurrences.iter().sum()),
            absorbed: share(self.whole_items, document_frequency).min(1.0),
            position: self.position.unwrap_or(0),
            capitals: (self.case_tells > 0).then(|| share(self.capitals, self.case_tells)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Item;
    use crate::terms::{Analyser, SalienceParams, VocabularyCounter};

    /// What is known of a word of the first of these items.
    fn known(items: &[Item], word: &str, without: Option<Field>) -> Option<Evidence> {
        let params = SalienceParams::default();
        let scratch = tempfile::tempdir().unwrap();
        let mut counter = VocabularyCounter::new(&params, 0, scratch.path()).unwrap();
        counter.add(items).unwrap();
        let vocabulary = counter.finish().unwrap();
        let analysis = Analyser::new(&params).analyse(&items[0]);
        let evidence = evidence(&analysis, &vocabulary, params.language, without);
        let term = vocabulary.find(word)?;
        let found = evidence.into_iter().find(|&(other, _)| other == term);
        found.map(|(_, evidence)| evidence)
    }

    fn items() -> [Item; 2] {
        let item = Item {
            title: "Slow ukulele".into(),
            tags: vec!["Music".into(), "ukulele".into()],
            description: "A tune for patience, by Ida. Then Ida sings about patience.".into(),
            ..Item::default()
        };
        [item.clone(), item]
    }

    #[test]
    fn occurrences_are_told_by_field_and_the_first_by_its_place() {
        let ukulele = known(&items(), "ukulel", None).unwrap();
        assert_eq!(ukulele.occurrences, [1, 1, 0, 0]);
        assert_eq!((ukulele.position, ukulele.document_frequency), (1, 2));
        let patience = known(&items(), "patienc", None).unwrap();
        assert_eq!(patience.occurrences, [0, 0, 0, 2]);
        assert_eq!(patience.position, 1, "after tune");
    }

    #[test]
    fn what_one_field_says_can_be_left_out() {
        let ukulele = known(&items(), "ukulel", Some(Field::Title)).unwrap();
        assert_eq!((ukulele.occurrences, ukulele.position), ([0, 1, 0, 0], 1));
        assert_eq!(known(&items(), "slow", Some(Field::Title)), None);
    }

    #[test]
    fn capitals_count_where_they_were_a_choice() {
        let capitals = |word| known(&items(), word, None).unwrap().capitals;
        assert_eq!(capitals("ida"), Some(1.0));
        assert_eq!(capitals("patienc"), Some(0.0));
        assert_eq!(capitals("music"), None, "the first word of its text");
    }
}
