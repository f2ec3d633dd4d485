//! Names made of a journey's own terms.

use std::cell::OnceCell;

use super::prompt::is_hidden;
use super::taken::Taken;
use super::template::Rules;
use super::words::{Stems, stems_of_term};
use crate::journey::{Journey, JourneyTerm};

/// The second term of a name has at least this share of the first one's weight. What is lighter is
/// not what the journey is about, and a third term is: on real histories, names of three read as
/// lists of things that met by chance ("Kimchi, brine and fermented").
const LEAST_SHARE: f32 = 0.5;

/// A phrase says the same as a single word of it where it has at least this share of its weight. A
/// lighter one is about something of its own: "Batman" and "character Batman".
const LEAST_OF_WORD: f32 = 0.5;

/// What a journey without any term is called. Journeys have terms, so nobody should see it.
const UNKNOWN: &str = "Untitled journey";

/// A readable phrase: the one or two heaviest terms in their surface form, two-word phrases where
/// they say the same as a single word, no word twice. "Hydroponic lettuce and nutrient solution".
pub fn name_of_terms(terms: &[JourneyTerm]) -> String {
    name_of(&terms.iter().map(Candidate::new).collect::<Vec<_>>())
}

fn name_of(terms: &[Candidate<'_>]) -> String {
    let mut chosen = distinct(terms);
    let Some(first) = chosen.next() else {
        return UNKNOWN.into();
    };
    match chosen.next() {
        Some(second) if second.weight >= LEAST_SHARE * first.weight => joined(first, second),
        _ => {
            // Alone, a word is too general; what narrows it down may be much lighter.
            let narrower = terms
                .iter()
                .find(|term| term.is_phrase() && term.shares_a_word_with(first));
            capitalised(narrower.unwrap_or(first).text)
        }
    }
}

/// A term that a name may be made of.
struct Candidate<'a> {
    text: &'a str,
    weight: f32,
    /// Of its words, once they are asked for: of most terms they never are.
    stems: OnceCell<Stems>,
}

impl Candidate<'_> {
    fn new(term: &JourneyTerm) -> Candidate<'_> {
        Candidate {
            text: &term.term,
            weight: term.weight,
            stems: OnceCell::new(),
        }
    }

    fn is_phrase(&self) -> bool {
        self.text.contains([' ', '-'])
    }

    fn stems(&self) -> &Stems {
        self.stems.get_or_init(|| stems_of_term(self.text))
    }

    /// Whether they have a word in common, inflected or not.
    fn shares_a_word_with(&self, other: &Candidate<'_>) -> bool {
        self.stems().iter().any(|stem| other.stems().contains(stem))
    }
}

/// A name for a journey that none of `taken` is the same as: of its first terms, else of its first
/// and a later one, else the title of its most typical item, else with a number. What the rules call
/// unsafe is left out.
pub(super) fn name_besides(journey: &Journey, taken: &Taken, rules: &Rules) -> String {
    let terms = journey.terms.iter();
    let terms = terms.filter(|term| !rules.is_unsafe(&term.term));
    let terms: Vec<Candidate<'_>> = terms.map(Candidate::new).collect();
    let best = name_of(&terms);
    let chosen: Vec<&Candidate<'_>> = distinct(&terms).collect();
    let later = chosen.iter().skip(1).map(|term| joined(chosen[0], term));
    let titles = journey
        .titles
        .iter()
        .filter(|title| !rules.is_unsafe(title));
    let titles = titles.map(|title| shortened(title, rules.characters));
    let numbered = (2..).map(|number| format!("{best} {number}"));
    let is_free = |name: &String| !name.is_empty() && !taken.has(name);
    std::iter::once(best.clone())
        .chain(later)
        .chain(titles)
        .chain(numbered)
        .find(is_free)
        // There are more numbers than names.
        .unwrap_or(best)
}

/// Terms no two of which share a word, heaviest first.
fn distinct<'a>(terms: &'a [Candidate<'a>]) -> impl Iterator<Item = &'a Candidate<'a>> {
    let mut chosen: Vec<&Candidate<'_>> = Vec::new();
    terms.iter().filter_map(move |term| {
        // A single word gives way to the best phrase that it is part of.
        let phrase = terms.iter().find(|other| {
            !term.is_phrase()
                && other.is_phrase()
                && other.weight >= LEAST_OF_WORD * term.weight
                && other.shares_a_word_with(term)
        });
        let term = phrase.unwrap_or(term);
        let is_new = !chosen
            .iter()
            .any(|earlier| earlier.shares_a_word_with(term));
        is_new.then(|| {
            chosen.push(term);
            term
        })
    })
}

fn joined(first: &Candidate<'_>, second: &Candidate<'_>) -> String {
    capitalised(&format!("{} and {}", first.text, second.text))
}

/// A title as a name: what a reader sees of it, cut between two words.
fn shortened(title: &str, characters: usize) -> String {
    let title: String = title.chars().filter(|&c| !is_hidden(c)).collect();
    let title = title.trim();
    let Some((end, _)) = title.char_indices().nth(characters) else {
        return title.to_owned();
    };
    // Room for the sign that says that there is more.
    let end = title[..end].char_indices().last().map_or(end, |(at, _)| at);
    let whole = &title[..end];
    let whole = whole.rsplit_once(' ').map_or(whole, |(words, _)| words);
    format!("{}…", whole.trim_end())
}

