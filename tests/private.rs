//! The private Redis of a dataset: one server, for as long as somebody uses it.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{command, ingest, said, small_dataset, sojourn, wait_for};

/// The folder of a dataset's private server.
fn data(dataset: &Path) -> PathBuf {
    dataset.join("local/redis")
}

/// The socket of the server that runs on a folder.
fn socket(data: &Path) -> Option<PathBuf> {
    let address = std::fs::read_to_string(data.join("address")).ok()?;
    Some(address.strip_prefix("unix://")?.into())
}

fn answers(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

fn wait_until_gone(data: &Path, at: &Path) {
    wait_for("the end of the server", || {
        (socket(data).is_none() && !answers(at)).then_some(())
    });
}

/// Uses the server of a folder as a process does, for as long as the file is open.
fn use_of(data: &Path) -> File {
    std::fs::create_dir_all(data).unwrap();
    let lock = File::create(data.join("users.lock")).unwrap();
    lock.lock_shared().unwrap();
    lock
}

fn keeper(data: &Path) -> Child {
    command("sojourn")
        .args(["keep-redis", "--data", &data.display().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_until_up(data: &Path) -> PathBuf {
    wait_for("the server", || socket(data).filter(|at| answers(at)))
}

#[test]
fn commands_that_run_at_once_use_one_server_and_the_last_one_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 200, 1);
    let path = dataset.display().to_string();
    let backfill = command("sojourn")
        .args(["backfill", &path, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let others: Vec<Child> = (0..4)
        .map(|_| {
            command("sojourn")
                .args(["runs", "--dataset", &path])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for other in others {
        let output = other.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let output = backfill.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(support::json(&output)["counts"]["users"], 200);
    assert_eq!(socket(&data(&dataset)), None, "its end was waited for");
    let runs = sojourn(&["runs", "--dataset", &path, "--json"]);
    assert_eq!(support::json(&runs).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_command_that_is_killed_leaves_no_process_behind() {
    let folder = tempfile::tempdir().unwrap();
    // Far more work than there is time for.
    let dataset = small_dataset(folder.path(), 3000, 1);
    let mut backfill = command("sojourn")
        .args(["backfill", &dataset.display().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let at = wait_until_up(&data(&dataset));
    let of_this_run = |program: &str| {
        let listed = Command::new("ps").args(["-eo", "args"]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mine = listed.lines().filter(|line| line.contains(program));
        mine.filter(|line| line.contains(&at.display().to_string()))
            .count()
    };
    backfill.kill().unwrap();
    backfill.wait().unwrap();
    wait_until_gone(&data(&dataset), &at);
    assert_eq!(of_this_run("server"), 0);
}

#[test]
fn a_server_lives_as_long_as_the_last_use_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (use_of(folder.path()), use_of(folder.path()));
    let mut keeper = keeper(folder.path());
    let at = wait_until_up(folder.path());
    drop(first);
    // A second keeper finds that there is one.
    assert!(self::keeper(folder.path()).wait().unwrap().success());
    assert!(answers(&at));
    drop(second);
    assert!(keeper.wait().unwrap().success());
    wait_until_gone(folder.path(), &at);
}

#[test]
fn a_private_server_keeps_the_journeys_of_a_user_in_one_piece() {
    let folder = tempfile::tempdir().unwrap();
    let used = use_of(folder.path());
    let mut keeper = keeper(folder.path());
    let mut server = UnixStream::connect(wait_until_up(folder.path())).unwrap();
    server
        .write_all(b"CONFIG GET hash-max-listpack-value\r\nQUIT\r\n")
        .unwrap();
    let mut reply = String::new();
    server.read_to_string(&mut reply).unwrap();
    assert!(reply.contains("\r\n2048\r\n"), "{reply}");
    drop(used);
    assert!(keeper.wait().unwrap().success());
}

#[test]
fn the_server_of_a_keeper_that_was_killed_is_taken_over_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let used = use_of(folder.path());
    let mut first = keeper(folder.path());
    let at = wait_until_up(folder.path());
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(answers(&at), "nobody has ended the server");
    let mut second = keeper(folder.path());
    drop(used);
    assert!(second.wait().unwrap().success());
    wait_until_gone(folder.path(), &at);
}

#[test]
fn a_password_for_another_server_does_not_keep_a_private_one_from_being_used() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 10, 10);
    let output = command("sojourn")
        .args(["backfill", &dataset.display().to_string(), "--json"])
        .env("SOJOURN_REDIS_PASSWORD", "swordfish")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn without_a_server_program_one_line_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 10, 10);
    // Away from the clone, where `make` may have put a server.
    let program = folder.path().join("sojourn");
    std::fs::copy(support::program("sojourn"), &program).unwrap();
    let output = Command::new(program)
        .args(["backfill", &dataset.display().to_string()])
        .env_clear()
        .env("PATH", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(message.trim().lines().count(), 1, "{message}");
    assert!(
        message.contains("apt-get install redis-server"),
        "{message}"
    );
}

#[test]
fn a_dataset_whose_server_runs_is_not_replaced_under_it_and_afterwards_keeps_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 10, 10);
    let path = dataset.display().to_string();
    assert!(sojourn(&["backfill", &path]).status.success());
    let replace = || ingest(folder.path(), &dataset, &["--force"]);
    let used = use_of(&data(&dataset));
    let mut keeper = keeper(&data(&dataset));
    let at = wait_until_up(&data(&dataset));
    let output = replace();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(&at.display().to_string()), "{message}");
    drop(used);
    assert!(keeper.wait().unwrap().success());

    let output = replace();
    assert!(output.status.success(), "{}", said(&output));
    let shown = sojourn(&["show", "u3", "--dataset", &path]);
    assert!(shown.status.success(), "{}", said(&shown));
}
