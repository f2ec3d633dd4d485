//! Where a process listens, and who answers there.

use std::collections::BTreeSet;
use std::net::TcpListener;

use crate::support::{Running, Server, command, said, small_dataset, wait_for};
use crate::{Listening, PROCESSES, free_address};

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
