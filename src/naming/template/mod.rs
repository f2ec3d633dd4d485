//! What a model is asked, what it is shown, and what its names must pass: one versioned file that an
//! operator can replace.

mod error;
mod example;
mod form;
mod rules;

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use rustc_hash::FxHashSet;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use error::TemplateError;
pub(super) use example::Example;
pub(super) use form::Limits;
pub(super) use rules::Rules;

use self::form::Form;
use super::answer::check_together;
use super::grounding::Evidence;
use super::{Excerpt, Locale, Rejection};

/// What stands in the instructions for the language of the names.
const LANGUAGE: &str = "{language}";

/// The language where none is asked for.
const OF_THE_TITLES: &str = "the language of the titles";

/// Bytes of a hash that are shown: enough that no two templates ever have the same.
const HASH_BYTES: usize = 16;

static DEFAULT: LazyLock<Template> =
    LazyLock::new(|| Template::read(None, None, None).expect("it is a part of the program"));

/// Instructions, examples, limits of what is sent, and rules of names.
#[derive(Clone, Debug)]
pub struct Template(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    form: Form,
    rules: Rules,
    locale: Option<Locale>,
    /// The messages before the question, the same in every call.
    prefix: Vec<Value>,
    /// Stems of the words in the examples.
    shown: FxHashSet<Arc<str>>,
    hash: String,
}

impl Default for Template {
    /// The one that is a part of the program.
    fn default() -> Template {
        DEFAULT.clone()
    }
}

impl Template {
    /// Reads a template. `file` is put over the default; `examples`, lines as
    /// [`export_tuning`](super::export_tuning) writes them, take the place of its examples; names are
    /// to be in the language of `locale`, or in that of the titles.
    ///
    /// # Errors
    /// When a text cannot be understood, or an example has a name that would be refused.
    pub fn read(
        file: Option<&str>,
        examples: Option<&str>,
        locale: Option<Locale>,
    ) -> Result<Template, TemplateError> {
        let mut form = Form::read(file)?;
        if let Some(lines) = examples {
            form.examples = read_examples(lines)?;
            form.validate()?;
        }
        if locale.is_some() && !form.instructions.contains(LANGUAGE) {
            return Err(TemplateError::NoLanguage);
        }
        let template = Template::of(form, locale);
        template.check_examples()?;
        Ok(template)
    }

    fn of(form: Form, locale: Option<Locale>) -> Template {
        let rules = Rules::of(&form.names);
        let parts = Parts {
            prefix: prefix(&form, locale.as_ref()),
            shown: shown(&form, &rules),
            hash: hash(&form, locale.as_ref()),
            form,
            rules,
            locale,
        };
        Template(Arc::new(parts))
    }

    /// The same with the first examples only, and with a part of what is said of journeys, in
    /// examples as in questions. A name in an example may have less in common with what is left.
    pub(super) fn excerpt(&self, examples: usize, shown: Excerpt) -> Template {
        let mut form = self.0.form.clone();
        form.examples.truncate(examples);
        let journeys = form.examples.iter_mut();
        let journeys = journeys.flat_map(|example| &mut example.journeys);
        match shown {
            Excerpt::Both => {}
            Excerpt::Titles => {
                form.question.terms = 0;
                journeys.for_each(|journey| journey.terms.clear());
            }
            Excerpt::Terms => {
                form.question.titles = 0;
                journeys.for_each(|journey| journey.titles.clear());
            }
        }
        Template::of(form, self.0.locale.clone())
    }

    /// 32 hex digits. Two templates have the same if and only if they ask, show and check the same;
    /// the examples and the locale are a part of it, remarks in the file are not.
    pub fn hash(&self) -> &str {
        &self.0.hash
    }

    /// The version that the file says.
    pub fn version(&self) -> &str {
        &self.0.form.version
    }

    /// What names are written in, if not the language of the titles.
    pub fn locale(&self) -> Option<&Locale> {
        self.0.locale.as_ref()
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.0.rules
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.form.question
    }

    pub(super) fn examples(&self) -> &[Example] {
        &self.0.form.examples
    }

