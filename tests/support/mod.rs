//! What the integration tests share: real servers, the real programs, the real data.

// Every test file uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sojourn::health::{Contact, Health};

mod node;
pub mod run;
mod server;

pub use node::{Node, free_ports};
pub use server::Server;

/// How long anything may take before a test gives up. Generous: machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A program of the workspace. `cargo build --workspace --bins` makes them.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    // target/<profile>/deps/<test>
    let folder = test
        .ancestors()
        .nth(2)
        .expect("the test is in target/<profile>/deps");
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run cargo build --workspace --bins",
        path.display()
    );
    path
}

/// The server program under test.
pub fn server_program() -> PathBuf {
    if let Some(named) = std::env::var_os("SOJOURN_REDIS_SERVER") {
        return named.into();
    }
    let fetched = root().join(".tools/server");
    if fetched.is_file() {
        return fetched;
    }
    for name in ["redis-server", "valkey-server"] {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .map(|dir| dir.join(name))
            .find(|p| p.is_file());
        if let Some(found) = found {
            return found;
        }
    }
    panic!("there is no Redis: run `make redis`");
}

/// Real data that is not part of the repository. `None`, with a note, where it is not there; in CI
/// it must be.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SOJOURN_SHARED_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from)
        .join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing in CI",
        folder.display()
    );
    eprintln!("skipped: {} is not there", folder.display());
    None
}

/// What a job is given to say that it waits for Redis; nobody listens.
pub fn contact() -> Contact {
    Health::new("test".into(), "nobody".into(), 1, PATIENCE).contact()
}

/// Waits until `look` finds something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        // Another process is waited for; there is nothing to be woken by.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until `look` finds something, and lets other tasks go on meanwhile.
pub async fn wait_for_async<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// `sojourn` with arguments, to its end, without settings from outside.
pub fn sojourn(arguments: &[&str]) -> Output {
    command("sojourn")
        .args(arguments)
        .output()
        .expect("sojourn runs")
}

/// A program of the workspace, without settings from outside.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    for (variable, _) in std::env::vars() {
        if variable.starts_with("SOJOURN_") {
            command.env_remove(variable);
        }
    }
    command
        .env("SOJOURN_REDIS_SERVER", server_program())
        .stdin(Stdio::null());
    command
}

/// A process that is killed when the test is over.
pub struct Running(pub Child);

impl Running {
    /// Starts a program against a server. Its log goes to a file in the server's folder.
    pub fn start(name: &str, arguments: &[&str], server: &Server) -> Running {
        let number = std::fs::read_dir(server.folder.path()).map_or(0, Iterator::count);
        let log = server.folder.path().join(format!("{name}-{number}.log"));
        let log = std::fs::File::create(log).expect("a log file");
        let mut command = command(name);
        command
            .args(arguments)
            .env("SOJOURN_REDIS", server.url())
            .stderr(log);
        Running::spawn(command)
    }

    /// Starts a command, without its output.
    pub fn spawn(mut command: Command) -> Running {
        let child = command.stdout(Stdio::null()).spawn();
        Running(child.expect("the program runs"))
    }

    /// Asks the process to stop and returns how it ended.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let kill = Command::new("kill")
            .arg(self.0.id().to_string())
            .status()
            .expect("kill runs");
        assert!(kill.success());
        self.0.wait().expect("the process ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program said, for messages of assertions.
pub fn said(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The last line of standard output as JSON.
pub fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .last()
        .unwrap_or_else(|| panic!("no output: {}", said(output)));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

/// `sojourn ingest` of `items.csv` and `interactions.csv` in a folder, with further arguments.
pub fn ingest(folder: &Path, out: &Path, arguments: &[&str]) -> Output {
    command("sojourn")
        .args(["ingest", "--items"])
        .arg(folder.join("items.csv"))
        .arg("--interactions")
        .arg(folder.join("interactions.csv"))
        .arg("--out")
        .arg(out)
        .args(arguments)
        .output()
        .expect("sojourn runs")
}

/// A small dataset of `users` users who all look at the same two groups of items.
pub fn small_dataset(folder: &Path, users: usize, users_per_shard: usize) -> PathBuf {
    let mut items = String::from("item_id,title,description\n");
    for n in 0..6 {
        items.push_str(&format!(
            "uke{n},Ukulele fingerstyle lesson {n},Fingerpicking chords\n"
        ));
        items.push_str(&format!(
            "hyd{n},Hydroponic lettuce tower {n},Nutrient solution pump\n"
        ));
    }
    let mut interactions = String::from("user_id,item_id,timestamp,weight\n");
    for user in 0..users {
        for n in 0..6 {
            let time = 1_760_000_000 + n * 86_400 + user;
            interactions.push_str(&format!("u{user},uke{n},{time},1\n"));
            interactions.push_str(&format!("u{user},hyd{n},{},1\n", time + 40));
        }
    }
    std::fs::write(folder.join("items.csv"), items).expect("room on disk");
    std::fs::write(folder.join("interactions.csv"), interactions).expect("room on disk");
    let out = folder.join("dataset");
    let users_per_shard = users_per_shard.to_string();
    let output = ingest(folder, &out, &["--users-per-shard", &users_per_shard]);
    assert!(output.status.success(), "{}", said(&output));
    out
}
