//! One process of a deployment, and what can be done to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Server, command};

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Scheduler,
    Extract,
    Name,
}

impl Role {
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Role::Scheduler => ("sojourn", "serve"),
            Role::Extract => ("sojourn-worker", "extract"),
            Role::Name => ("sojourn-worker", "name"),
        }
    }
}

/// Where processes find their Redis and leave their logs.
#[derive(Clone, Debug)]
pub struct Site {
    pub url: String,
    pub logs: PathBuf,
}

impl Site {
    /// On a server, without a detour.
    pub fn on(server: &Server) -> Site {
        Site {
            url: server.url(),
            logs: server.folder.path().to_owned(),
        }
    }
}

/// How many jobs a worker has done, handed back, lost, and so on, as it logs them.
pub struct Summary(String);

impl Summary {
    pub fn get(&self, what: &str) -> u64 {
        let (_, count) = self.0.split_once(&format!("{what}: ")).expect("a count");
        let end = count.find(|letter: char| !letter.is_ascii_digit());
        count[..end.unwrap_or(count.len())]
            .parse()
            .expect("a count")
    }
}

/// A process that is killed when the scenario is over.
pub struct Process {
    pub role: Role,
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn start(role: Role, site: &Site, arguments: &[&str]) -> Process {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let (program, task) = role.program();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = site.logs.join(format!("{task}-{number}.log"));
        let child = command(program)
            .arg(task)
            .args(arguments)
            .env("SOJOURN_REDIS", &site.url)
            .env("SOJOURN_LOG_FORMAT", "json")
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log file"))
            .spawn()
            .expect("the program runs");
        Process { role, child, log }
    }

    /// The number that the ids of this process in Redis begin with.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process without warning.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process runs");
        self.child.wait().expect("the process ends");
    }

    /// Stops the process where it is, until it is woken.
    pub fn stop(&self) {
        self.signal("STOP");
    }

    /// Lets a stopped process go on.
    pub fn wake(&self) {
        self.signal("CONT");
    }

    /// Asks the process to end.
    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }

    /// Waits until the process has ended by itself; returns how, and how long that took.
    pub fn wait(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let status = self.child.wait().expect("the process ends");
        (status, begun.elapsed())
    }

    pub fn assert_runs(&mut self) {
        let ended = self.child.try_wait().expect("the process is ours");
        assert!(
            ended.is_none(),
            "{:?} ended: {ended:?}\n{}",
            self.role,
            self.said()
        );
    }

    /// What the process has logged.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// What a worker that has ended as asked says to have done.
    pub fn summary(&self) -> Summary {
        let said = self.said();
        let mut lines = said
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let stopped = lines.find(|line| line["fields"]["message"] == "stopped");
        let summary = &stopped.expect("a last line")["fields"]["summary"];
        Summary(summary.as_str().expect("a summary").to_owned())
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        resident(Path::new(&format!("/proc/{}/status", self.pid()))).unwrap_or(0)
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .expect("kill runs");
        assert!(kill.success(), "{name} to {:?}", self.role);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `VmRSS` of a process; none where there is no such file, as on other systems than Linux.
fn resident(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}
