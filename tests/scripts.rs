//! The scripts behind `make`: what they say and how they end when something is missing. Each runs in
//! a folder of its own, with programs on its PATH that only pretend.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

use support::{root, said};
use tempfile::TempDir;

/// A repository with scripts and nothing else, and a folder that is all of PATH.
struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    fn new() -> Sandbox {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sandbox = Sandbox { folder };
        for name in ["repository/scripts", "repository/.tools", "bin", "cargo"] {
            fs::create_dir_all(sandbox.path(name)).expect("room on disk");
        }
        for name in ["deny", "suite", "check-toolchain"] {
            let copy = sandbox.path("repository/scripts").join(name);
            fs::copy(root().join("scripts").join(name), copy).expect("the script");
        }
        let manifest = sandbox.path("repository/Cargo.toml");
        fs::copy(root().join("Cargo.toml"), manifest).expect("the manifest");
        for name in [
            "bash", "cut", "dirname", "head", "nproc", "readlink", "sed", "sort",
        ] {
            let path = std::env::var_os("PATH").expect("a PATH");
            let real = std::env::split_paths(&path)
                .map(|folder| folder.join(name))
                .find(|program| program.is_file())
                .unwrap_or_else(|| panic!("there is no {name}"));
            symlink(real, sandbox.path("bin").join(name)).expect("room on disk");
        }
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a program of this name on the PATH, or elsewhere.
    fn program(&self, path: &str, script: &str) {
        let path = self.path(path);
        fs::write(&path, format!("#!/usr/bin/env bash\n{script}\n")).expect("room on disk");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, executable).expect("a file of ours");
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        Command::new("bash")
            .arg(self.path("repository/scripts").join(script))
            .args(arguments)
            .env("PATH", self.path("bin"))
            .env("CARGO_HOME", self.path("cargo"))
            .output()
            .expect("bash runs")
    }
}

/// Whether `scripts/deny` succeeds, and what it says. The other checks pass.
fn deny(online: bool, reachable: bool, offline: Option<bool>) -> (bool, String) {
    let sandbox = Sandbox::new();
    if offline.is_some() {
        fs::create_dir_all(sandbox.path("cargo/advisory-dbs/advisory-db-0")).expect("room on disk");
    }
    let ends = |well: bool| if well { "exit 0" } else { "exit 1" };
    let cargo = format!(
        "case \"$*\" in\n*offline*advisories*) {} ;;\n*advisories*) {} ;;\nesac",
        // Without a copy cargo-deny fails as well.
        ends(offline.unwrap_or(false)),
        ends(online),
    );
    sandbox.program("bin/cargo", &cargo);
    sandbox.program("bin/git", ends(reachable));
    let output = sandbox.run("deny", &[]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), printed)
}

#[test]
fn advisories_are_checked_against_the_database_where_it_can_be_reached() {
    assert_eq!(deny(true, true, None), (true, String::new()));
    let (passed, printed) = deny(false, true, Some(true));
    assert!(!passed, "an advisory of the database counts: {printed}");
}

#[test]
fn advisories_are_checked_against_the_copy_where_the_database_is_out_of_reach() {
    for clean in [true, false] {
        let (passed, printed) = deny(false, false, Some(clean));
        assert_eq!(passed, clean, "{printed}");
        assert!(printed.contains("against the copy"), "{printed}");
    }
}

#[test]
fn that_advisories_could_not_be_checked_at_all_is_said() {
    let (passed, printed) = deny(false, false, None);
    assert!(passed && printed.contains("NOT checked"), "{printed}");
}

#[test]
fn a_licence_that_is_not_allowed_fails_whatever_the_advisories() {
    let sandbox = Sandbox::new();
    sandbox.program("bin/cargo", "case \"$*\" in *licenses*) exit 1 ;; esac");
    let output = sandbox.run("deny", &[]);
    assert!(!output.status.success(), "{}", said(&output));
}

/// A sandbox with a server at `.tools/<link>`, for each link.
fn suite(links: &[&str], tests: &str) -> Output {
    let sandbox = Sandbox::new();
    for link in links {
        sandbox.program(&format!("cargo/{link}"), &format!("echo the server {link}"));
        let server = sandbox.path("cargo").join(link);
        symlink(server, sandbox.path("repository/.tools").join(link)).expect("room on disk");
    }
    sandbox.program("bin/cargo", tests);
    sandbox.run("suite", &[])
}

#[test]
fn the_suite_runs_on_every_server_and_says_which() {
    let output = suite(
        &["server", "valkey"],
        "echo \"tests on $SOJOURN_REDIS_SERVER${SOJOURN_TEST_CLUSTER:+ as a cluster}\"",
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(printed.matches("tests on ").count(), 3, "{printed}");
    assert!(printed.contains("server as a cluster"), "{printed}");
    let passed = printed.split("has passed on:").nth(1).expect("a summary");
    assert!(passed.contains("the server server"), "{printed}");
    assert!(passed.contains("the server valkey"), "{printed}");
}

#[test]
fn the_suite_runs_on_the_one_server_that_can_be_had_and_says_so() {
    for link in ["server", "valkey"] {
        let output = suite(&[link], "echo tests");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", said(&output));
        assert!(printed.contains("one server only"), "{printed}");
    }
}

#[test]
fn a_suite_without_a_server_or_with_a_failing_test_fails() {
    let output = suite(&[], "exit 0");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{}", said(&output));
    assert!(printed.contains("scripts/install-server"), "{printed}");
    let output = suite(&["server"], "exit 1");
    assert!(!output.status.success(), "{}", said(&output));
}

/// What `scripts/check-toolchain test` says where programs answer like this.
fn check_toolchain(rustc: &str, cargo: &str, c_compiler: bool) -> Result<(), String> {
    let sandbox = Sandbox::new();
    sandbox.program("bin/rustc", &format!("echo 'rustc {rustc} (0 2026-04-14)'"));
    sandbox.program("bin/cargo", cargo);
    if c_compiler {
        sandbox.program("bin/cc", "exit 0");
    }
    let output = sandbox.run("check-toolchain", &["test"]);
    let said = String::from_utf8(output.stderr).expect("text");
    match output.status.success() {
        true => Ok(()),
        false => Err(said),
    }
}

#[test]
fn a_toolchain_with_everything_is_accepted() {
    for version in ["1.95.0", "1.95.1", "1.100.0-nightly", "2.0.0"] {
        assert_eq!(
            check_toolchain(version, "exit 0", true),
            Ok(()),
            "{version}"
        );
    }
}

#[test]
fn what_the_toolchain_lacks_is_said_in_one_line_with_the_remedy() {
    let without = |name: &str| format!("test \"$1\" != {name}");
    let cases = [
        (
            check_toolchain("1.95.0", &without("fmt"), true),
            "rustup component add rustfmt",
        ),
        (
            check_toolchain("1.95.0", &without("clippy"), true),
            "rustup component add clippy",
        ),
        (check_toolchain("1.94.1", "exit 0", true), "rustup update"),
        (
            check_toolchain("1.95.0", "exit 1", true),
            "https://rustup.rs",
        ),
        (check_toolchain("1.95.0", "exit 0", false), "gcc"),
    ];
    for (result, remedy) in cases {
        let said = result.expect_err(remedy);
        assert!(said.contains(remedy), "{remedy}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