    /// The messages before the question.
    pub(super) fn prefix(&self) -> &[Value] {
        &self.0.prefix
    }

    /// Whether an example has a word, by its stem.
    pub(super) fn shows(&self, stem: &str) -> bool {
        self.0.shown.contains(stem)
    }

    /// A model does what it is shown: no example may have a name that would be refused.
    fn check_examples(&self) -> Result<(), TemplateError> {
        for example in self.examples() {
            let evidence = example.journeys.iter().map(|journey| {
                let (titles, terms) = (&journey.titles, &journey.terms);
                Evidence::of(
                    self.rules(),
                    titles.iter().map(String::as_str),
                    terms.iter().map(|term| (term.as_str(), 1.0)),
                )
            });
            let evidence: Vec<Evidence> = evidence.collect();
            let names = example.journeys.iter().map(|journey| journey.name.as_str());
            let names: Vec<&str> = names.collect();
            let checked = check_together(self, &names, &evidence, &example.taken);
            for (name, checked) in names.into_iter().zip(checked) {
                match checked {
                    Ok(_) => {}
                    // Of another language than the one that is asked for, or a translation.
                    Err(Rejection::Script | Rejection::Ungrounded) if self.locale().is_some() => {}
                    Err(rejection) => {
                        let name = name.to_owned();
                        return Err(TemplateError::Example { name, rejection });
                    }
                }
            }
        }
        Ok(())
    }
}

fn read_examples(lines: &str) -> Result<Vec<Example>, TemplateError> {
    let lines = lines.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let example = |(at, line): (usize, &str)| {
        Example::of_line(line).map_err(|reason| TemplateError::Line {
            line: at + 1,
            reason,
        })
    };
    lines.map(example).collect()
}

/// Instructions, and examples as turns of their own: in one message, small models take an example
/// for the question.
fn prefix(form: &Form, locale: Option<&Locale>) -> Vec<Value> {
    let language = locale.map_or(OF_THE_TITLES, Locale::language);
    let instructions = form.instructions.replace(LANGUAGE, language);
    let mut messages = vec![json!({"role": "system", "content": instructions})];
    for example in &form.examples {
        let question = example.question(locale.is_some()).to_string();
        messages.push(json!({"role": "user", "content": question}));
        messages.push(json!({"role": "assistant", "content": example.answer().to_string()}));
    }
    messages
}

fn shown(form: &Form, rules: &Rules) -> FxHashSet<Arc<str>> {
    let journeys = form.examples.iter().flat_map(|example| &example.journeys);
    let texts = journeys.flat_map(|journey| {
        let texts = journey.titles.iter().chain(&journey.terms);
        texts.chain(std::iter::once(&journey.name))
    });
    let words = texts.flat_map(|text| rules.telling_words(text));
    words.map(|word| word.stem).collect()
}

