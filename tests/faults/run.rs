//! A run, as the command line and the register show it.

use std::collections::{BTreeMap, BTreeSet};

use redis::FromRedisValue;
use serde_json::Value;

use crate::support::{Node, Server, command, json, said};
use crate::wait_long;

/// How long the server may be silent before a look at it counts as failed.
const LOOK: std::time::Duration = std::time::Duration::from_secs(5);

/// Asks the server something, over a connection of its own: what is done to those of the processes
/// must not reach the one who looks. Of a cluster, the node that has the key is asked.
pub fn query<T: FromRedisValue>(server: &Server, words: &[&str]) -> redis::RedisResult<T> {
    let is_elsewhere =
        |error: &redis::RedisError| error.code() == Some("MOVED") || error.is_io_error();
    let (first, others) = server.nodes.split_first().expect("a node");
    let mut answer = query_node(first, words);
    for node in others {
        if !answer.as_ref().is_err_and(is_elsewhere) {
            break;
        }
        answer = query_node(node, words);
    }
    answer
}

fn query_node<T: FromRedisValue>(node: &Node, words: &[&str]) -> redis::RedisResult<T> {
    let (name, arguments) = words.split_first().expect("a command");
    redis::cmd(name).arg(arguments).query(&mut connect(node)?)
}

/// A connection to a node, if it is there.
pub fn connect(node: &Node) -> redis::RedisResult<redis::Connection> {
    let client = redis::Client::open(format!("unix://{}", node.socket().display()))?;
    let connection = client.get_connection_with_timeout(LOOK)?;
    connection.set_read_timeout(Some(LOOK))?;
    Ok(connection)
}

/// `sojourn` with arguments on a server that is well, to its end, with JSON output.
pub fn ask(server: &Server, arguments: &[&str]) -> Value {
    let output = command("sojourn")
        .args(arguments)
        .arg("--json")
        .env("SOJOURN_REDIS", server.url())
        .output()
        .expect("sojourn runs");
    // 4: the run ended otherwise than hoped for, which the caller finds in the answer.
    let ended = matches!(output.status.code(), Some(0 | 4));
    assert!(ended, "{arguments:?}: {}", said(&output));
    json(&output)
}

/// A run that was asked for.
pub struct Run<'a> {
    pub id: String,
    server: &'a Server,
}

impl<'a> Run<'a> {
    /// A run that was asked for before.
    pub fn of(server: &'a Server, id: &str) -> Run<'a> {
        let id = id.to_owned();
        Run { id, server }
    }

    /// Asks for a run over everybody.
    pub fn backfill(server: &'a Server, dataset: &str) -> Run<'a> {
        Run::request(server, &["backfill", dataset])
    }

    /// Asks for a run by a command.
    pub fn request(server: &'a Server, arguments: &[&str]) -> Run<'a> {
        let asked = ask(server, arguments);
        Run::of(server, asked["run"].as_str().expect("a run"))
    }

    pub fn status(&self) -> Value {
        ask(self.server, &["run", &self.id])
    }

    /// A field of its hash; none while the server does not answer.
    fn field(&self, name: &str) -> Option<String> {
        let key = format!("sj:{{runs}}:{}", self.id);
        query(self.server, &["HGET", &key, name]).ok()?
    }

    /// Sum of a count over the partitions of a kind; 0 while the server does not answer.
    pub fn count(&self, kind: &str, name: &str) -> u64 {
        let of = |partition| {
            let key = format!("sj:{{{kind}:{partition}}}:run:{}", self.id);
            let count: Option<u64> = query(self.server, &["HGET", &key, name]).unwrap_or(None);
            count.unwrap_or(0)
        };
        (0..PARTITIONS).map(of).sum()
    }

    pub fn is_over(&self) -> bool {
        let state = self.field("state");
        matches!(state.as_deref(), Some("done" | "failed" | "cancelled"))
    }

    /// Waits until so many extraction jobs are done.
    pub fn wait_for_jobs(&self, done: u64) {
        wait_long("jobs that are done", || {
            (self.count("extract", "done") >= done || self.is_over()).then_some(())
        });
    }

    /// Waits until it is over; returns what was counted.
    pub fn wait_until_done(&self) -> Counts {
        wait_long("the end of the run", || self.is_over().then_some(()));
        let status = self.status();
        assert_eq!(status["state"], "done", "{status}");
        Counts::of(&status)
    }
}

/// Partitions of each queue, as in a deployment that nobody has told otherwise.
pub const PARTITIONS: u32 = 4;

/// Everything that a run has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn of(status: &Value) -> Counts {
        let counts = status["counts"].as_object().expect("counts");
        let count = |(name, value): (&String, &Value)| Some((name.clone(), value.as_u64()?));
        Counts(counts.iter().filter_map(count).collect())
    }

    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// What differs from the counts of an undisturbed run, but for what says how often things were
    /// tried: `naming_queued` is what the last attempt at each extraction has found without a name.
    pub fn differing(&self, undisturbed: &Counts) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(undisturbed.0.keys()).collect();
        names
            .into_iter()
            .filter(|name| !name.ends_with("retried") && *name != "naming_queued")
            .filter(|name| self.get(name) != undisturbed.get(name))
            .map(|name| {
                format!(
                    "{name}: {} and not {}",
                    self.get(name),
                    undisturbed.get(name)
                )
            })
            .collect()
    }
}
