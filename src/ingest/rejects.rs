//! Rows that are not taken: counted by reason, and written down with file and line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::IngestError;

/// Longest part of a rejected row that is written down, in characters.
const MAX_EXCERPT: usize = 200;

/// Rows after which an input of which none was taken is given up before its end: a wrong mapping
/// rejects everything. One that begins badly may still be good.
const EARLY_ROWS: u64 = 1_000;

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

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// For items.
    Items,
    /// For interactions.
    Interactions,
}

impl InputKind {
    /// In messages.
    pub fn as_str(self) -> &'static str {
        match self {
            InputKind::Items => "items",
            InputKind::Interactions => "interactions",
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
    /// How many lines it takes, if more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    reason: Reason,
    message: &'a str,
    excerpt: String,
}

/// Collects rejected rows.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    writer: BufWriter<File>,
    max_share: f64,
    /// Files of the input at hand.
    files: Vec<String>,
    input: InputKind,
    /// Rows and rejects of the input at hand. Items and interactions are judged apart: a few
    /// thousand bad interactions are nothing beside ten million good items.
    tally: Tally,
    /// Those of the inputs before.
    before: Tally,
}

/// Rows, and how many of them were rejected for which reason, each with an example.
#[derive(Debug, Default)]
struct Tally {
    rows: u64,
    counts: BTreeMap<Reason, (u64, String)>,
}

impl Tally {
    fn rejects(&self) -> u64 {
        self.counts.values().map(|(count, _)| count).sum()
    }

    /// The commonest reasons.
    fn reasons(&self) -> String {
        let mut counts: Vec<_> = self.counts.iter().collect();
        counts.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let reasons: Vec<String> = counts
            .into_iter()
            .take(REASONS)
            .map(|(reason, (count, example))| format!("{count} {} ({example})", reason.as_str()))
            .collect();
        reasons.join("; ")
    }
}

impl Rejects {
    /// Rejected rows are written to a new file at `path`; their share may be `max_share`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, max_share: f64) -> Result<Rejects, IngestError> {
        let file = File::create(path).map_err(|error| IngestError::write(path, error))?;
        Ok(Rejects {
            path: path.into(),
            writer: BufWriter::new(file),
            max_share,
            files: Vec::new(),
            input: InputKind::Items,
            tally: Tally::default(),
            before: Tally::default(),
        })
    }

    /// Begins with the files of an input, which are numbered from 0 again.
    pub fn begin_input(&mut self, input: InputKind) {
        self.input = input;
        self.files.clear();
        let done = std::mem::take(&mut self.tally);
        self.before.rows += done.rows;
        for (reason, (count, example)) in done.counts {
            self.before.counts.entry(reason).or_insert((0, example)).0 += count;
        }
    }

    /// Names the next input file and returns its number.
    pub fn begin_file(&mut self, name: &str) -> u32 {
        self.files.push(name.into());
        self.files.len() as u32 - 1
    }

    /// What a file of the input at hand is called.
    pub fn file_name(&self, file: u32) -> String {
        self.files.get(file as usize).cloned().unwrap_or_default()
    }

    /// Counts rows that were read, taken or not.
    pub fn count_rows(&mut self, rows: u64) {
        self.tally.rows += rows;
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
        self.reject_lines(position, 1, reason, message, excerpt)
    }

    /// Rejects what takes several lines, and counts as so many rows.
    ///
    /// # Errors
    /// As [`Rejects::reject`].
    pub fn reject_lines(
        &mut self,
        position: Position,
        lines: u64,
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
            lines: (lines > 1).then_some(lines),
            reason,
            message,
            excerpt: printable(excerpt),
        };
        let example = || format!("{file}, line {}: {message}", position.line);
        let count = self.tally.counts.entry(reason);
        count.or_insert_with(|| (0, example())).0 += lines;
        serde_json::to_writer(&mut self.writer, &row)
            .map_err(std::io::Error::from)
            .and_then(|()| self.writer.write_all(b"\n"))
            .map_err(|error| IngestError::write(&self.path, error))?;
        if self.tally.rows >= EARLY_ROWS && self.tally.rejects() >= self.tally.rows {
            return self.check();
        }
        Ok(())
    }

    /// Checks the share of rejects among the rows of the input at hand.
    ///
    /// # Errors
    /// When it is above what is allowed.
    pub fn check(&mut self) -> Result<(), IngestError> {
        self.writer
            .flush()
            .map_err(|error| IngestError::write(&self.path, error))?;
        let Tally { rows, .. } = self.tally;
        let rejects = self.tally.rejects();
        if rejects as f64 <= self.max_share * rows as f64 {
            return Ok(());
        }
        Err(IngestError::TooManyRejects {
            rejects,
            rows,
            max: self.max_share,
            reasons: self.tally.reasons(),
            rejects_file: self.path.clone(),
        })
    }

    /// The error for an input of which no row was taken, however many may be rejected.
    pub fn nothing_taken(&mut self) -> IngestError {
        if let Err(error) = self.check() {
            return error;
        }
        IngestError::NothingTaken {
            what: self.input.as_str(),
            rows: self.tally.rows,
            reasons: self.tally.reasons(),
            rejects_file: self.path.clone(),
        }
    }

    /// Rows read, and rejects by reason. The file is complete afterwards.
    ///
    /// # Errors
    /// As [`Rejects::check`].
    pub fn finish(mut self) -> Result<(u64, BTreeMap<String, u64>), IngestError> {
        self.check()?;
        self.begin_input(self.input);
        let counts = self.before.counts.iter();
        let counts = counts.map(|(reason, (count, _))| (reason.as_str().into(), *count));
        Ok((self.before.rows, counts.collect()))
    }
}

