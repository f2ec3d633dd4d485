//! What a scenario has to show: a line, or a small table, of figures.

// Every test file uses a part of it.
#![allow(dead_code)]

use std::fmt::{Display, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::{Server, root, server_program};

/// Whether the long forms are asked for.
pub fn is_long() -> bool {
    std::env::var_os("SOJOURN_SOAK").is_some()
}

/// A duration as it is shown.
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The figures of one scenario.
pub struct Figures {
    scenario: &'static str,
    line: String,
}

impl Figures {
    pub fn of(scenario: &'static str) -> Figures {
        let form = if is_long() { "long" } else { "short" };
        Figures {
            scenario,
            line: format!("{scenario} ({form}):"),
        }
    }

    /// Adds a figure.
    pub fn add(mut self, name: &str, value: impl Display) -> Figures {
        let separator = if self.line.ends_with(':') { " " } else { ", " };
        write!(self.line, "{separator}{name} {value}").expect("a string takes everything");
        self
    }

    /// Adds a row below the line.
    pub fn row(&mut self, row: impl Display) {
        write!(self.line, "\n    {row}").expect("a string takes everything");
    }

    /// Prints the figures, and leaves them in a file of their own.
    pub fn show(self) {
        println!("{}", self.line);
        let folder = folder();
        std::fs::create_dir_all(&folder).expect("room on disk");
        let file = format!("{}.txt", self.scenario.replace(' ', "-"));
        std::fs::write(folder.join(file), self.line + "\n").expect("room on disk");
    }
}

/// One folder for each server that the suite runs on, so that it does not replace on one what it has
/// shown on another.
fn folder() -> PathBuf {
    let version = Command::new(server_program()).arg("--version").output();
    let version = String::from_utf8_lossy(&version.expect("the server runs").stdout).into_owned();
    let mut words = version.split_whitespace();
    let product = words.next().unwrap_or("server").to_lowercase();
    let number = words.find_map(|word| word.strip_prefix("v="));
    let mut folder = format!("{product}-{}", number.unwrap_or("unknown"));
    if Server::is_cluster_by_default() {
        folder += "-cluster";
    }
    root().join("target/faults").join(folder)
}
