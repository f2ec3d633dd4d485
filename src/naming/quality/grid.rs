//! The ways to name that are compared.

use serde::{Deserialize, Serialize};

use super::QualityError;
use crate::naming::{LlmNamer, LlmOptions, Namer, Template};

/// What a model is told of a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Excerpt {
    /// Titles and terms.
    Both,
    /// Titles.
    Titles,
    /// Terms.
    Terms,
}

/// How a model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asking {
    /// Journeys in one call, at most.
    pub journeys_per_call: usize,
    /// How many of the template's examples are shown, from the first.
    pub examples: usize,
    /// What is told of a journey.
    pub shown: Excerpt,
    /// Answers to each question.
    pub samples: usize,
}

/// One way to name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "namer", rename_all = "lowercase")]
pub enum Setting {
    /// Of terms.
    Terms,
    /// By a model.
    Llm {
        /// Its name, as the endpoint knows it.
        model: String,
        /// Hash of the template that it is asked by.
        prompt: String,
        /// How it is asked.
        #[serde(flatten)]
        asking: Asking,
    },
}

/// Values of each factor. The first ones together are the base; each other one is tried in its place.
#[derive(Clone, Debug)]
pub struct Grid {
    /// See [`Asking::journeys_per_call`].
    pub journeys_per_call: Vec<usize>,
    /// See [`Asking::examples`].
    pub examples: Vec<usize>,
    /// See [`Asking::shown`].
    pub shown: Vec<Excerpt>,
    /// See [`Asking::samples`].
    pub samples: Vec<usize>,
}

impl Grid {
    /// The base, then what differs from it in one factor. None where a factor has no value.
    pub fn askings(&self) -> Vec<Asking> {
        let first = self.journeys_per_call.first().zip(self.examples.first());
        let first = first.zip(self.shown.first().zip(self.samples.first()));
        let Some(((&journeys_per_call, &examples), (&shown, &samples))) = first else {
            return Vec::new();
        };
        let base = Asking {
            journeys_per_call,
            examples,
            shown,
            samples,
        };
        let calls = self.journeys_per_call.iter().map(|&n| Asking {
            journeys_per_call: n,
            ..base
        });
        let examples = self.examples.iter().map(|&n| Asking {
            examples: n,
            ..base
        });
        let shown = self.shown.iter().map(|&shown| Asking { shown, ..base });
        let samples = self.samples.iter().map(|&n| Asking { samples: n, ..base });
        let mut askings = vec![base];
        for asking in calls.chain(examples).chain(shown).chain(samples) {
            if !askings.contains(&asking) {
                askings.push(asking);
            }
        }
        askings
    }
}

impl Asking {
    /// What asks so, and how it is called. The model, its endpoint and its limits are those of the
    /// options.
    ///
    /// # Errors
    /// When the template has too few examples, or the options make no namer.
    pub fn namer(
        self,
        options: &LlmOptions,
        template: &Template,
    ) -> Result<(Setting, Namer), QualityError> {
        let there = template.examples().len();
        if self.examples > there {
            let wanted = self.examples;
            return Err(QualityError::Examples { there, wanted });
        }
        let template = template.excerpt(self.examples, self.shown);
        let setting = Setting::Llm {
            model: options.model.clone(),
            prompt: template.hash().into(),
            asking: self,
        };
        let options = LlmOptions {
            journeys_per_call: self.journeys_per_call,
            ..options.clone()
        };
        let namer = LlmNamer::new(options)?;
        let namer = namer.with_template(template).with_samples(self.samples);
        Ok((setting, Namer::Llm(Box::new(namer))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_differ_from_the_base_in_one_factor() {
        let grid = Grid {
            journeys_per_call: vec![1, 8],
            examples: vec![2, 0, 2],
            shown: vec![Excerpt::Both, Excerpt::Terms],
            samples: vec![1, 4],
        };
        let askings = grid.askings();
        let told: Vec<_> = askings
            .iter()
            .map(|a| (a.journeys_per_call, a.examples, a.shown, a.samples))
            .collect();
        assert_eq!(
            told,
            [
                (1, 2, Excerpt::Both, 1),
                (8, 2, Excerpt::Both, 1),
                (1, 0, Excerpt::Both, 1),
                (1, 2, Excerpt::Terms, 1),
                (1, 2, Excerpt::Both, 4),
            ]
        );
    }

    #[test]
    fn a_setting_is_read_as_it_was_written() {
        let setting = Setting::Llm {
            model: "m".into(),
            prompt: "h".into(),
            asking: Asking {
                journeys_per_call: 8,
                examples: 2,
                shown: Excerpt::Titles,
                samples: 4,
            },
        };
        for setting in [setting, Setting::Terms] {
            let text = serde_json::to_string(&setting).unwrap();
            assert_eq!(
                serde_json::from_str::<Setting>(&text).unwrap(),
                setting,
                "{text}"
            );
        }
    }
}
