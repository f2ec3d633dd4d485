//! What a scenario has to show: a line, or a small table, of figures.

use std::fmt::{Display, Write};
use std::path::PathBuf;

use crate::is_long;
use crate::support::{root, server_program};

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

/// One folder for each server program, so that the suite on one does not replace what it has shown
/// on the other.
fn folder() -> PathBuf {
    let server = std::fs::canonicalize(server_program()).expect("the server program");
    let server = server.file_name().expect("a name").to_owned();
    root().join("target/faults").join(server)
}
