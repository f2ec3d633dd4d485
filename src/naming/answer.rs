//! What a model answered, and whether it will do. Answers are untrusted text.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};

use super::grounding::{Evidence, is_grounded};
use super::prompt::is_hidden;
use super::taken::Taken;
use super::template::Template;

/// Longest JSON object that is read as a name, in bytes: a name in escapes has room, and so have
/// some words of explanation beside it. It bounds what one brace costs, and so a whole answer.
const MAX_OBJECT: usize = 2048;

/// What models put around names.
const QUOTES: &[(&str, &str)] = &[
    ("**", "**"),
    ("*", "*"),
    ("`", "`"),
    ("\"", "\""),
    ("'", "'"),
    ("“", "”"),
    ("„", "“"),
    ("‘", "’"),
    ("«", "»"),
    ("「", "」"),
    ("『", "』"),
];

/// Why a name is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejection {
    /// The answer has no name under the journey's id, or several.
    #[error("there is no single name for the journey")]
    Missing,
    /// It is a sentence.
    #[error("the name is too long")]
    TooLong,
    /// Markup, a link, control characters.
    #[error("the name holds something that is not plain text")]
    NotPlain,
    /// It would fit any journey.
    #[error("the name says nothing")]
    Generic,
    /// It has letters of a script that the journey has not, or none of the language asked for.
    #[error("the name is written in another script")]
    Script,
    /// It holds what no name may hold, or the moderation endpoint flags it.
    #[error("the name is unsafe")]
    Unsafe,
    /// The moderation endpoint did not say whether it is safe.
    #[error("nobody could say whether the name is safe")]
    Unmoderated,
    /// The model declined.
    #[error("the model refused")]
    Refusal,
    /// Another journey of the user has that name.
    #[error("a sibling has the same name")]
    Duplicate,
    /// Too few of its words are those of the journey, or one is another journey's: it may belong to
    /// that one, or be what a title wants.
    #[error("the name has too little in common with the journey")]
    Ungrounded,
}

#[derive(Deserialize)]
struct AnsweredName {
    id: String,
    name: String,
}

/// Reads the names by id from the text of an answer: from every object with `id` and `name` in it,
/// so that other text around them, another outer form, or an end that was cut off cost only what
/// they hold. Nothing readable is no names.
pub(super) fn parse(text: &str) -> HashMap<String, String> {
    let mut rest = without_thoughts(text);
    let mut names: HashMap<String, Option<String>> = HashMap::new();
    while let Some(start) = rest.find('{') {
        rest = &rest[start..];
        let object = &rest[..rest.floor_char_boundary(MAX_OBJECT)];
        let mut objects = serde_json::Deserializer::from_str(object).into_iter::<AnsweredName>();
        let Some(Ok(AnsweredName { id, name })) = objects.next() else {
            rest = &rest[1..];
            continue;
        };
        rest = &rest[objects.byte_offset()..];
        match names.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(Some(name));
            }
            // An id with two different names cannot be trusted either time.
            Entry::Occupied(mut entry) if entry.get().as_ref() != Some(&name) => {
                entry.insert(None);
            }
            Entry::Occupied(_) => {}
        }
    }
    names
        .into_iter()
        .filter_map(|(id, name)| Some((id, name?)))
        .collect()
}

/// What a model thinks aloud is not its answer. Thoughts without an end were cut off before there
/// was an answer; an end without a beginning was begun by the model's template.
fn without_thoughts(text: &str) -> &str {
    let answer = text
        .rsplit_once("</think>")
        .map_or(text, |(_, answer)| answer);
    answer
        .split_once("<think>")
        .map_or(answer, |(before, _)| before)
}

