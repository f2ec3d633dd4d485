//! A Redis that keeps what it was told, as one in production does, and what it is asked in a benchmark
//! of its own.

use std::process::Command;
use std::time::Duration;

use super::process::cpu;
use super::support::{Node, Server, free_ports};

/// Written once a second; not made shorter meanwhile, which would take half of its time at a moment of
/// its own choice.
const ARGUMENTS: [&str; 4] = [
    "--appendfsync",
    "everysec",
    "--auto-aof-rewrite-percentage",
    "0",
];

/// On a socket.
pub fn start() -> Server {
    Server::start_single_with(&ARGUMENTS)
}

/// On a port, for those who know no sockets.
pub fn start_on_port(folder: &std::path::Path) -> (Node, String) {
    let port = free_ports(1)[0];
    let node = Node::start(folder, port, &ARGUMENTS.map(str::to_owned));
    (node, format!("redis://127.0.0.1:{port}"))
}

/// Forgets everything.
pub fn flush(server: &Server) {
    let () = server.nodes[0]
        .ask("FLUSHALL SYNC")
        .expect("it is forgotten");
}

/// What redis-benchmark has found.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Commands in a second.
    pub per_second: f64,
    /// The server's CPU time for each.
    pub cpu: Duration,
}

/// A command in which `__rand_int__` is one of many numbers, asked over and over.
pub struct Question<'a> {
    pub command: &'a [String],
    pub times: u64,
    /// Different numbers.
    pub numbers: u64,
    pub clients: u32,
    /// Sent by each before it waits.
    pub pipelined: u32,
}

impl Question<'_> {
    /// What redis-benchmark says of it, or why it says nothing.
    pub fn ask(&self, server: &Server) -> Result<Asked, String> {
        let node = &server.nodes[0];
        let before = cpu(node.pid());
        let output = Command::new("redis-benchmark")
            .arg("-s")
            .arg(node.socket())
            .args(["--csv", "-n", &self.times.to_string()])
            .args(["-r", &self.numbers.to_string()])
            .args(["-c", &self.clients.to_string()])
            .args(["-P", &self.pipelined.to_string()])
            .args(self.command)
            .output()
            .map_err(|error| format!("redis-benchmark: {error}; apt-get install redis-tools"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        // A line of titles, then the command, which may hold anything, and its figures.
        let figures = said
            .lines()
            .last()
            .and_then(|line| line.split("\",\"").nth(1));
        let per_second = figures.and_then(|figure| figure.trim_matches('"').parse().ok());
        Ok(Asked {
            per_second: per_second.ok_or_else(|| format!("redis-benchmark said {said:?}"))?,
            cpu: (cpu(node.pid()) - before) / u32::try_from(self.times).unwrap_or(u32::MAX),
        })
    }
}
