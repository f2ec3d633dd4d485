//! Everything that is in a Redis.

use std::collections::BTreeMap;

use redis::{Connection, FromRedisValue, Value};

use crate::process::Process;
use crate::results::{connections, matching};
use crate::run::{PARTITIONS, query};
use crate::support::Server;

/// All keys with what is in them, but for idle bookkeeping: which consumers a group knows, and how
/// much longer something lives.
pub fn everything(server: &Server) -> BTreeMap<String, String> {
    let mut everything = BTreeMap::new();
    for mut connection in connections(server) {
        for key in matching(&mut connection, "*") {
            let contents = contents(&mut connection, &key);
            everything.insert(key, contents);
        }
    }
    everything
}

fn contents(connection: &mut Connection, key: &str) -> String {
    let mut ask = |words: &[&str]| -> Value {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(connection).expect("the server answers")
    };
    let kind = String::from_redis_value(ask(&["TYPE", key])).expect("a type");
    match kind.as_str() {
        "string" => format!("{:?}", ask(&["GET", key])),
        "hash" => {
            let fields = ask(&["HGETALL", key]);
            let fields = BTreeMap::<String, Vec<u8>>::from_redis_value(fields);
            let text = |(name, value): (String, Vec<u8>)| {
                format!("{name}={:?}", String::from_utf8_lossy(&value))
            };
            let fields = fields.expect("a hash").into_iter().map(text);
            fields.collect::<Vec<String>>().join(" ")
        }
        "set" => {
            let members = Vec::<String>::from_redis_value(ask(&["SMEMBERS", key]));
            let mut members = members.expect("a set");
            members.sort_unstable();
            members.join(" ")
        }
        "zset" => format!("{:?}", ask(&["ZRANGE", key, "0", "-1", "WITHSCORES"])),
        "stream" => format!("{:?}", ask(&["XRANGE", key, "-", "+"])),
        other => panic!("{key} is a {other}"),
    }
}

/// The lanes of a kind of queue.
pub fn lanes(kind: &str) -> Vec<String> {
    let lanes = ["high", "low"].into_iter();
    lanes
        .flat_map(|lane| (0..PARTITIONS).map(move |n| format!("sj:{{{kind}:{n}}}:{lane}")))
        .collect()
}

/// How many jobs a worker holds, dead or alive, as the queues have it. None while the server does
/// not answer.
pub fn held(server: &Server, worker: &Process) -> Option<u64> {
    type Pending = (u64, Value, Value, Option<Vec<(String, u64)>>);
    let prefix = format!("{}-", worker.pid());
    let mut held = 0;
    for lane in ["extract", "name"].into_iter().flat_map(lanes) {
        let pending = query::<Pending>(server, &["XPENDING", &lane, "workers"]);
        match pending {
            Ok((_, _, _, consumers)) => {
                let consumers = consumers.into_iter().flatten();
                let own = consumers.filter(|(name, _)| name.starts_with(&prefix));
                held += own.map(|(_, jobs)| jobs).sum::<u64>();
            }
            // Nobody has looked for a job there yet.
            Err(error) if error.code() == Some("NOGROUP") => {}
            Err(_) => return None,
        }
    }
    Some(held)
}
