//! Whether a process does its work, and what it waits for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Listening;
use crate::llm::{Endpoint, Question, Turn};
use crate::support::{Running, Server, command, said, small_dataset, wait_for};

/// The shortest lease, so that a worker is unhealthy soon.
const LEASE: &str = "1";

/// From when on: three leases.
const BOUND: Duration = Duration::from_secs(3);

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