fn capitalised(name: &str) -> String {
    let first_word = name.split(' ').next().unwrap_or_default();
    let mut letters = name.chars();
    match letters.next() {
        Some(first) if !first_word.chars().any(char::is_uppercase) => {
            first.to_uppercase().chain(letters).collect()
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::tests::journey;
    use super::super::template::Template;
    use super::*;

    fn terms(terms: &[(&str, f32)]) -> Vec<JourneyTerm> {
        let term = |&(term, weight): &(&str, f32)| JourneyTerm {
            term: term.into(),
            weight,
        };
        terms.iter().map(term).collect()
    }

    fn name(of: &[(&str, f32)]) -> String {
        name_of_terms(&terms(of))
    }

    #[test]
    fn a_word_that_would_stand_alone_is_narrowed_down_by_a_phrase_however_light() {
        let resin = [("resin", 0.9), ("print", 0.3), ("resin miniatures", 0.2)];
        assert_eq!(name(&resin), "Resin miniatures");
        assert_eq!(name(&[("resin", 0.9), ("print", 0.3)]), "Resin");
        assert_eq!(name(&[("Die Hard", 0.9), ("Hard", 0.3)]), "Die Hard");
    }

    #[test]
    fn a_word_gives_way_to_the_phrase_it_is_part_of_unless_that_is_much_lighter() {
        let lettuce = [
            ("lettuce", 0.6),
            ("hydroponic lettuce", 0.5),
            ("grow lights", 0.4),
        ];
        assert_eq!(name(&lettuce), "Hydroponic lettuce and grow lights");
        let batman = [
            ("Batman", 0.37),
            ("Langdon", 0.28),
            ("character Batman", 0.15),
        ];
        assert_eq!(name(&batman), "Batman and Langdon");
    }

    #[test]
    fn a_name_is_one_phrase_or_two_strong_terms_and_never_three() {
        let kimchi = [("kimchi", 0.4), ("brine", 0.37), ("fermented", 0.31)];
        assert_eq!(name(&kimchi), "Kimchi and brine");
        let boulder = [("boulder problem", 0.51), ("boulder", 0.22), ("slab", 0.2)];
        assert_eq!(name(&boulder), "Boulder problem");
    }

    #[test]
    fn no_word_is_said_twice_in_another_form() {
        let pirates = [("story", 0.6), ("stories", 0.5), ("pirates", 0.4)];
        assert_eq!(name(&pirates), "Story and pirates");
        let stars = [("star", 0.6), ("start", 0.5)];
        assert_eq!(name(&stars), "Star and start", "two words that begin alike");
    }

    #[test]
    fn a_name_begins_with_a_capital_unless_its_first_word_has_its_own() {
        assert_eq!(name(&[("ukulele", 0.9)]), "Ukulele");
        assert_eq!(name(&[("iOS", 0.9)]), "iOS");
    }

    #[test]
    fn no_terms_give_a_name_nevertheless() {
        assert_eq!(name(&[]), UNKNOWN);
    }

    #[test]
    fn a_name_that_is_taken_makes_room_for_a_later_term_then_a_title_then_a_number() {
        let mut ukulele = journey(&["Ukulele lesson one", "More ukulele"], &[]);
        ukulele.terms = terms(&[("ukulele", 0.9), ("chords", 0.8), ("strumming", 0.1)]);
        let mut taken = Taken::default();
        for expected in [
            "Ukulele and chords",
            "Ukulele and strumming",
            "Ukulele lesson one",
            "More ukulele",
            "Ukulele and chords 2",
            "Ukulele and chords 3",
        ] {
            let name = name_besides(&ukulele, &taken, Template::default().rules());
            assert_eq!(name, expected);
            taken.add(&name.to_uppercase());
        }
    }

    #[test]
    fn unsafe_terms_and_titles_are_in_no_name() {
        let mut bread = journey(&["Shit, my bread!", "Bread at home"], &[]);
        bread.terms = terms(&[("shit bread", 0.9), ("bread", 0.8)]);
        let template = Template::default();
        let mut taken = Taken::default();
        for expected in ["Bread", "Bread at home", "Bread 2"] {
            let name = name_besides(&bread, &taken, template.rules());
            assert_eq!(name, expected);
            taken.add(&name);
        }
        let nameless = journey(&["Shit"], &["shit"]);
        let name = name_besides(&nameless, &Taken::from_iter([UNKNOWN]), template.rules());
        assert_eq!(name, format!("{UNKNOWN} 2"));
    }

    #[test]
    fn a_long_title_is_cut_between_words_and_without_what_nobody_sees() {
        let title = format!("Ukulele\u{202E} {}", "strumming ".repeat(9));
        let name = shortened(&title, 60);
        assert_eq!(name, format!("Ukulele{}…", " strumming".repeat(5)));
        assert!(name.chars().count() <= 60);
        assert_eq!(shortened(&"x".repeat(99), 60).chars().count(), 60);
    }
}
