//! What recommenders read, of everybody, in a form that can be compared.

use std::collections::BTreeMap;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::run::connect;
use crate::support::Server;

/// Fields of `_meta` that say which run and attempt wrote something, how often, and when.
const OF_THE_ATTEMPT: [&str; 5] = ["epoch", "attempt", "revision", "run", "written_at"];

/// Keys that are read in one round trip.
const AT_ONCE: usize = 500;

/// A hash of a user's fields, byte for byte, for each of the user's keys.
#[derive(Debug, PartialEq, Eq)]
pub struct Results(BTreeMap<String, u64>);

/// How results differ from those of an undisturbed run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Keys that are missing.
    pub lost: Vec<String>,
    /// Keys that hold something else, or that nobody should have written.
    pub other: Vec<String>,
}

impl Results {
    /// Everything that is on a server.
    pub fn on(server: &Server) -> Results {
        let mut found = BTreeMap::new();
        for mut connection in connections(server) {
            for pattern in ["sj:{*}:journeys", "sj:{*}:names"] {
                for keys in matching(&mut connection, pattern).chunks(AT_ONCE) {
                    let mut pipeline = redis::pipe();
                    for key in keys {
                        pipeline.hgetall(key);
                    }
                    let hashes: Vec<BTreeMap<String, String>> =
                        pipeline.query(&mut connection).expect("the server answers");
                    let prints = hashes.into_iter().map(fingerprint);
                    found.extend(keys.iter().cloned().zip(prints));
                }
            }
        }
        Results(found)
    }

    /// How many users have journeys.
    pub fn users(&self) -> usize {
        let users = self.0.keys().filter(|key| key.ends_with(":journeys"));
        users.count()
    }

    pub fn differing(&self, undisturbed: &Results) -> Differences {
        let mut differences = Differences::default();
        for (key, print) in &undisturbed.0 {
            match self.0.get(key) {
                None => differences.lost.push(key.clone()),
                Some(found) if found != print => differences.other.push(key.clone()),
                Some(_) => {}
            }
        }
        let surplus = self
            .0
            .keys()
            .filter(|key| !undisturbed.0.contains_key(*key));
        differences.other.extend(surplus.cloned());
        differences
    }
}

/// `_meta` of every user, by the key of the journeys.
pub fn metas(server: &Server) -> BTreeMap<String, Value> {
    let mut metas = BTreeMap::new();
    for mut connection in connections(server) {
        for keys in matching(&mut connection, "sj:{*}:journeys").chunks(AT_ONCE) {
            let mut pipeline = redis::pipe();
            for key in keys {
                pipeline.hget(key, "_meta");
            }
            let texts: Vec<String> = pipeline.query(&mut connection).expect("the server answers");
            let meta = |text: &String| serde_json::from_str(text).expect("_meta is JSON");
            metas.extend(keys.iter().cloned().zip(texts.iter().map(meta)));
        }
    }
    metas
}

/// A connection of one's own to each node that has data of its own: to one server, or to all
/// primaries of a cluster.
pub fn connections(server: &Server) -> Vec<redis::Connection> {
    let connections = server.nodes.iter().filter_map(|node| connect(node).ok());
    let primaries: Vec<redis::Connection> = connections.filter_map(if_primary).collect();
    assert!(!primaries.is_empty(), "no server answers");
    primaries
}

fn if_primary(mut connection: redis::Connection) -> Option<redis::Connection> {
    let mut info = redis::cmd("INFO");
    let info: String = info.arg("replication").query(&mut connection).ok()?;
    info.contains("role:master").then_some(connection)
}

/// Every key that matches a pattern, once.
pub fn matching(connection: &mut redis::Connection, pattern: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = 0u64;
    loop {
        let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg(&["MATCH", pattern, "COUNT", "2000"])
            .query(connection)
            .expect("the server answers");
        found.extend(keys);
        cursor = next;
        if cursor == 0 {
            // The cursor may pass a key twice.
            found.sort_unstable();
            found.dedup();
            return found;
        }
    }
}

fn fingerprint(mut fields: BTreeMap<String, String>) -> u64 {
    if let Some(meta) = fields.get_mut("_meta") {
        let mut parsed: Value = serde_json::from_str(meta).expect("_meta is JSON");
        let object = parsed.as_object_mut().expect("_meta is an object");
        object.retain(|name, _| !OF_THE_ATTEMPT.contains(&name.as_str()));
        *meta = parsed.to_string();
    }
    xxh3_64(format!("{fields:?}").as_bytes())
}
