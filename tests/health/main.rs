//! Real processes say whether they do their work, and what they wait for.

mod address;
mod work;

// Only that it hangs is of use here.
#[path = "../support/llm.rs"]
mod llm;
#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Output, Stdio};

use serde_json::Value;
use sojourn::health::Report;
use support::{Running, Server, command, wait_for};

/// A port of this machine that is free for the moment.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// A process that says how it is.
struct Listening {
    address: String,
    log: std::path::PathBuf,
    process: Running,
}

impl Listening {
    fn start(server: &Server, program: &str, arguments: &[&str]) -> Listening {
        let address = free_address();
        let log = server.folder.path().join(format!("{}.json", arguments[0]));
        let child = command(program)
            .args(arguments)
            .args(["--listen", &address])
            .env("SOJOURN_REDIS", server.url())
            .env("SOJOURN_LOG_FORMAT", "json")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("a log file"))
            .spawn()
            .expect("the program runs");
        let process = Running(child);
        let listening = Listening {
            address,
            log,
            process,
        };
        wait_for("a process that listens", || listening.ask());
        listening
    }

    /// Status and report; `None` when nobody listens.
    fn ask(&self) -> Option<(u16, Report)> {
        let mut connection = TcpStream::connect(&self.address).ok()?;
        let request = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        connection.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, serde_json::from_str(body).expect("a report")))
    }

    fn report(&self) -> Report {
        let (status, report) = self.ask().expect("an answer");
        assert_eq!(status == 200, report.healthy, "{report:?}");
        assert_eq!(status == 503, !report.healthy, "{report:?}");
        report
    }

    /// What the command line says of it.
    fn checked(&self) -> Output {
        let output = command("sojourn")
            .args(["health", "--listen", &self.address])
            .output();
        output.expect("sojourn runs")
    }

    /// The fields of what was logged with this message.
    fn logged(&self, message: &str) -> Vec<Value> {
        let log = std::fs::read_to_string(&self.log).expect("a log");
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let fields = lines.map(|line: Value| line["fields"].clone());
        fields
            .filter(|fields| fields["message"] == message)
            .collect()
    }
}

/// The processes that can be told to listen.
const PROCESSES: [(&str, &str); 3] = [
    ("sojourn", "serve"),
    ("sojourn-worker", "extract"),
    ("sojourn-worker", "name"),
];
