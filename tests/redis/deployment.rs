//! A whole deployment on some Redis, and what must come out of it.

use std::process::Command;

use serde_json::Value;
use sojourn::connection::{Redis, RedisOptions};
use sojourn::store::JourneyReader;

use crate::support::{Running, command, json, said, wait_for};

/// Short, so that what was held by a dead worker goes on soon.
const LEASE: &str = "2";

/// How the programs reach Redis: environment variables.
#[derive(Clone, Default)]
pub struct Access(pub Vec<(&'static str, String)>);

impl Access {
    pub fn to(url: &str) -> Access {
        Access(vec![("SOJOURN_REDIS", url.into())])
    }

    /// With one more variable.
    pub fn with(mut self, variable: &'static str, value: impl Into<String>) -> Access {
        self.0.push((variable, value.into()));
        self
    }

    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = command(program);
        command.args(arguments).envs(self.0.iter().cloned());
        command
    }

    pub fn start(&self, program: &str, arguments: &[&str]) -> Running {
        Running::spawn(self.command(program, arguments))
    }

    /// A scheduler and a worker of each kind.
    pub fn deploy(&self) -> Vec<Running> {
        vec![
            self.start("sojourn", &["serve"]),
            self.start("sojourn-worker", &["extract", "--lease", LEASE]),
            self.start("sojourn-worker", &["name", "--lease", LEASE]),
        ]
    }

    /// `sojourn` to its end, with JSON output; it must end well.
    pub fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.command("sojourn", arguments).arg("--json").output();
        let output = output.expect("sojourn runs");
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        json(&output)
    }

    /// Asks for a backfill and returns the run.
    pub fn backfill(&self, dataset: &str) -> String {
        let run = self.ask(&["backfill", dataset]);
        run["run"].as_str().expect("a run").to_owned()
    }

    /// Waits until so many jobs of a run are done; Redis may be away meanwhile.
    pub fn wait_for_jobs(&self, run: &str, done: u64) {
        wait_for("some jobs", || {
            let output = self.command("sojourn", &["run", run, "--json"]).output();
            let output = output.expect("sojourn runs");
            if output.stdout.is_empty() {
                return None;
            }
            let counts = &json(&output)["counts"];
            (counts["done"].as_u64() >= Some(done)).then_some(())
        });
    }
}

/// Checks that every user of [`small_dataset`](crate::support::small_dataset) has both journeys, with
/// names that a naming worker gave them. Returns who has not.
pub async fn without_names(options: &RedisOptions, users: usize) -> Vec<String> {
    let redis = Redis::connect(options).await.expect("Redis is there");
    let reader = JourneyReader::new(&redis);
    let users: Vec<String> = (0..users).map(|user| format!("u{user}")).collect();
    let stored = reader
        .journeys_of_many(&users)
        .await
        .expect("Redis is there");
    let names = reader.names_of_many(&users).await.expect("Redis is there");
    let mut without = Vec::new();
    for ((user, stored), names) in users.into_iter().zip(stored).zip(names) {
        let whole = stored.expect("results of this version").is_some_and(|of| {
            of.journeys.len() == 2
                && of.journeys.iter().all(|journey| {
                    !journey.wants_name() && names.get(&journey.id) == Some(&journey.name)
                })
        });
        if !whole {
            without.push(user);
        }
    }
    without
}

/// Checks what a run over [`small_dataset`](crate::support::small_dataset) has counted.
pub fn assert_counted_once(status: &Value, users: usize) {
    let count = |name: &str| status["counts"][name].as_u64().unwrap_or(0) as usize;
    assert_eq!(status["state"], "done", "{status}");
    assert_eq!((count("users"), count("done")), (users, users), "{status}");
    for name in ["journeys", "journeys_to_name", "named"] {
        assert_eq!(count(name), 2 * users, "{name}: {status}");
    }
    assert_eq!((count("dead"), count("naming_dead")), (0, 0), "{status}");
}
