//! Naming workers that are killed and replaced, and what the books of their endpoint say of that.

// Every test file uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;
use sojourn::journey::NameSource;
use sojourn::store::JourneyReader;

use super::support::{Running, Server, command};

/// Processes at any time.
const WORKERS: usize = 8;

/// Naming workers. Each has a key of its own, by which the endpoint tells them apart.
pub struct Workforce<'a> {
    server: &'a Server,
    arguments: Vec<String>,
    /// Calls that each has under way, at most.
    calls: usize,
    working: Vec<(String, Running)>,
    killed: BTreeSet<String>,
}

/// What was paid for more than once.
#[derive(Debug, Default)]
pub struct Repeats {
    pub calls: usize,
    pub journeys: usize,
}

impl<'a> Workforce<'a> {
    pub fn start(server: &'a Server, calls: usize, arguments: &str) -> Workforce<'a> {
        // That workers die with a job says nothing of it here.
        let arguments = format!("name --concurrency {calls} --max-crashes 1000 {arguments}");
        let mut workforce = Workforce {
            server,
            arguments: arguments.split(' ').map(str::to_owned).collect(),
            calls,
            working: Vec::new(),
            killed: BTreeSet::new(),
        };
        for _ in 0..WORKERS {
            workforce.hire();
        }
        workforce
    }

    fn hire(&mut self) {
        let key = format!("worker-{}", self.killed.len() + self.working.len());
        let log = self.server.folder.path().join(format!("{key}.log"));
        let mut worker = command("sojourn-worker");
        worker
            .args(&self.arguments)
            .env("SOJOURN_LLM_API_KEY", &key)
            .env("SOJOURN_REDIS", self.server.url())
            .stderr(std::fs::File::create(log).expect("a log file"));
        self.working.push((key, Running::spawn(worker)));
    }

    /// Ends one of them without warning, and starts another.
    pub fn replace_one(&mut self, chance: &mut StdRng) {
        self.replace(chance.random_range(0..WORKERS));
    }

    /// Ends all of them without warning, and starts others.
    pub fn replace_all(&mut self) {
        for _ in 0..WORKERS {
            self.replace(0);
        }
    }

    fn replace(&mut self, number: usize) {
        let (key, mut worker) = self.working.remove(number);
        worker.0.kill().expect("it is ours");
        worker.0.wait().expect("it ends");
        self.killed.insert(key);
        self.hire();
    }

    pub fn killed(&self) -> usize {
        self.killed.len()
    }

    /// Asserts that nobody has ended by itself, and that nothing was paid for twice but what workers
    /// had under way when they were killed.
    pub fn judge(&mut self, report: &Value) -> Repeats {
        for (key, worker) in &mut self.working {
            let ended = worker.0.try_wait().expect("it is ours");
            assert!(ended.is_none(), "{key} has ended: {ended:?}");
        }
        let mut lost: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        let mut repeats = Repeats::default();
        let again = report["journeys"]["again"].as_object().expect("journeys");
        for (journey, calls) in again {
            let (_, before) = calls.as_array().expect("calls").split_last().expect("some");
            for call in before {
                let caller = call[0].as_str().expect("a caller");
                assert!(
                    self.killed.contains(caller),
                    "{journey} was paid for again, though {caller} lives: {calls}"
                );
                let number = call[1].as_u64().expect("a number");
                lost.entry(caller).or_default().insert(number);
                repeats.journeys += 1;
            }
        }
        for (caller, calls) in lost {
            assert!(
                calls.len() <= self.calls,
                "{caller} had {} calls under way at most; what these were paid for was lost: {calls:?}",
                self.calls
            );
            repeats.calls += calls.len();
        }
        repeats
    }
}

/// The journeys of users of a [distinct dataset](super::faulty::distinct_dataset) in Redis by where
/// their names come from; asserts that all are there, and have names.
pub async fn names_by_source(server: &Server, users: u64) -> BTreeMap<&'static str, u64> {
    let reader = JourneyReader::connect(&server.url())
        .await
        .expect("it answers");
    let mut sources = BTreeMap::new();
    let users: Vec<String> = (0..users).map(|user| format!("u{user}")).collect();
    for users in users.chunks(1000) {
        let read = reader.journeys_of_many(users).await.expect("it answers");
        for (user, read) in users.iter().zip(read) {
            let stored = read.expect("what was written").expect("somebody");
            assert_eq!(stored.journeys.len(), 2, "{user}: {stored:?}");
            for journey in &stored.journeys {
                let source = match journey.name_source {
                    NameSource::Llm => "llm",
                    NameSource::Fallback => "fallback",
                    other => panic!("{user}: {other:?}: {journey:?}"),
                };
                assert!(!journey.name.contains("HACKED"), "{user}: {journey:?}");
                *sources.entry(source).or_default() += 1;
            }
        }
    }
    sources
}
