//! A model endpoint as a process of its own: it misbehaves as it is told, and keeps the books.

// Every test file uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::support::{Running, command};

pub struct Faulty {
    _process: Running,
    url: String,
    client: reqwest::Client,
}

impl Faulty {
    /// One that behaves like this.
    pub fn start(behaviour: &Value) -> Faulty {
        sojourn::settings::install_tls();
        let mut child = command("faulty-endpoint")
            .args(["--behave", &behaviour.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the endpoint runs");
        let output = child.stdout.take().expect("its output");
        let mut url = String::new();
        let read = BufReader::new(output).read_line(&mut url);
        read.expect("a line");
        Faulty {
            _process: Running(child),
            url: url.trim().to_owned(),
            client: reqwest::Client::new(),
        }
    }

    /// What to give to `--endpoint`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Behaves like this from now on.
    pub async fn behave(&self, behaviour: &Value) {
        let url = self.url.replace("/v1", "/behave");
        let told = self.client.put(url).json(behaviour).send().await;
        let told = told.expect("it listens");
        assert!(told.status().is_success(), "{}", told.status());
    }

    /// The books.
    pub async fn report(&self) -> Value {
        let url = self.url.replace("/v1", "/report");
        let report = self.client.get(url).send().await.expect("it listens");
        report.json().await.expect("a report")
    }
}