/// Checks one name for a journey, given what the journeys of the call say. Returns it tidied. That no
/// sibling has it is not checked: a name that this user cannot have may be good for another.
pub(super) fn check(
    template: &Template,
    answered: Option<&str>,
    journey: &Evidence,
    heard: &[&Evidence],
) -> Result<String, Rejection> {
    let name = answered.map(tidy).filter(|name| !name.is_empty());
    let name = name.ok_or(Rejection::Missing)?;
    let rules = template.rules();
    let lower = name.to_lowercase().replace('’', "'");
    if rules.is_refusal(&lower) {
        return Err(Rejection::Refusal);
    }
    if name.chars().count() > rules.characters {
        return Err(Rejection::TooLong);
    }
    let markup = ['<', '>', '{', '}', '[', ']', '`', '|', '\\'];
    let link = lower.contains("://") || lower.contains("www.");
    if link || name.contains(is_hidden) || name.contains(markup) {
        return Err(Rejection::NotPlain);
    }
    if rules.is_unsafe(name) {
        return Err(Rejection::Unsafe);
    }
    if !journey.scripts.fit(name, template.locale()) {
        return Err(Rejection::Script);
    }
    let words = rules.telling_words(name);
    if words.is_empty() {
        return Err(Rejection::Generic);
    }
    if !is_grounded(words, template, journey, heard) {
        return Err(Rejection::Ungrounded);
    }
    Ok(name.to_owned())
}

/// Checks that no sibling has a name.
pub(super) fn check_unlike(name: String, siblings: &Taken) -> Result<String, Rejection> {
    match siblings.has(&name) {
        true => Err(Rejection::Duplicate),
        false => Ok(name),
    }
}

/// Checks names of one user's journeys that people wrote. Returns them tidied, or why each is not
/// used.
pub(super) fn check_together(
    template: &Template,
    names: &[&str],
    journeys: &[Evidence],
    taken: &[String],
) -> Vec<Result<String, Rejection>> {
    let heard: Vec<&Evidence> = journeys.iter().collect();
    let mut siblings: Taken = taken.iter().map(String::as_str).collect();
    let names = names.iter().zip(journeys).map(|(name, journey)| {
        let name = check(template, Some(name), journey, &heard)?;
        let name = check_unlike(name, &siblings)?;
        siblings.add(&name);
        Ok(name)
    });
    names.collect()
}

