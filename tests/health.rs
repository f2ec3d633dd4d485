//! Real processes say whether they do their work, and what they wait for.

// Only that it hangs is of use here.
#[path = "support/llm.rs"]
mod llm;
mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::time::Duration;

use llm::{Endpoint, Question, Turn};
use serde_json::Value;
use sojourn::health::Report;
use support::{Running, Server, command, said, small_dataset, wait_for};

/// The shortest lease, so that a worker is unhealthy soon.
const LEASE: &str = "1";

/// From when on: three leases.
const BOUND: Duration = Duration::from_secs(3);

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

#[test]
fn a_process_that_has_nothing_to_do_is_healthy_and_says_who_it_is() {
    let server = Server::start();
    for (program, command, role, bound) in [
        ("sojourn", "serve", "scheduler", 60.0),
        ("sojourn-worker", "extract", "extract", 90.0),
        ("sojourn-worker", "name", "name", 90.0),
    ] {
        let process = Listening::start(&server, program, &[command]);
        let report = process.report();
        assert!(report.healthy, "{report:?}");
        assert_eq!((report.role.as_str(), report.working_on), (role, 0));
        assert_eq!(report.unhealthy_after_seconds, bound, "{role}");
        assert_eq!(report.waiting_for, None);
        assert_eq!(report.version, env!("CARGO_PKG_VERSION"));
        assert!(!report.worker.is_empty());
        // It goes on fetching: at some look the last one is less long ago than at the look before.
        let mut before = 0.0;
        wait_for("a fetch", || {
            let now = process.report().last_fetch_seconds_ago;
            (now < std::mem::replace(&mut before, now)).then_some(())
        });
        let output = process.checked();
        assert!(output.status.success(), "{}", said(&output));
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            line.starts_with(&format!("{role} {} is healthy", report.worker)),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

/// A naming worker whose only slot is taken by a job that does not end, because the model never
/// answers, and what else is needed for that.
struct Stuck {
    worker: Listening,
    _processes: [Running; 2],
    _endpoint: Endpoint,
    _folder: tempfile::TempDir,
}

fn stuck(server: &Server) -> Stuck {
    let endpoint = Endpoint::start(|_: &Question| Turn::Hangs);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dataset = small_dataset(folder.path(), 60, 60).display().to_string();
    let url = endpoint.url();
    let arguments = [
        "name",
        "--lease",
        LEASE,
        "--concurrency",
        "1",
        "--model",
        "m",
    ];
    let arguments = [&arguments[..], &["--endpoint", &url]].concat();
    let worker = Listening::start(server, "sojourn-worker", &arguments);
    let processes = [
        Running::start("sojourn", &["serve"], server),
        Running::start("sojourn-worker", &["extract"], server),
    ];
    let asked = command("sojourn")
        .args(["backfill", &dataset])
        .env("SOJOURN_REDIS", server.url())
        .output()
        .expect("sojourn runs");
    assert!(asked.status.success(), "{}", said(&asked));
    wait_for("a question", || endpoint.questions().pop());
    Stuck {
        worker,
        _processes: processes,
        _endpoint: endpoint,
        _folder: folder,
    }
}

#[test]
fn a_worker_that_renews_a_long_job_is_healthy_although_it_fetches_nothing() {
    let server = Server::start();
    let stuck = stuck(&server);
    // Time has to pass: longer than any process may be silent.
    std::thread::sleep(BOUND + BOUND / 2);
    let report = stuck.worker.report();
    assert_eq!((report.healthy, report.working_on), (true, 1), "{report:?}");
    assert_eq!(report.waiting_for, None);
}

#[test]
fn a_worker_that_cannot_renew_a_long_job_is_unhealthy() {
    let mut server = Server::start();
    let stuck = stuck(&server);
    server.kill();
    let report = wait_for("an unhealthy worker", || {
        let report = stuck.worker.report();
        (!report.healthy).then_some(report)
    });
    assert_eq!(report.working_on, 1, "{report:?}");
    let waiting_for = report.waiting_for.expect("it waits");
    assert!(waiting_for.starts_with("SJ101: redis: "), "{waiting_for}");
}

#[test]
fn who_waits_for_redis_says_so_once_for_each_reason_and_when_it_is_back() {
    let mut server = Server::start();
    let processes = [
        Listening::start(&server, "sojourn", &["serve"]),
        Listening::start(&server, "sojourn-worker", &["extract", "--lease", LEASE]),
    ];
    server.kill();
    let worker = &processes[1];
    wait_for("an unhealthy worker", || {
        (!worker.report().healthy).then_some(())
    });
    let output = worker.checked();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(line.starts_with("error[SJ507]: extract "), "{line}");
    assert!(line.contains("waiting: SJ101: redis: "), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    for process in &processes {
        let report = process.report();
        let waiting_for = report.waiting_for.expect("it waits");
        assert!(waiting_for.starts_with("SJ101: redis: "), "{waiting_for}");
        assert_eq!(process.logged("Redis is back").len(), 0);
        let told = process.logged("waiting for Redis");
        let reasons: BTreeSet<String> = told.iter().map(|f| f["error"].to_string()).collect();
        // The attempts were many more.
        assert_eq!(told.len(), reasons.len(), "{told:?}");
        assert!((1..=3).contains(&told.len()), "{told:?}");
        assert_eq!(told[0]["code"], "SJ101");
    }
    server.restart();
    for process in &processes {
        let report = wait_for("Redis to be noticed", || {
            let report = process.report();
            (report.healthy && report.waiting_for.is_none()).then_some(report)
        });
        assert!(report.last_fetch_seconds_ago < BOUND.as_secs_f64());
        let back = process.logged("Redis is back");
        assert_eq!(back.len(), 1, "{back:?}");
        assert!(
            back[0]["waited"]
                .as_str()
                .is_some_and(|waited| waited.ends_with('s'))
        );
    }
    assert!(worker.checked().status.success());
}

/// The processes that can be told to listen.
const PROCESSES: [(&str, &str); 3] = [
    ("sojourn", "serve"),
    ("sojourn-worker", "extract"),
    ("sojourn-worker", "name"),
];

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let server = Server::start();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    for (program, subcommand) in PROCESSES {
        let output = command(program)
            .args([subcommand, "--listen", &address])
            .env("SOJOURN_REDIS", server.url())
            .output()
            .expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = message.lines().last().unwrap_or_default();
        let expected = format!("error[SJ202]: cannot listen on {address}: ");
        assert!(last.starts_with(&expected), "{message}");
        assert!(
            last.contains("in use") && last.contains("--listen"),
            "{message}"
        );
    }
}

#[test]
fn what_is_no_address_is_refused_before_anything_is_done() {
    for (program, subcommand) in PROCESSES {
        for address in ["9464", "localhost", "127.0.0.1", "127.0.0.1:99999"] {
            let output = command(program)
                .args([subcommand, "--redis", "redis://127.0.0.1:1"])
                .env("SOJOURN_LISTEN", address)
                .output()
                .expect("the program runs");
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(message.starts_with("error[SJ201]: "), "{message}");
            assert!(message.contains("such as 127.0.0.1:9464"), "{message}");
        }
    }
}

#[test]
fn a_process_that_does_not_answer_is_not_healthy() {
    let address = free_address();
    let ask = |arguments: &[&str]| {
        let output = command("sojourn").arg("health").args(arguments).output();
        output.expect("sojourn runs")
    };
    let output = ask(&["--listen", &address]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        line.starts_with("error[SJ507]: ") && line.contains(&address),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1, "{line}");
    assert_eq!(ask(&[]).status.code(), Some(2));
}

/// The sockets, by their numbers, on which a process listens for TCP.
#[cfg(target_os = "linux")]
fn listening_sockets(process: &Running) -> BTreeSet<String> {
    let folder = format!("/proc/{}", process.0.id());
    let own: BTreeSet<String> = std::fs::read_dir(format!("{folder}/fd"))
        .expect("a process")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?;
            Some(link.strip_suffix(']')?.to_owned())
        })
        .collect();
    let tables = ["tcp", "tcp6"]
        .map(|table| std::fs::read_to_string(format!("{folder}/net/{table}")).unwrap_or_default());
    // Columns: number, local address, remote address, state (0A: listens), ..., inode.
    let listening = tables
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            (*columns.get(3)? == "0A").then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
        });
    listening.filter(|inode| own.contains(inode)).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_listens_unless_somebody_said_where() {
    let server = Server::start();
    let listening = Listening::start(&server, "sojourn-worker", &["extract"]);
    assert_eq!(listening_sockets(&listening.process).len(), 1);
    for (program, subcommand) in PROCESSES {
        let log = server.folder.path().join(format!("{subcommand}.ready"));
        let process = command(program)
            .arg(subcommand)
            .env("SOJOURN_REDIS", server.url())
            .stderr(std::fs::File::create(&log).expect("a log file"))
            .spawn();
        let process = Running(process.expect("the program runs"));
        wait_for("a process that is ready", || {
            let log = std::fs::read_to_string(&log).ok()?;
            log.contains("ready").then_some(())
        });
        assert_eq!(listening_sockets(&process).len(), 0, "{subcommand}");
    }
}

#[test]
fn processes_that_a_command_starts_for_itself_do_not_listen_where_another_may() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dataset = small_dataset(folder.path(), 20, 10);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let output = command("sojourn")
        .arg("backfill")
        .arg(&dataset)
        .env(
            "SOJOURN_LISTEN",
            taken.local_addr().expect("an address").to_string(),
        )
        .output()
        .expect("sojourn runs");
    assert!(output.status.success(), "{}", said(&output));
}
