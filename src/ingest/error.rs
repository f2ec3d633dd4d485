//! Why an ingest stopped.

use std::path::PathBuf;

use crate::catalogue::CatalogueError;
use crate::dataset::DatasetError;
use crate::terms::VocabularyError;

/// Why an ingest stopped. No dataset is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// An input does not exist or is of no known kind.
    #[error("{location}: {reason}")]
    Location {
        /// As given.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An input broke off, or is not what its name says.
    #[error(
        "{file}: cannot be read as {expected}: {reason}; it may be cut off, damaged or of another \
         kind than its name says: copy or export it again"
    )]
    Unreadable {
        /// The file.
        file: String,
        /// What its name says that it is.
        expected: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An input holds no row.
    #[error("{file}: has no rows; {what} were expected there, so see where it is written")]
    Empty {
        /// The file.
        file: String,
        /// Items or interactions.
        what: &'static str,
    },
    /// An input lacks a column.
    #[error(
        "{file}: there is no column {column:?} for {field}; it has {found}. Say which column it is \
         with --map {field}=COLUMN"
    )]
    MissingColumn {
        /// The file.
        file: String,
        /// The field that needs it.
        field: &'static str,
        /// What it should be called.
        column: String,
        /// The columns that are there.
        found: String,
    },
    /// An input has a column twice.
    #[error("{file}: there are several columns {column:?}; rename all but one")]
    AmbiguousColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// A column of Parquet holds something that no field can be.
    #[error(
        "{file}: column {column:?} for {field} is of type {found}; expected is {expected}. Cast it \
         where the file is written, or name another with --map {field}=COLUMN"
    )]
    ColumnType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The field that it was to be.
        field: &'static str,
        /// Its type.
        found: String,
        /// Types that would do.
        expected: &'static str,
    },
    /// The mapping of fields to columns makes no sense.
    #[error("mapping: {0}")]
    Mapping(String),
    /// Too many rows were not taken.
    #[error(
        "{rejects} of {rows} rows were rejected, more than --max-rejects {max} allows: {reasons}. \
         All of them are in {rejects_file}"
    )]
    TooManyRejects {
        /// Rows that were not taken.
        rejects: u64,
        /// Rows that were read.
        rows: u64,
        /// The share that is allowed.
        max: f64,
        /// The commonest reasons, with an example each.
        reasons: String,
        /// Where to look.
        rejects_file: PathBuf,
    },
    /// No row was taken.
    #[error(
        "none of {rows} rows of {what} could be taken: {reasons}. All of them are in \
         {rejects_file}"
    )]
    NothingTaken {
        /// Items or interactions.
        what: &'static str,
        /// Rows that were read.
        rows: u64,
        /// The commonest reasons, with an example each.
        reasons: String,
        /// Where to look.
        rejects_file: PathBuf,
    },
    /// What stands where the dataset should go is none, so that it is not replaced.
    #[error("{path} is not a dataset, so --force does not replace it; write to another place")]
    NotADataset {
        /// The place.
        path: String,
    },
    /// There is something already where the dataset should go.
    #[error("{path} exists; write to another place, or replace it with --force")]
    Exists {
        /// The place.
        path: String,
    },
    /// A parameter is out of its range.
    #[error("{0}")]
    Parameter(String),
    /// A file of the dataset or a scratch file cannot be written.
    #[error("{path}: {reason}; make room there, or choose another place")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Terms could not be counted.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The catalogue could not be written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The dataset could not be uploaded.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}