/// The beginning of a row in a form that a terminal can show: somebody will look at it there.
fn printable(excerpt: &str) -> String {
    let mut printable = String::new();
    for c in excerpt.chars().take(MAX_EXCERPT) {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejects(max_share: f64) -> (tempfile::TempDir, Rejects) {
        let folder = tempfile::tempdir().unwrap();
        let rejects = Rejects::create(&folder.path().join("rejects.jsonl"), max_share).unwrap();
        (folder, rejects)
    }

    const FIRST: Position = Position { file: 0, line: 1 };

    #[test]
    fn many_good_items_do_not_hide_that_all_interactions_are_bad() {
        let (_folder, mut rejects) = rejects(0.01);
        rejects.begin_input(InputKind::Items);
        rejects.count_rows(1_000_000);
        rejects.check().unwrap();
        rejects.begin_input(InputKind::Interactions);
        rejects.begin_file("log.csv");
        for _ in 0..100 {
            rejects.count_rows(1);
            rejects
                .reject(FIRST, Reason::UnknownItem, "item \"x\" is not there", "x")
                .unwrap();
        }
        let error = rejects.finish().unwrap_err().to_string();
        assert!(
            error.contains("100 of 100 rows") && error.contains("log.csv, line 1"),
            "{error}"
        );
    }

    #[test]
    fn an_input_that_is_hopeless_is_given_up_before_its_end() {
        let (_folder, mut rejects) = rejects(0.01);
        rejects.begin_file("log.csv");
        let gave_up = (1..=2 * EARLY_ROWS).find(|_| {
            rejects.count_rows(1);
            rejects
                .reject(FIRST, Reason::InvalidValue, "no time", "")
                .is_err()
        });
        assert_eq!(gave_up, Some(EARLY_ROWS));
    }

    #[test]
    fn an_input_that_begins_badly_is_read_to_its_end() {
        let (_folder, mut rejects) = rejects(0.01);
        rejects.begin_file("log.csv");
        rejects.count_rows(1);
        for _ in 0..2 * EARLY_ROWS {
            rejects.count_rows(1);
            let unknown = rejects.reject(FIRST, Reason::UnknownItem, "delisted", "");
            unknown.unwrap();
        }
        rejects.count_rows(1_000 * EARLY_ROWS);
        rejects.check().unwrap();
    }

    #[test]
    fn an_excerpt_is_capped_and_cannot_write_to_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}\tc"), "a\\u{1b}[2Jb\\u{9b}\\tc");
        assert_eq!(printable(&"x".repeat(10_000)).len(), MAX_EXCERPT);
    }
}