/// Without blanks and quotation marks around it, and without the full stop of a sentence.
fn tidy(name: &str) -> &str {
    let mut name = name.trim();
    loop {
        // "A" and "B" is not one quotation.
        let inner = QUOTES.iter().find_map(|&(open, close)| {
            let inner = name.strip_prefix(open)?.strip_suffix(close)?;
            (!inner.contains(open) && !inner.contains(close)).then_some(inner.trim())
        });
        let sentence = name
            .strip_suffix('.')
            .filter(|sentence| !sentence.contains('.'));
        match inner.or(sentence) {
            Some(tidier) => name = tidier,
            None => return name,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::journey::{Journey, JourneyTerm, NameSource, Stage, StageActivity, StageDuration};

    pub(in crate::naming) fn journey(titles: &[&str], terms: &[&str]) -> Journey {
        Journey {
            id: "00000000".into(),
            name: "Provisional".into(),
            name_source: NameSource::Provisional,
            signature: "0000000000000000".into(),
            terms: terms
                .iter()
                .map(|&term| JourneyTerm {
                    term: term.into(),
                    weight: 0.5,
                })
                .collect(),
            titles: titles.iter().map(|&title| title.into()).collect(),
            items: Vec::new(),
            size: titles.len() as u32,
            strength: 1.0,
            confidence: 1.0,
            rank: 1,
            first: Timestamp::UNIX_EPOCH,
            last: Timestamp::UNIX_EPOCH,
            stage: Stage {
                duration: StageDuration::Situational,
                activity: StageActivity::Ongoing,
            },
        }
    }

    fn ukulele() -> Journey {
        journey(
            &["Ukulele lesson one", "Ukulele chords"],
            &["ukulele", "chords"],
        )
    }

    fn checked(name: &str) -> Result<String, Rejection> {
        let template = Template::default();
        let evidence = [Evidence::of_journey(template.rules(), &ukulele())];
        let taken = ["Lettuce", "Ukulele Songs"].map(str::to_owned);
        let mut names = check_together(&template, &[name], &evidence, &taken);
        names.remove(0)
    }

    fn parsed(text: &str) -> Vec<(String, String)> {
        let mut names: Vec<_> = parse(text).into_iter().collect();
        names.sort();
        names
    }

    fn pair(id: &str, name: &str) -> (String, String) {
        (id.into(), name.into())
    }

    #[test]
    fn names_are_read_out_of_other_text_and_other_forms() {
        let one = [pair("1a", "A {b} \"c\"")];
        for text in [
            r#"{"names":[{"id":"1a","name":"A {b} \"c\""}]}"#,
            "Sure {:}\n```json\n[{\"name\":\"A {b} \\\"c\\\"\",\"id\":\"1a\",\"why\":{}}]\n```",
        ] {
            assert_eq!(parsed(text), one, "{text}");
        }
    }

    #[test]
    fn what_stands_before_the_cut_is_read() {
        let cut = r#"{"names":[{"id":"1a","name":"A"},{"id":"1b","name":"B"#;
        assert_eq!(parsed(cut), [pair("1a", "A")]);
    }

    #[test]
    fn thoughts_are_no_answer_wherever_they_begin_and_whether_they_end() {
        let thought = r#"{"id":"1a","name":"?"}"#;
        let answer = r#"{"id":"1a","name":"A"}"#;
        for (text, expected) in [
            (format!("<think>{thought}</think>{answer}"), "A"),
            (format!("{thought}</think>{answer}"), "A"),
            (format!("{answer}<think>{thought}"), "A"),
            (format!("<think>{thought}"), ""),
            (format!("<think>{thought}</think><think>{thought}"), ""),
        ] {
            let names = parse(&text);
            let name = names.get("1a").map_or("", String::as_str);
            assert_eq!(name, expected, "{text}");
        }
    }

    /// Reading on at every brace to the end would take minutes for this.
    #[test]
    fn a_long_answer_of_braces_within_braces_is_read_to_its_end() {
        let braces = "{\"a\":".repeat(50_000);
        let text = format!("{braces}{{\"id\":\"1a\",\"name\":\"A\"}}");
        assert_eq!(parsed(&text), [pair("1a", "A")]);
        let long = format!(
            r#"{{"id":"1a","why":"{}","name":"A"}}"#,
            "x".repeat(MAX_OBJECT)
        );
        assert_eq!(parsed(&long), []);
    }

    #[test]
    fn an_id_with_two_different_names_has_none() {
        let twice = |name: &str| {
            format!(
                r#"[{{"id":"1a","name":"A"}},{{"id":"1b","name":"B"}},{{"id":"1a","name":"{name}"}}]"#
            )
        };
        assert_eq!(parsed(&twice("C")), [pair("1b", "B")]);
        assert_eq!(parsed(&twice("A")), [pair("1a", "A"), pair("1b", "B")]);
    }

    #[test]
    fn text_without_names_is_no_names() {
        for text in [
            "",
            "{",
            "{{{}",
            "}{",
            "null",
            r#"{"names":null}"#,
            r#"{"id":"1a","name":null}"#,
            r#"{"id":1,"name":"A"}"#,
        ] {
            assert_eq!(parsed(text), [], "{text}");
        }
    }

    #[test]
    fn quotation_marks_and_a_full_stop_around_a_name_are_taken_off() {
        for name in [
            "\"Ukulele\"",
            " 'Ukulele.' ",
            "**“Ukulele”**",
            "「Ukulele」",
            "\"Ukulele\".",
        ] {
            assert_eq!(checked(name).as_deref(), Ok("Ukulele"), "{name}");
        }
        for name in ["\"Ukulele\" and \"Chords\"", "Ukulele in the U.S."] {
            assert_eq!(checked(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn every_reason_for_a_rejection_is_found() {
        use Rejection::*;
        let long = "Ukulele ".repeat(9);
        for (name, reason) in [
            ("", Missing),
            (" \"\" ", Missing),
            (long.as_str(), TooLong),
            ("<b>Ukulele</b>", NotPlain),
            ("Ukulele\nlessons", NotPlain),
            ("Ukulele \u{202E}snosseL", NotPlain),
            ("Ukulele at www.example.org", NotPlain),
            ("Various Things", Generic),
            ("I’m sorry, no ukulele", Refusal),
            ("Fucking Good Ukuleles", Unsafe),
            ("Uкulele", Script),
            ("ukulele  songs!", Duplicate),
            ("Chess Openings", Ungrounded),
        ] {
            assert_eq!(checked(name), Err(reason), "{name:?}");
        }
        let none = check(&Template::default(), None, &Evidence::default(), &[]);
        assert_eq!(none, Err(Missing));
    }
}
