//! The model: what it is asked, and the names that it gives when it does what it should.

use serde_json::{Value, json};

use crate::behaviour::What;

/// A question as it arrived.
pub struct Question {
    pub journeys: Vec<Asked>,
    /// Tokens of it, at four bytes each.
    pub tokens: u64,
    /// Of those, what every question begins with.
    pub cached_tokens: u64,
    /// The last message.
    pub text: String,
    /// Answers that are wanted.
    samples: usize,
}

/// A journey of a question.
pub struct Asked {
    pub id: String,
    titles: Vec<String>,
    terms: Vec<String>,
}

/// An answer.
pub struct Answer {
    pub completion: Value,
    pub tokens: u64,
    /// What is known of the journeys that were given a good name.
    pub named: Vec<String>,
}

impl Question {
    /// Reads a request. What is not understood is not there.
    pub fn read(body: &Value) -> Question {
        let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let bytes = |message: &Value| message["content"].as_str().map_or(0, str::len) as u64;
        let (last, before) = messages.split_last().unwrap_or((&Value::Null, &[]));
        let cached: u64 = before.iter().map(bytes).sum();
        let text = last["content"].as_str().unwrap_or_default();
        let json = &text[text.find('{').unwrap_or(text.len())..];
        let asked = serde_json::Deserializer::from_str(json)
            .into_iter::<Value>()
            .next();
        let asked = asked.and_then(Result::ok).unwrap_or_default();
        let texts = |value: &Value| -> Vec<String> {
            let texts = value.as_array().into_iter().flatten();
            texts.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let users = asked["users"].as_array().into_iter().flatten();
        let journeys = users.flat_map(|user| user["journeys"].as_array()).flatten();
        Question {
            journeys: journeys
                .map(|journey| Asked {
                    id: journey["id"].as_str().unwrap_or_default().into(),
                    titles: texts(&journey["titles"]),
                    terms: texts(&journey["terms"]),
                })
                .collect(),
            tokens: (cached + bytes(last)).div_ceil(4),
            cached_tokens: cached / 4,
            text: text.into(),
            samples: body["n"].as_u64().unwrap_or(1).clamp(1, 16) as usize,
        }
    }

    /// The answer, with this wrong with it.
    pub fn answer(&self, wrong: Option<&What>) -> Answer {
        let mut names: Vec<(String, String)> = self
            .journeys
            .iter()
            .map(|asked| (asked.id.clone(), asked.name()))
            .collect();
        let mut named: Vec<String> = self.journeys.iter().map(Asked::key).collect();
        match wrong {
            Some(What::Swapped) if names.len() > 1 => {
                let first = names[0].1.clone();
                names[0].1 = std::mem::replace(&mut names[1].1, first);
                named.drain(..2);
            }
            Some(What::Missing) if !names.is_empty() => {
                names.remove(0);
                named.remove(0);
            }
            Some(What::Doubled) if !names.is_empty() => {
                names.push((names[0].0.clone(), format!("{} Again", names[0].1)));
                named.remove(0);
            }
            Some(What::Extra) => names.push(("9zz".into(), "Nobody Asked for This".into())),
            Some(What::Obeys { name }) => {
                names.iter_mut().for_each(|(_, of)| of.clone_from(name));
                named.clear();
            }
            _ => {}
        }
        let entries: Vec<Value> = names
            .into_iter()
            .map(|(id, name)| json!({"id": id, "name": name}))
            .collect();
        let mut text = json!({"names": entries}).to_string();
        let mut finish_reason = "stop";
        match wrong {
            Some(What::Garbled) => {
                text = text.replace(['"', '{'], "");
                named.clear();
            }
            Some(What::Truncated) => {
                text.truncate(text.floor_char_boundary(text.len() / 2));
                finish_reason = "length";
                // Whatever was whole may be used: nobody knows here what is.
                named.clear();
            }
            Some(What::Refusal) => {
                text = "I'm sorry, but I cannot help with that.".into();
                named.clear();
            }
            Some(What::Withheld) => {
                text.clear();
                finish_reason = "content_filter";
                named.clear();
            }
            _ => {}
        }
        let tokens = text.len().div_ceil(4) as u64 * self.samples as u64;
        let content = match finish_reason {
            "content_filter" => Value::Null,
            _ => text.into(),
        };
        let choice = |index| {
            json!({"index": index, "finish_reason": finish_reason,
                   "message": {"role": "assistant", "content": content}})
        };
        let completion = json!({
            "object": "chat.completion",
            "choices": (0..self.samples).map(choice).collect::<Vec<_>>(),
            "usage": {
                "prompt_tokens": self.tokens,
                "completion_tokens": tokens,
                "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
            },
        });
        Answer {
            completion,
            tokens,
            named,
        }
    }
}

impl Asked {
    /// A name that is about the journey.
    fn name(&self) -> String {
        let words = self
            .titles
            .iter()
            .flat_map(|title| title.split_whitespace());
        let about = self.terms.first().cloned();
        let about = about.unwrap_or_else(|| words.take(2).collect::<Vec<_>>().join(" "));
        format!("{about} for Beginners")
    }

    /// What tells it from others: everything that is known of it.
    fn key(&self) -> String {
        format!("{}|{}", self.titles.join("|"), self.terms.join("|"))
    }
}
