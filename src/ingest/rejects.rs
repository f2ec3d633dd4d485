//! Rows that are not taken: counted by reason, and written down with file and line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::IngestError;

/// Longest part of a rejected row that is written down, in characters.
const MAX_EXCERPT: usize = 200;

/// Rows after which a hopeless input is given up before its end.
const EARLY_ROWS: u64 = 1_000;

/// Share of rejects at which an input is hopeless: a wrong mapping rejects everything.
const EARLY_SHARE: f64 = 0.5;

/// How many reasons an error message names.
const REASONS: usize = 3;

/// Why a row is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is no row: broken JSON, not UTF-8, another number of cells than the header.
    Unparsable,
    /// It lacks something that it must have.
    MissingValue,
    /// Something in it is not what it should be.
    InvalidValue,
    /// Another row has the same item id.
    DuplicateItem,
    /// Another row has the same user, item and time.
    DuplicateInteraction,
    /// It names an item that is not among the items.
    UnknownItem,
}

impl Reason {
    /// As written in the manifest and in the rejects file.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unparsable => "unparsable",
            Reason::MissingValue => "missing_value",
            Reason::InvalidValue => "invalid_value",
            Reason::DuplicateItem => "duplicate_item",
            Reason::DuplicateInteraction => "duplicate_interaction",
            Reason::UnknownItem => "unknown_item",
        }
    }
}

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Number of the file among all inputs.
    pub file: u32,
    /// Line, from 1; in Parquet the row, from 1.
    pub line: u64,
}

#[derive(Serialize)]
struct RejectedRow<'a> {
    file: &'a str,
    line: u64,
    reason: Reason,
    message: &'a str,
    excerpt: String,
}

/// Collects rejected rows.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    writer: BufWriter<File>,
    files: Vec<String>,
    max_share: f64,
    rows: u64,
    counts: BTreeMap<Reason, (u64, String)>,
}

impl Rejects {
    /// Rejected rows are written to a new file at `path`; their share may be `max_share`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, max_share: f64) -> Result<Rejects, IngestError> {
        let file = File::create(path).map_err(|error| write_error(path, &error))?;
        Ok(Rejects {
            path: path.into(),
            writer: BufWriter::new(file),
            files: Vec::new(),
            max_share,
            rows: 0,
            counts: BTreeMap::new(),
        })
    }

    /// Names the next input file and returns its number.
    pub fn begin_file(&mut self, name: &str) -> u32 {
        self.files.push(name.into());
        self.files.len() as u32 - 1
    }

    /// Counts a row that was read, taken or not.
    pub fn count_row(&mut self) {
        self.rows += 1;
    }

    /// Rejects a row.
    ///
    /// # Errors
    /// When the file cannot be written, or so much was rejected that going on makes no sense.
    pub fn reject(
        &mut self,
        position: Position,
        reason: Reason,
        message: &str,
        excerpt: &str,
    ) -> Result<(), IngestError> {
        let file = self
            .files
            .get(position.file as usize)
            .map_or("", String::as_str);
        let row = RejectedRow {
            file,
            line: position.line,
            reason,
            message,
            excerpt: excerpt
                .chars()
                .filter(|c| !c.is_control())
                .take(MAX_EXCERPT)
                .collect(),
        };
        let example = || format!("{file}, line {}: {message}", position.line);
        self.counts
            .entry(reason)
            .or_insert_with(|| (0, example()))
            .0 += 1;
        serde_json::to_writer(&mut self.writer, &row)
            .map_err(std::io::Error::from)
            .and_then(|()| self.writer.write_all(b"\n"))
            .map_err(|error| write_error(&self.path, &error))?;
        let hopeless = EARLY_SHARE.max(self.max_share) * self.rows as f64;
        if self.rows >= EARLY_ROWS && self.total() as f64 > hopeless {
            return self.check();
        }
        Ok(())
    }

    fn total(&self) -> u64 {
        self.counts.values().map(|(count, _)| count).sum()
    }

    /// Checks the share of rejects.
    ///
    /// # Errors
    /// When it is above what is allowed.
    pub fn check(&mut self) -> Result<(), IngestError> {
        self.writer
            .flush()
            .map_err(|error| write_error(&self.path, &error))?;
        let rejects = self.total();
        if rejects as f64 <= self.max_share * self.rows as f64 {
            return Ok(());
        }
        let mut counts: Vec<_> = self.counts.iter().collect();
        counts.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let reasons: Vec<String> = counts
            .into_iter()
            .take(REASONS)
            .map(|(reason, (count, example))| format!("{count} {} ({example})", reason.as_str()))
            .collect();
        Err(IngestError::TooManyRejects {
            rejects,
            rows: self.rows,
            max: self.max_share,
            reasons: reasons.join("; "),
            rejects_file: self.path.clone(),
        })
    }

    /// Rows read, and rejects by reason. The file is complete afterwards.
    ///
    /// # Errors
    /// As [`Rejects::check`].
    pub fn finish(mut self) -> Result<(u64, BTreeMap<String, u64>), IngestError> {
        self.check()?;
        let counts = self
            .counts
            .iter()
            .map(|(reason, (count, _))| (reason.as_str().into(), *count));
        Ok((self.rows, counts.collect()))
    }
}

fn write_error(path: &Path, error: &std::io::Error) -> IngestError {
    IngestError::Write {
        path: path.into(),
        reason: error.to_string(),
    }
}
