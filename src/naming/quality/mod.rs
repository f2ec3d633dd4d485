//! How good names are: curated collections, which people have named, are named as a worker names
//! journeys, in several ways, so that the names can be compared with those of the people.

mod grid;
mod results;
mod sample;
mod trial;

use std::io;
use std::path::PathBuf;

pub use grid::{Asking, Excerpt, Grid, Setting};
pub use results::Results;
pub use sample::{Group, Sample, SampleCounts, SampleOptions};
pub use trial::Trial;

use super::curated::CuratedError;
use super::endpoint::LlmError;

/// Why collections are not named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QualityError {
    /// The collections cannot be read.
    #[error(transparent)]
    Collections(#[from] CuratedError),
    /// The model cannot be asked.
    #[error(transparent)]
    Model(#[from] LlmError),
    /// There is less to draw from than is to be drawn.
    #[error("{file} has {found} collections whose titles could be names, and {wanted} are wanted")]
    TooFew {
        /// The file.
        file: String,
        /// What is there.
        found: usize,
        /// What is asked for.
        wanted: usize,
    },
    /// More examples are to be shown than there are.
    #[error("the prompt has {there} examples, so that {wanted} cannot be shown")]
    Examples {
        /// What is there.
        there: usize,
        /// What is asked for.
        wanted: usize,
    },
    /// A file of results is of something else.
    #[error("{path}, line {line}: {reason}; name another folder, or remove the file")]
    Lines {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Results cannot be kept.
    #[error("{path}: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
