//! Which scheduler leads: in this process, and with real ones that are stopped and killed.

mod lease;
mod queueing;
mod register;
mod takeover;

#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::time::Duration;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use support::{Running, Server, wait_for_async};

/// Lead where nothing is measured. Short, and its renewal is late only when a busy machine holds a
/// scheduler up for two thirds of it.
const LEAD: Duration = Duration::from_secs(3);

/// Jobs of the runs in which schedulers are stopped and killed.
const MANY: usize = 1500;

async fn leader(redis: &Redis) -> Option<String> {
    let key = redis.keys().leader();
    redis.commands().get(key).await.unwrap()
}

async fn wait_for_leader(redis: &Redis, other_than: Option<&str>) -> String {
    wait_for_async("a leader", async || {
        leader(redis)
            .await
            .filter(|holder| Some(holder.as_str()) != other_than)
    })
    .await
}

/// Everything in the register but who leads, which is renewed all the time.
async fn register(redis: &Redis) -> HashMap<String, Vec<u8>> {
    let mut connection = redis.commands();
    let keys: Vec<String> = connection.keys("sj:{runs}:*").await.unwrap();
    let mut dumped = HashMap::new();
    for key in keys {
        if key != redis.keys().leader() {
            let dump: Option<Vec<u8>> = redis::cmd("DUMP")
                .arg(&key)
                .query_async(&mut connection)
                .await
                .unwrap();
            dumped.extend(dump.map(|dump| (key, dump)));
        }
    }
    dumped
}

/// Whether the log of a scheduler holds this. Logs are numbered by what was in the folder before.
fn logged(server: &Server, what: &str) -> usize {
    let logs = std::fs::read_dir(server.folder.path()).unwrap();
    let texts = logs.filter_map(|entry| {
        let path = entry.unwrap().path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        is_log.then(|| std::fs::read_to_string(path).unwrap())
    });
    texts.map(|text| text.matches(what).count()).sum()
}

fn scheduler(server: &Server, lead: Duration, queue_depth: &str) -> Running {
    let lead = lead.as_secs().to_string();
    let arguments = ["serve", "--lead", &lead, "--queue-depth", queue_depth];
    Running::start("sojourn", &arguments, server)
}

async fn wait_for_standby(server: &Server) {
    wait_for_async("a standby", async || {
        (logged(server, "standing by") > 0).then_some(())
    })
    .await;
}
