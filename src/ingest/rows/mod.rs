//! Rows of input files, whatever their format: one cell for each field.

mod columnar;
mod delimited;
mod json;
mod movielens;
mod records;

use std::borrow::Cow;
use std::path::Path;

use super::cell::{Cell, Refusal};
use super::mapping::FieldColumns;
use super::rejects::{Position, Reason, Rejects};
use super::source::{Format, Source};
use super::{IngestError, IngestProgress};

/// Longest row, in bytes. A longer one is no row but a file of another kind, or a quote that is
/// never closed, and must not fill the memory.
const MAX_ROW: u64 = 16 << 20;

/// Bytes of a row that are looked at for its excerpt.
const EXCERPT: usize = 1024;

/// What became of a row that could be read: taken, refused, or a reason to stop.
pub(super) type Taken = Result<Result<(), Refusal>, IngestError>;

/// Reads all rows of some files.
pub(super) struct RowReader<'a> {
    pub fields: &'a [FieldColumns],
    pub progress: &'a IngestProgress,
    pub scratch: &'a Path,
}

/// Where a reader of one format puts its rows.
struct Sink<'a> {
    progress: &'a IngestProgress,
    rejects: &'a mut Rejects,
    file: u32,
    rows: u64,
    take: &'a mut dyn FnMut(Position, &[Cell<'_>]) -> Taken,
}

impl Sink<'_> {
    fn row(
        &mut self,
        line: u64,
        cells: &[Cell<'_>],
        excerpt: impl FnOnce() -> String,
    ) -> Result<(), IngestError> {
        self.count(1);
        let file = self.file;
        let position = Position { file, line };
        match (self.take)(position, cells)? {
            Ok(()) => Ok(()),
            Err((reason, message)) => self.rejects.reject(position, reason, &message, &excerpt()),
        }
    }

    /// Rejects what is no row. Where it takes several lines, nobody knows how many rows it was to
    /// be: each line counts as one.
    fn unparsable(
        &mut self,
        line: u64,
        lines: u64,
        message: &str,
        row: &[u8],
    ) -> Result<(), IngestError> {
        self.count(lines);
        let file = self.file;
        let position = Position { file, line };
        let excerpt = String::from_utf8_lossy(&row[..row.len().min(EXCERPT)]);
        let reason = Reason::Unparsable;
        self.rejects
            .reject_lines(position, lines, reason, message, excerpt.trim_end())
    }

    fn count(&mut self, rows: u64) {
        self.rows += rows;
        self.rejects.count_rows(rows);
        self.progress.count_rows(rows);
    }
}

impl RowReader<'_> {
    /// Gives the rows of `source` to `take`, one cell for each field; what is no row, and what is
    /// refused, goes to `rejects`. Returns how many rows there were.
    pub fn read(
        &self,
        source: &Source,
        rejects: &mut Rejects,
        take: &mut dyn FnMut(Position, &[Cell<'_>]) -> Taken,
    ) -> Result<u64, IngestError> {
        let file = rejects.begin_file(&source.name);
        let progress = self.progress;
        let mut sink = Sink {
            progress,
            rejects,
            file,
            rows: 0,
            take,
        };
        match source.format {
            Format::Csv => self.read_csv(source, &mut sink)?,
            Format::Jsonl => self.read_jsonl(source, &mut sink)?,
            Format::Parquet => self.read_parquet(source, &mut sink)?,
            Format::MovieLens => self.read_movielens(source, &mut sink)?,
        }
        Ok(sink.rows)
    }

    /// For each field the positions of its columns among `header`.
    fn positions(
        &self,
        source: &Source,
        header: &[String],
    ) -> Result<Vec<Vec<usize>>, IngestError> {
        let mut all = Vec::with_capacity(self.fields.len());
        for wanted in self.fields {
            let mut positions = Vec::with_capacity(wanted.columns.len());
            for column in &wanted.columns {
                let mut places = (0..header.len()).filter(|&at| header[at] == *column);
                match (places.next(), places.next()) {
                    (Some(position), None) => positions.push(position),
                    (Some(_), Some(_)) => {
                        let (file, column) = (source.name.clone(), column.clone());
                        return Err(IngestError::AmbiguousColumn { file, column });
                    }
                    (None, _) if wanted.field.required || wanted.named => {
                        return Err(missing_column(source, wanted, column, &header.join(", ")));
                    }
                    (None, _) => {}
                }
            }
            all.push(positions);
        }
        Ok(all)
    }

    /// One cell for each field, joined from those of its columns.
    fn cells<'c>(
        &self,
        positions: &[Vec<usize>],
        cell: impl Fn(usize) -> Cell<'c>,
    ) -> Vec<Cell<'c>> {
        self.fields
            .iter()
            .zip(positions)
            .map(|(field, positions)| joined(field, positions.iter().map(|&at| cell(at))))
            .collect()
    }
}

fn missing_column(
    source: &Source,
    wanted: &FieldColumns,
    column: &str,
    found: &str,
) -> IngestError {
    // What is shown of another kind of file is better short.
    const FOUND: usize = 300;
    IngestError::MissingColumn {
        file: source.name.clone(),
        field: wanted.field.name,
        column: column.into(),
        found: found
            .chars()
            .take(FOUND)
            .flat_map(char::escape_debug)
            .collect(),
    }
}

/// One cell out of those of a field's columns: lists are put one after the other, texts are joined
/// by a space.
fn joined<'c>(field: &FieldColumns, mut cells: impl Iterator<Item = Cell<'c>>) -> Cell<'c> {
    let Some(first) = cells.next() else {
        return Cell::Missing;
    };
    let rest: Vec<Cell<'c>> = cells.collect();
    if rest.is_empty() {
        return first;
    }
    let all = || std::iter::once(&first).chain(&rest);
    if field.field.list {
        return Cell::List(all().flat_map(Cell::list).collect());
    }
    let texts: Vec<String> = all()
        .map(Cell::text)
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() {
        Cell::Missing
    } else {
        Cell::Text(Cow::Owned(texts.join(" ")))
    }
}