fn hash(form: &Form, locale: Option<&Locale>) -> String {
    let form = serde_json::to_vec(&(form, locale.map(Locale::code)));
    // Texts and numbers in fields of fixed names can be written.
    let digest = Sha256::digest(form.expect("a template can be written as JSON"));
    digest
        .iter()
        .take(HASH_BYTES)
        .fold(String::new(), |mut hex, byte| {
            // A text takes what is written to it.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> Result<Template, String> {
        let file = format!("format = 1\n{file}");
        Template::read(Some(&file), None, None).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_file_does_not_say_stays_as_it_is() {
        let default = Template::default();
        assert_eq!(read("").unwrap().hash(), default.hash());
        let changed = read("[names]\nunsafe = [\"ukulele\"]").unwrap();
        assert!(changed.rules().is_unsafe("Ukuleles"));
        assert!(
            !changed.rules().is_unsafe("fuck"),
            "a list replaces the list"
        );
        assert_eq!(changed.rules().characters, default.rules().characters);
        assert_eq!(changed.prefix(), default.prefix());
    }

    #[test]
    fn every_part_of_a_template_is_in_its_hash_and_a_remark_is_not() {
        let line = line();
        let locale = |code: &str| Some(code.parse::<Locale>().unwrap());
        let mut hashes: Vec<String> = [
            "# a remark",
            "version = \"2\"",
            "instructions = \"Name it.\"",
            "[question]\ntitles = 3",
            "[names]\ncharacters = 50",
            "[names]\ngeneric = []",
            "[names]\ncompanions = []",
            "[names]\nrefusals = []",
            "[names]\nunsafe = []",
            "examples = []",
        ]
        .iter()
        .map(|file| read(file).unwrap().hash().to_owned())
        .collect();
        for (examples, locale) in [
            (Some(line.as_str()), None),
            (None, locale("de")),
            (None, locale("de-AT")),
        ] {
            let template = Template::read(None, examples, locale).unwrap();
            hashes.push(template.hash().to_owned());
        }
        assert_eq!(hashes[0], Template::default().hash());
        let count = hashes.len();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
        assert!(hashes.iter().all(|hash| hash.len() == 32), "{hashes:?}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        for (file, reason) in [
            ("instruction = \"\"", "instruction"),
            (
                "[question]\ntitles = 6",
                "question.titles is 6, and must be from 0 to 5",
            ),
            ("[question]\ntitles = 0\nterms = 0", "together is 0"),
            ("[names]\nunsafe = \"x\"", "unsafe"),
            ("= 3", "TOML"),
            (
                "[[examples]]\n[[examples.journeys]]\nname = \"Various\"\nterms = [\"x\"]",
                "\"Various\" of an example would be refused: the name says nothing",
            ),
        ] {
            let message = read(file).unwrap_err();
            assert!(message.contains(reason), "{file}: {message}");
        }
        for (file, given) in [("", "none"), ("format = 2", "format = 2")] {
            let error = Template::read(Some(file), None, None).unwrap_err();
            assert!(error.to_string().ends_with(given), "{error}");
        }
    }

    /// The default's second example as a line of tuning data.
    fn line() -> String {
        let template = Template::default();
        let messages = [&template.prefix()[..1], &template.prefix()[3..5]].concat();
        json!({"messages": messages}).to_string()
    }

    #[test]
    fn a_line_of_tuning_data_is_an_example() {
        let template = Template::read(None, Some(&format!("\n{}\n", line())), None).unwrap();
        let default = Template::default();
        assert_eq!(template.prefix().len(), 3);
        assert_eq!(template.prefix()[1..], default.prefix()[3..5]);
        let none = Template::read(None, Some("\n"), None).unwrap();
        assert_eq!(none.prefix(), &default.prefix()[..1]);
    }

    #[test]
    fn a_line_that_is_no_example_is_named() {
        let unnamed = line().replace("Healthy Orchid Roots", "Chess Openings");
        let elsewhere = line().replacen("1a", "1z", 1);
        for (line, reason) in [
            ("{}", "line 2: "),
            (r#"{"messages":[]}"#, "line 2: there is no question"),
            (elsewhere.as_str(), "line 2: journey \"1z\" has no name"),
            (unnamed.as_str(), "\"Chess Openings\" of an example"),
        ] {
            let error = Template::read(None, Some(&format!("\n{line}")), None).unwrap_err();
            assert!(error.to_string().contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn the_instructions_and_the_examples_say_which_language_is_wanted() {
        let system = |template: &Template| template.prefix()[0]["content"].to_string();
        let default = Template::default();
        assert!(system(&default).contains("in the language of the titles, and"));
        let example = default.prefix()[1]["content"].as_str().unwrap();
        assert!(!example.contains("language"), "{example}");
        let german = Template::read(None, None, Some("de".parse().unwrap())).unwrap();
        assert!(system(&german).contains("in German, and"));
        let example = german.prefix()[1]["content"].as_str().unwrap();
        assert!(example.contains(r#""language":"English""#), "{example}");
        let silent = "format = 1\ninstructions = \"Name it.\"";
        let error = Template::read(Some(silent), None, Some("de".parse().unwrap()));
        assert!(matches!(error, Err(TemplateError::NoLanguage)));
    }
}
