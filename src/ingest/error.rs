//! Why an ingest stopped.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::catalogue::CatalogueError;
use crate::dataset::DatasetError;
use crate::terms::{ParamsError, VocabularyError};

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
    /// An object store does not give what is in it.
    #[error(
        "{location}: {reason}; see whether the store can be reached from here, and whether the \
         environment has its credentials (AWS_..., GOOGLE_..., AZURE_...)"
    )]
    Store {
        /// The object, or where objects were looked for.
        location: String,
        /// What the store said.
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
    #[error(
        "{path} is not a dataset ({reason}), so --force does not replace it; write to another place"
    )]
    NotADataset {
        /// The place.
        path: PathBuf,
        /// What tells so.
        reason: String,
    },
    /// The private Redis of the dataset that would be replaced is running.
    #[error(
        "{path}: the private Redis of this dataset is running at {address}; wait until the \
         command that uses it has ended (or end it, if that command was killed), and ingest again"
    )]
    InUse {
        /// The dataset.
        path: PathBuf,
        /// Where its Redis listens.
        address: String,
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
    /// A parameter of salience is out of its range.
    #[error(transparent)]
    Salience(#[from] ParamsError),
    /// Somebody asked it to stop.
    #[error("stopped before the dataset was finished; nothing is left of it")]
    Stopped,
    /// It panicked.
    #[error("the ingest panicked, which is a bug: {0}")]
    Panicked(String),
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

impl IngestError {
    /// A file of ours that cannot be written, or read back.
    pub(super) fn write(path: &Path, reason: impl Display) -> IngestError {
        IngestError::Write {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
