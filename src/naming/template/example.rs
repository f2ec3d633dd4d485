//! An example of a question with its answer, in the template or in a line of tuning data.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::naming::prompt::id;

/// A user with the names that the model should have given.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::naming) struct Example {
    /// Of the names, in English; said to the model only where names shall be in a certain one.
    #[serde(default)]
    pub language: Option<String>,
    /// Names of the user's other journeys.
    #[serde(default)]
    pub taken: Vec<String>,
    pub journeys: Vec<ExampleJourney>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::naming) struct ExampleJourney {
    pub name: String,
    #[serde(default)]
    pub terms: Vec<String>,
    #[serde(default)]
    pub titles: Vec<String>,
}

/// A line of tuning data.
#[derive(Deserialize)]
struct Line {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

#[derive(Deserialize)]
struct Question {
    users: Vec<QuestionUser>,
}

#[derive(Deserialize)]
struct QuestionUser {
    journeys: Vec<QuestionJourney>,
    #[serde(default)]
    taken: Vec<String>,
}

#[derive(Deserialize)]
struct QuestionJourney {
    id: String,
    #[serde(default)]
    terms: Vec<String>,
    #[serde(default)]
    titles: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    names: Vec<AnsweredName>,
}

#[derive(Deserialize)]
struct AnsweredName {
    id: String,
    name: String,
}

impl Example {
    /// Reads a line of tuning data: its last question and answer.
    pub(super) fn of_line(line: &str) -> Result<Example, String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let last = |role: &str| {
            let mut messages = line.messages.iter().rev();
            let message = messages.find(|message| message.role == role);
            message.map(|message| message.content.as_str())
        };
        let (Some(question), Some(answer)) = (last("user"), last("assistant")) else {
            return Err("there is no question with an answer".into());
        };
        let question: Question =
            serde_json::from_str(question).map_err(|error| format!("the question: {error}"))?;
        let answer: Answer =
            serde_json::from_str(answer).map_err(|error| format!("the answer: {error}"))?;
        let Ok([user]) = <[QuestionUser; 1]>::try_from(question.users) else {
            return Err("the question is not about one user".into());
        };
        let names = answer.names.into_iter().map(|named| (named.id, named.name));
        let mut names: HashMap<String, String> = names.collect();
        let journeys = user.journeys.into_iter().map(|journey| {
            let name = names.remove(&journey.id);
            Ok(ExampleJourney {
                name: name.ok_or_else(|| format!("journey {:?} has no name", journey.id))?,
                terms: journey.terms,
                titles: journey.titles,
            })
        });
        Ok(Example {
            language: None,
            taken: user.taken,
            journeys: journeys.collect::<Result<_, String>>()?,
        })
    }

    /// The question, as one about a real user would be.
    pub(in crate::naming) fn question(&self, says_language: bool) -> Value {
        let journey = |(at, journey): (usize, &ExampleJourney)| {
            let ExampleJourney { terms, titles, .. } = journey;
            json!({"id": id(1, at), "terms": terms, "titles": titles})
        };
        let journeys: Vec<Value> = self.journeys.iter().enumerate().map(journey).collect();
        let mut user = json!({"journeys": journeys});
        if !self.taken.is_empty() {
            user["taken"] = json!(self.taken);
        }
        let mut question = json!({"users": [user]});
        if let Some(language) = self.language.as_ref().filter(|_| says_language) {
            question["language"] = json!(language);
        }
        question
    }

    /// The answer that is wanted.
    pub(in crate::naming) fn answer(&self) -> Value {
        let names = self.journeys.iter().enumerate();
        let names = names.map(|(at, journey)| json!({"id": id(1, at), "name": journey.name}));
        json!({"names": names.collect::<Vec<_>>()})
    }
}
