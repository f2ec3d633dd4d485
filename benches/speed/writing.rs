//! Writing results, fenced, beside the HSETs of redis-benchmark that bring as many bytes to the same
//! server. Redis and who writes to it share the cores, so the server's own time is compared, too.

use std::path::Path;
use std::process::Command;

use super::table::{Row, Table};
use crate::shared::peer;
use crate::shared::population::Population;
use crate::shared::redis::{self, Asked, Question};
use crate::shared::support::{Server, program};

const USERS: u64 = 50_000;

/// Bytes of an id of a journey, and about as many as a name has.
const ID: usize = 8;
const NAME: usize = 24;

/// What `sojourn-worker bench write` says.
pub struct Written {
    pub users_per_second: f64,
    pub journeys_per_user: f64,
    pub bytes_per_user: f64,
    /// CPU microseconds of a user.
    pub server: f64,
    pub writer: f64,
}

/// Writes the journeys of some users.
pub fn written(dataset: &Path, server: &Server) -> Written {
    let said = peer::said(
        Command::new(program("sojourn-worker"))
            .args(["bench", "write", "--json", "--users", &USERS.to_string()])
            .args(["--redis", &server.url()])
            .arg(dataset),
    );
    let said = &said.expect("the bench runs")["write"];
    let number = |field: &str| said[field].as_f64().expect("a number");
    Written {
        users_per_second: number("users_per_second"),
        journeys_per_user: number("journeys_per_user"),
        bytes_per_user: number("bytes_per_user"),
        server: number("server_cpu_us_per_user"),
        writer: number("writer_cpu_us_per_user"),
    }
}

pub fn measure(table: &mut Table) {
    let dataset = Population::usual().dataset();
    let server = redis::start();
    let ours = written(&dataset, &server);
    redis::flush(&server);
    let journeys = ours.journeys_per_user.round() as usize;
    let in_names = journeys * (ID + NAME);
    let value = (ours.bytes_per_user as usize).saturating_sub(in_names + (journeys + 1) * ID);
    let hset = |key: &str, fields: usize, value: usize| {
        let command = hset(key, fields, value);
        let question = Question {
            command: &command,
            times: USERS,
            numbers: 1_000_000_000,
            clients: 8,
            pipelined: 50,
        };
        let asked = question.ask(&server);
        redis::flush(&server);
        asked
    };
    let names = hset("names", journeys, NAME);
    let json = hset("journeys", journeys + 1, value / (journeys + 1));
    let all = hset(
        "all",
        journeys + 1,
        ours.bytes_per_user as usize / (journeys + 1) - ID,
    );
    let both = names.and_then(|names| Ok((names, json?)));
    let both = both.map(|(names, json)| Asked {
        per_second: 1.0 / (1.0 / names.per_second + 1.0 / json.per_second),
        cpu: names.cpu + json.cpu,
    });
    for (competitor, theirs) in [
        ("redis-benchmark, the same two HSETs", both),
        ("redis-benchmark, one HSET of all", all),
    ] {
        let mut add = |what: String, ours: f64, theirs: Result<f64, String>| {
            table.add(Row {
                what,
                unit: "users",
                ours,
                competitor: competitor.into(),
                theirs,
            });
        };
        add(
            format!("write: users of {:.0} bytes", ours.bytes_per_user),
            ours.users_per_second,
            theirs
                .as_ref()
                .map(|asked| asked.per_second)
                .map_err(Clone::clone),
        );
        add(
            "write: the same, of the server's time".into(),
            1e6 / ours.server,
            theirs.map(|asked| 1.0 / asked.cpu.as_secs_f64()),
        );
    }
}

fn hset(key: &str, fields: usize, value: usize) -> Vec<String> {
    let mut command = vec!["HSET".to_owned(), format!("sj:{{user-__rand_int__}}:{key}")];
    for field in 0..fields {
        command.extend([format!("{field:0ID$}"), "x".repeat(value.max(1))]);
    }
    command
}
