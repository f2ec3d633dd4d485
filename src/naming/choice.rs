//! Which of several names for a journey is taken.

use super::answer::{Rejection, check};
use super::grounding::Evidence;
use super::taken::Taken;
use super::template::{Rules, Template};

/// Of those candidates that pass the checks, the one that is most similar to the journey; of equals
/// the first. One that a sibling has is taken only where there is no other. If none passes, why the
/// first does not.
pub(super) fn choose(
    template: &Template,
    candidates: &[String],
    journey: &Evidence,
    heard: &[&Evidence],
    siblings: &Taken,
) -> Result<String, Rejection> {
    let rank = |name: &str| {
        let similarity = similarity(name, journey, template.rules());
        (!siblings.has(name), similarity)
    };
    let mut checked = candidates
        .iter()
        .map(|name| check(template, Some(name), journey, heard));
    let mut best = checked.next().unwrap_or(Err(Rejection::Missing));
    for name in checked.flatten() {
        if best.as_ref().map_or(true, |best| rank(&name) > rank(best)) {
            best = Ok(name);
        }
    }
    best
}

/// Cosine between the words of a name, each once, and those of the journey's titles and terms, but
/// for a factor that is the same for all names of the journey. Words that fit any interest are left
/// out: they say nothing for or against a name.
fn similarity(name: &str, journey: &Evidence, rules: &Rules) -> f32 {
    let mut words = rules.telling_words(name);
    words.retain(|word| !rules.fits_anything(word));
    words.sort_by(|a, b| a.stem.cmp(&b.stem));
    words.dedup_by(|a, b| a.stem == b.stem);
    let product: f32 = words.iter().map(|word| journey.weight(word)).sum();
    product / (words.len().max(1) as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::answer::tests::journey;
    use super::*;

    fn chosen(candidates: &[&str]) -> Result<String, Rejection> {
        let template = Template::default();
        let titles = [
            "Ukulele chords for songs",
            "Ukulele chords",
            "Tuning a ukulele",
        ];
        let evidence = Evidence::of_journey(template.rules(), &journey(&titles, &["ukulele"]));
        let candidates: Vec<String> = candidates.iter().map(|&name| name.into()).collect();
        let taken = Taken::from_iter(["Ukulele Chords"]);
        choose(&template, &candidates, &evidence, &[], &taken)
    }

    #[test]
    fn the_name_with_most_of_the_journey_is_taken_and_of_equals_the_first() {
        for (candidates, expected) in [
            (
                &["Ukulele Sounds", "Ukulele Chord Songs"][..],
                "Ukulele Chord Songs",
            ),
            (
                &["Ukulele", "Ukulele Chords at Home"],
                "Ukulele Chords at Home",
            ),
            (&["Ukulele Guide", "Ukulele Tips"], "Ukulele Guide"),
            (&["Ukulele Tips", "Ukulele Guide"], "Ukulele Tips"),
            (
                &["Ukulele Chords and Stars and Moons", "Ukulele Tips"],
                "Ukulele Tips",
            ),
        ] {
            assert_eq!(chosen(candidates).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_candidate_that_fails_the_checks_is_never_taken() {
        let names = ["Chess Openings", "Various", "Ukulele Sounds"];
        assert_eq!(chosen(&names).as_deref(), Ok("Ukulele Sounds"));
        assert_eq!(chosen(&names[..2]), Err(Rejection::Ungrounded));
        assert_eq!(chosen(&[]), Err(Rejection::Missing));
    }

    #[test]
    fn a_siblings_name_is_taken_only_where_there_is_no_other() {
        let names = ["Ukulele Chords", "Ukulele Sounds"];
        assert_eq!(chosen(&names).as_deref(), Ok("Ukulele Sounds"));
        assert_eq!(chosen(&names[..1]).as_deref(), Ok("Ukulele Chords"));
    }
}
