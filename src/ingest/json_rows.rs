//! Rows of JSON lines that are neither items nor interactions, such as collections of items.

use std::io::{BufRead, Read};

use serde::de::DeserializeOwned;

use super::{IngestError, IngestProgress, Source, resolve_all};

/// Longest row, in bytes: a collection of thousands of items.
const MAX_ROW: u64 = 16 << 20;

/// A row, and where it stands.
#[derive(Debug)]
pub(crate) struct JsonRow<T> {
    /// Name of the file.
    pub source: String,
    /// From 1.
    pub line: u64,
    pub row: T,
}

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonRowError {
    /// A file cannot be read.
    #[error(transparent)]
    Input(#[from] IngestError),
    /// A row is of another kind.
    #[error("{file}, line {line}: it is no {expected}: {reason}")]
    Row {
        /// The file.
        file: String,
        /// From 1.
        line: u64,
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// All rows of all files that the locations mean, in the order of the files' names. `expected` says
/// in errors what a row should be.
pub(crate) fn json_rows<T: DeserializeOwned>(
    locations: &[String],
    expected: &'static str,
) -> Result<Vec<JsonRow<T>>, JsonRowError> {
    let mut rows = Vec::new();
    for source in resolve_all(locations)? {
        read_file(&source, expected, &mut rows)?;
    }
    Ok(rows)
}

fn read_file<T: DeserializeOwned>(
    source: &Source,
    expected: &'static str,
    rows: &mut Vec<JsonRow<T>>,
) -> Result<(), JsonRowError> {
    let progress = IngestProgress::default();
    let mut input = source.open(&progress)?;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = input.by_ref().take(MAX_ROW).read_until(b'\n', &mut line);
        if read.map_err(|error| source.failed(error))? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let row = serde_json::from_slice(&line).map_err(|error| JsonRowError::Row {
            file: source.name.clone(),
            line: number,
            expected,
            reason: error.to_string(),
        })?;
        rows.push(JsonRow {
            source: source.name.clone(),
            line: number,
            row,
        });
    }
    Ok(())
}
