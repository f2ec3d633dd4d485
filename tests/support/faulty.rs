//! A model endpoint as a process of its own: it misbehaves as it is told, and keeps the books.

// Every test file uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::support::{Running, command, ingest, said};

pub struct Faulty {
    process: Running,
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
            process: Running(child),
            url: url.trim().to_owned(),
            client: reqwest::Client::new(),
        }
    }

    /// What to give to `--endpoint`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
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

/// A dataset of users with two journeys each, of which no two are alike; so many users in a shard.
pub fn distinct_dataset(folder: &Path, users: u64, users_per_shard: u64) -> String {
    let mut items = String::from("item_id,title,description\n");
    let mut interactions = String::from("user_id,item_id,timestamp,weight\n");
    for user in 0..users {
        for n in 0..6 {
            items.push_str(&format!(
                "uke{user}-{n},Ukulele fingerstyle lesson {user} part {n},Fingerpicking chords\n\
                 hyd{user}-{n},Hydroponic lettuce tower {user} part {n},Nutrient solution pump\n"
            ));
            let time = 1_760_000_000 + n * 86_400 + user;
            interactions.push_str(&format!("u{user},uke{user}-{n},{time},1\n"));
            interactions.push_str(&format!("u{user},hyd{user}-{n},{},1\n", time + 40));
        }
    }
    std::fs::write(folder.join("items.csv"), items).expect("room on disk");
    std::fs::write(folder.join("interactions.csv"), interactions).expect("room on disk");
    let out = folder.join("dataset");
    let users_per_shard = users_per_shard.to_string();
    let output = ingest(folder, &out, &["--users-per-shard", &users_per_shard]);
    assert!(output.status.success(), "{}", said(&output));
    out.display().to_string()
}
