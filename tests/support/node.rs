//! One process of the server program.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{server_program, wait_for};

/// Where ports for tests begin: below them are those of services, above those that the system gives
/// to outgoing connections.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 22_000;

/// A server on data of its own, which is kept when it is killed.
pub struct Node {
    pub folder: PathBuf,
    /// Where it listens, besides its socket; 0 for nowhere.
    pub port: u16,
    child: Child,
    arguments: Vec<String>,
}

impl Node {
    /// Starts a server that listens on a socket in `folder`, and on a port if that is not 0.
    pub fn start(folder: &Path, port: u16, arguments: &[String]) -> Node {
        std::fs::create_dir_all(folder).expect("room on disk");
        let node = Node {
            child: spawn(folder, port, arguments),
            folder: folder.to_owned(),
            port,
            arguments: arguments.to_vec(),
        };
        node.wait_until_up();
        node
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection for one command after the other.
    pub fn connect(&self) -> redis::Connection {
        let mut url = format!("unix://{}", self.socket().display());
        let mut arguments = self.arguments.iter();
        if arguments.any(|argument| argument == "--requirepass") {
            url += &format!("?pass={}", arguments.next().expect("a password"));
        }
        let client = redis::Client::open(url).expect("a path");
        client.get_connection().expect("the server answers")
    }

    /// Sends a command and returns its reply.
    pub fn ask<T: redis::FromRedisValue>(&self, command: &str) -> redis::RedisResult<T> {
        let mut words = command.split_whitespace();
        let mut call = redis::cmd(words.next().expect("a command"));
        for word in words {
            call.arg(word);
        }
        call.query(&mut self.connect())
    }

    /// Ends the server without warning.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("the server ends");
    }

    /// Starts it again on its data.
    pub fn restart(&mut self) {
        self.child = spawn(&self.folder, self.port, &self.arguments);
        self.wait_until_up();
    }

    fn wait_until_up(&self) {
        wait_for("the server", || {
            let up = UnixStream::connect(self.socket()).is_ok()
                && (self.port == 0 || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
            up.then_some(())
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, port: u16, arguments: &[String]) -> Child {
    Command::new(server_program())
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "yes", "--dir"])
        .arg(folder)
        .arg("--unixsocket")
        .arg(folder.join("redis.sock"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server program runs")
}

/// Ports that nobody listens on, other ones in every process of tests.
pub fn free_ports(count: usize) -> Vec<u16> {
    let start = std::process::id().wrapping_mul(97) % u32::from(PORTS);
    let mut candidates = (0..u32::from(PORTS))
        .map(|n| FIRST_PORT + ((start + n) % u32::from(PORTS)) as u16)
        .filter(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let ports: Vec<u16> = candidates.by_ref().take(count).collect();
    assert_eq!(ports.len(), count, "too few free ports");
    ports
}
