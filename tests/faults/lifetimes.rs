//! How long everything in Redis lives, and what it weighs.

use std::collections::BTreeMap;

use redis::Connection;

use crate::results::{connections, matching};
use crate::support::Server;

/// What may stay for ever, and why.
const PERMANENT: [(&str, &str); 12] = [
    ("sj:{*}:names", "results that nobody gave a lifetime"),
    ("sj:{*}:journeys", "results that nobody gave a lifetime"),
    ("sj:{runs}:settings", "one: how many partitions there are"),
    ("sj:{runs}:epoch", "one: the number of the newest run"),
    (
        "sj:{runs}:index",
        "one: ids of runs, as long as their hashes twice over",
    ),
    ("sj:{runs}:active", "one: ids of runs that are not over"),
    (
        "sj:triggers",
        "one: an entry until its run is in the register",
    ),
    (
        "sj:{*}:high",
        "one a partition: an entry until its job is settled",
    ),
    (
        "sj:{*}:low",
        "one a partition: an entry until its job is settled",
    ),
    ("sj:{*}:retry", "one a lane: an entry until it is due"),
    ("sj:{*}:paused", "one a lane: until it is resumed"),
    (
        "sj:{*}:dead",
        "one a partition: a letter for 30 days, then the scheduler trims it",
    ),
];

/// Kinds of keys that live for a time, by what they end with or hold. All of one run.
const PASSING: [(&str, &str); 7] = [
    (":asked:", "runs"),
    (":cohort:", "cohorts"),
    (":pending", "pending sets"),
    (":queued", "queued sets"),
    (":parked", "parked jobs"),
    (":run:", "counts of runs"),
    ("{runs}", "runs"),
];

/// Keys of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    pub keys: u64,
    pub bytes: u64,
}

/// What is in a Redis, by kind.
pub type Inventory = BTreeMap<String, Weight>;

/// Looks at every key; asserts that what has no lifetime may stay.
pub fn take_inventory(server: &Server) -> Inventory {
    let mut inventory = Inventory::new();
    for mut connection in connections(server) {
        weigh(&mut connection, &mut inventory);
    }
    inventory
}

fn weigh(connection: &mut Connection, inventory: &mut Inventory) {
    for keys in matching(connection, "*").chunks(500) {
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.cmd("PTTL").arg(key);
            pipeline.cmd("MEMORY").arg(&["USAGE", key, "SAMPLES", "0"]);
        }
        let looks: Vec<Option<i64>> = pipeline.query(connection).expect("the server answers");
        for (key, look) in keys.iter().zip(looks.chunks(2)) {
            // Gone since: deleted, or its time was up.
            let (Some(lifetime @ -1..), Some(bytes)) = (look[0], look[1]) else {
                continue;
            };
            let kind = kind(key, lifetime == -1);
            let weight = inventory.entry(kind).or_default();
            weight.keys += 1;
            weight.bytes += bytes.unsigned_abs();
        }
    }
}

/// What kind of key this is.
fn kind(key: &str, is_permanent: bool) -> String {
    let permanent = PERMANENT.iter().find(|(pattern, _)| matches(pattern, key));
    if is_permanent {
        let (pattern, _) = permanent.unwrap_or_else(|| panic!("{key} stays for ever"));
        return (*pattern).into();
    }
    let passing = PASSING.iter().find(|(part, _)| key.contains(part));
    passing.map_or("other, for a time", |(_, kind)| kind).into()
}

/// Whether a key matches a pattern with at most one star.
fn matches(pattern: &str, key: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == key,
        Some((head, tail)) => {
            key.len() >= head.len() + tail.len() && key.starts_with(head) && key.ends_with(tail)
        }
    }
}
