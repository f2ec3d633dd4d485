//! A setting that cannot be used.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::file::DEFAULT_FILE;
use crate::connection::ConnectError;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A file that was named cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The settings file is not TOML, or holds what no program has an option for.
    #[error("{path}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// What the options ask for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Nobody can listen there.
    #[error(
        "cannot listen on {address}: {source}; name an address of this machine and a port that is \
         free with --listen or SOJOURN_LISTEN, or leave both out"
    )]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No Redis was named.
    #[error(
        "no Redis is named: use --redis URL, SOJOURN_REDIS, or `redis = \"...\"` in {DEFAULT_FILE}"
    )]
    NoRedis,
    /// The Redis that was named cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}
