//! Names made of a journey's own terms.

use super::grounding::share_a_word;
use crate::journey::JourneyTerm;

/// How many terms a name is made of at most.
const TERMS: usize = 3;

/// A term this much lighter than the heaviest one is left out: it is not what the journey is about.
const LEAST_SHARE: f32 = 0.3;

/// What a journey without any term is called. Journeys have terms, so nobody should see it.
const UNKNOWN: &str = "Untitled journey";

/// A readable phrase: the heaviest terms in their surface form, two-word phrases first where they
/// say the same as a single word, no word twice. "Hydroponic lettuce, nutrient solution and grow
/// lights".
pub fn name_of_terms(terms: &[JourneyTerm]) -> String {
    let Some(heaviest) = terms.first() else {
        return UNKNOWN.into();
    };
    let mut chosen: Vec<&str> = Vec::new();
    for term in terms {
        if chosen.len() == TERMS || term.weight < LEAST_SHARE * heaviest.weight {
            break;
        }
        // A single word gives way to the best phrase that it is part of.
        let phrase = terms
            .iter()
            .find(|other| {
                other.term.contains(' ')
                    && !term.term.contains(' ')
                    && other.weight >= LEAST_SHARE * heaviest.weight
                    && share_a_word(&other.term, &term.term)
            })
            .unwrap_or(term);
        if !chosen
            .iter()
            .any(|earlier| share_a_word(earlier, &phrase.term))
        {
            chosen.push(&phrase.term);
        }
    }
    let name = match chosen.as_slice() {
        [] => return UNKNOWN.into(),
        [only] => (*only).to_owned(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    };
    capitalised(&name)
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
    use super::*;

    fn name(terms: &[(&str, f32)]) -> String {
        let terms: Vec<JourneyTerm> = terms
            .iter()
            .map(|&(term, weight)| JourneyTerm {
                term: term.into(),
                weight,
            })
            .collect();
        name_of_terms(&terms)
    }

    #[test]
    fn a_word_gives_way_to_the_phrase_it_is_part_of() {
        let terms = [
            ("lettuce", 0.6),
            ("hydroponic lettuce", 0.5),
            ("grow lights", 0.4),
        ];
        assert_eq!(name(&terms), "Hydroponic lettuce and grow lights");
    }

    #[test]
    fn no_word_is_said_twice_in_another_form() {
        let terms = [("story", 0.6), ("stories", 0.5), ("pirates", 0.4)];
        assert_eq!(name(&terms), "Story and pirates");
    }

    #[test]
    fn a_term_that_is_much_lighter_is_left_out() {
        assert_eq!(name(&[("ukulele", 0.9), ("garage", 0.1)]), "Ukulele");
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
}
