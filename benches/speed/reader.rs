//! Reading names, beside redis-benchmark's HGETALL of the same keys.

use std::time::Instant;

use sojourn::store::JourneyReader;

use super::table::{Row, Table};
use crate::shared::redis::{self, Question};
use crate::shared::support::Server;

/// Users who have names, and how many.
const USERS: u64 = 100_000;
const NAMES: usize = 5;

/// Asked for in one call, and how often altogether.
const ASKED: [(u32, u64); 2] = [(1, 50_000), (100, 1_000_000)];

pub fn measure(table: &mut Table) {
    let server = redis::start();
    fill(&server);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (at_once, times) in ASKED {
        let command = ["HGETALL", "sj:{user-__rand_int__}:names"].map(str::to_owned);
        let question = Question {
            command: &command,
            times,
            numbers: USERS,
            clients: 1,
            pipelined: at_once,
        };
        let theirs = question.ask(&server).map(|asked| asked.per_second);
        table.add(Row {
            what: format!("read: names of {at_once} users at a time"),
            unit: "users",
            ours: runtime.block_on(read(&server, at_once as usize, times)),
            competitor: "redis-benchmark, HGETALL".into(),
            theirs,
        });
    }
}

/// Gives everybody names.
fn fill(server: &Server) {
    let mut connection = server.nodes[0].connect();
    let users: Vec<u64> = (0..USERS).collect();
    for users in users.chunks(1_000) {
        let mut pipeline = ::redis::pipe();
        for &number in users {
            let hset = pipeline
                .cmd("HSET")
                .arg(format!("sj:{{{}}}:names", user(number)));
            for journey in 0..NAMES {
                hset.arg(format!("{journey:08x}"))
                    .arg("hydroponics, small rooms");
            }
            hset.ignore();
        }
        let () = pipeline.query(&mut connection).expect("they are written");
    }
}

/// Users in a second.
async fn read(server: &Server, at_once: usize, times: u64) -> f64 {
    let reader = JourneyReader::new(&server.connect().await);
    let users: Vec<String> = (0..USERS).map(user).collect();
    let calls = times as usize / at_once;
    let begun = Instant::now();
    for users in users.chunks_exact(at_once).cycle().take(calls) {
        let names = match users {
            [user] => vec![reader.names(user).await.expect("it answers")],
            users => reader.names_of_many(users).await.expect("it answers"),
        };
        assert!(names.iter().all(|names| names.len() == NAMES));
    }
    (calls * at_once) as f64 / begun.elapsed().as_secs_f64()
}

/// As redis-benchmark writes its numbers.
fn user(number: u64) -> String {
    format!("user-{number:012}")
}
