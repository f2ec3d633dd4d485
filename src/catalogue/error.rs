//! What can be wrong with a catalogue.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::terms::{ParamsError, VocabularyError};

/// Why a catalogue could not be written or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The system could not read or write a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done: "open", "write", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a catalogue that this version can read; it was not made by
    /// `sojourn ingest`, or by another version of it.
    #[error("{} is not a catalogue that this version reads: {reason}; re-run sojourn ingest", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// The file is a catalogue, but damaged.
    #[error("catalogue {} is damaged in section {section}: {reason}; re-run sojourn ingest", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The part of the file: "header", "item ids", ...
        section: &'static str,
        /// What was found and what was expected.
        reason: String,
    },
    /// The parameters cannot be used.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The terms of the items cannot be counted.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// Items were added in the wrong order.
    #[error(
        "item {id:?} was added after {previous:?}, items have to be added in strictly ascending order of ids"
    )]
    OutOfOrder {
        /// The id that came too late.
        id: String,
        /// The id before it.
        previous: String,
    },
    /// The items written are not the items that were counted.
    #[error(
        "{written} items were written but the vocabulary was counted over {counted}, both passes have to see the same items"
    )]
    ItemsDiffer {
        /// Items added to the writer.
        written: u64,
        /// Items added to the counter.
        counted: u64,
    },
    /// More items than an index can number.
    #[error("the catalogue has more than {limit} items, which is all it can number")]
    TooManyItems {
        /// The largest number of items.
        limit: u64,
    },
}
