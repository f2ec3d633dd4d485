//! A model endpoint of the tests' own: speaks the OpenAI chat-completions form on loopback, answers
//! as it is told, and remembers what it was asked.

// Every test file uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// One journey of a question.
#[derive(Clone, Debug)]
pub struct Asked {
    pub id: String,
    pub titles: Vec<String>,
    pub terms: Vec<String>,
}

/// A question as it arrived.
#[derive(Clone, Debug)]
pub struct Question {
    /// 0 for the first one.
    pub number: usize,
    /// The request, parameters and messages.
    pub body: Value,
    /// Value of the Authorization header.
    pub authorization: Option<String>,
    /// The journeys in it, of all users.
    pub asked: Vec<Asked>,
    /// The names that it says are taken, of all users.
    pub taken: Vec<String>,
}

impl Question {
    /// The first title of each journey.
    pub fn first_titles(&self) -> Vec<&str> {
        self.asked
            .iter()
            .map(|asked| asked.titles[0].as_str())
            .collect()
    }

    /// Whether any title holds a text.
    pub fn mentions(&self, text: &str) -> bool {
        let mut titles = self.asked.iter().flat_map(|asked| &asked.titles);
        titles.any(|title| title.contains(text))
    }
}

/// What the endpoint does with a question.
#[derive(Clone)]
pub enum Turn {
    /// 200 with a completion of this text.
    Says(String),
    /// 200 with this body.
    Completes(Value),
    /// Another status, headers that end in line breaks, and a body.
    Fails(u16, &'static str, String),
    /// The connection ends in the middle of the answer.
    Cuts,
    /// No answer, until the asker goes away.
    Hangs,
    /// 200 and an answer without end, until the asker goes away.
    Floods,
}

/// The endpoint. Its threads end with the test's process.
pub struct Endpoint {
    port: u16,
    questions: Arc<Mutex<Vec<Question>>>,
}

impl Endpoint {
    /// An endpoint that answers by `script`.
    pub fn start(script: impl Fn(&Question) -> Turn + Send + Sync + 'static) -> Endpoint {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let questions = Arc::new(Mutex::new(Vec::new()));
        let (script, heard) = (Arc::new(script), questions.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (script, heard) = (script.clone(), heard.clone());
                // An asker that goes away is what some tests are about.
                std::thread::spawn(move || drop(serve(connection, &*script, &heard)));
            }
        });
        Endpoint { port, questions }
    }

    /// What to give to `--endpoint`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// What was asked so far.
    pub fn questions(&self) -> Vec<Question> {
        self.questions.lock().expect("no script panicked").clone()
    }

    /// How many journeys each question held.
    pub fn sizes(&self) -> Vec<usize> {
        let questions = self.questions();
        questions
            .iter()
            .map(|question| question.asked.len())
            .collect()
    }
}

fn serve(
    mut connection: TcpStream,
    script: &(dyn Fn(&Question) -> Turn + Send + Sync),
    heard: &Mutex<Vec<Question>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        // The asker went away before it asked.
        return Ok(());
    }
    assert_eq!(line, "POST /v1/chat/completions HTTP/1.1\r\n");
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a length"),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).expect("the request is JSON");
    let question = {
        let mut heard = heard.lock().expect("no script panicked");
        let question = question(heard.len(), body, authorization);
        heard.push(question.clone());
        question
    };
    let (status, headers, body) = match script(&question) {
        Turn::Says(text) => (200, "", completion(&text).to_string()),
        Turn::Completes(body) => (200, "", body.to_string()),
        Turn::Fails(status, headers, body) => (status, headers, body),
        Turn::Cuts => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"choices\":[";
            return connection.write_all(head.as_bytes());
        }
        Turn::Floods => {
            connection.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"choices\":[")?;
            loop {
                connection.write_all(&[b' '; 4096])?;
            }
        }
        Turn::Hangs => return reader.read_to_end(&mut Vec::new()).map(drop),
    };
    let head = format!(
        "HTTP/1.1 {status} -\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all((head + &body).as_bytes())
}

fn question(number: usize, body: Value, authorization: Option<String>) -> Question {
    let messages = body["messages"].as_array().expect("messages");
    let last = messages.last().expect("a message")["content"].as_str();
    let users: Value =
        serde_json::from_str(last.expect("a text")).expect("the last message is JSON");
    let users = users["users"].as_array().expect("users");
    let texts = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts
            .map(|text| text.as_str().expect("a text").to_owned())
            .collect()
    };
    let journeys = users.iter().flat_map(|user| user["journeys"].as_array());
    let asked = journeys.flatten().map(|journey| Asked {
        id: journey["id"].as_str().expect("an id").to_owned(),
        titles: texts(&journey["titles"]),
        terms: texts(&journey["terms"]),
    });
    Question {
        number,
        asked: asked.collect(),
        taken: users
            .iter()
            .flat_map(|user| texts(&user["taken"]))
            .collect(),
        body,
        authorization,
    }
}

/// A completion of 10 and 5 tokens.
fn completion(text: &str) -> Value {
    json!({
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    })
}

/// The name that this model gives when it does what it should.
pub fn good_name(asked: &Asked) -> String {
    format!("{} for Beginners", asked.terms[0])
}

/// The right names, in the order of the question.
pub fn good_names(question: &Question) -> Vec<(String, String)> {
    let named = |asked: &Asked| (asked.id.clone(), good_name(asked));
    question.asked.iter().map(named).collect()
}

/// An answer in the form that was asked for.
pub fn says(names: Vec<(String, String)>) -> Turn {
    let names: Vec<Value> = names
        .into_iter()
        .map(|(id, name)| json!({"id": id, "name": name}))
        .collect();
    Turn::Says(json!({"names": names}).to_string())
}

/// The right answer.
pub fn answers(question: &Question) -> Turn {
    says(good_names(question))
}
