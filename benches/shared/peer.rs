//! Programs of competitors, which print one JSON object.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python that has the competitors' packages.
pub fn python() -> PathBuf {
    root().join(".tools/journeys/bin/python")
}

/// A file of the repository.
pub fn file(path: &str) -> PathBuf {
    root().join(path)
}

/// What a program has printed; or its last word.
pub fn said(command: &mut Command) -> Result<Value, String> {
    let output = command.output().map_err(|error| {
        let program = command.get_program().to_string_lossy();
        format!("{program}: {error}; scripts/bench/install")
    })?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(errors.lines().last().unwrap_or("it failed").to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
