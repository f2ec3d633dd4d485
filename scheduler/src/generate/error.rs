//! Why no population was generated.

use std::io;
use std::path::{Path, PathBuf};

/// Why no population was generated. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// What is asked for cannot be.
    #[error("{0}")]
    Parameter(String),
    /// There is something in the place already.
    #[error("{path} exists and is not empty; --force replaces a population that is there")]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// What is in the place is not a population, so that it is not replaced.
    #[error("{path} is not replaced: {reason}; name another folder")]
    NotAPopulation {
        /// The place.
        path: PathBuf,
        /// What else it is.
        reason: String,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody asked to stop.
    #[error("stopped; nothing is left of the population")]
    Stopped,
}

impl GenerateError {
    /// For `map_err`: `path` cannot be written.
    pub(super) fn write<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        path: &Path,
    ) -> impl FnOnce(E) -> GenerateError {
        move |error| GenerateError::Write {
            path: path.to_owned(),
            source: io::Error::other(error),
        }
    }
}
