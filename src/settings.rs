//! What the command lines of all processes have in common: Redis, the settings file, and how a
//! process starts, logs, and is asked to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::connection::{ConnectError, Redis, RedisOptions};

mod file;
mod options;
mod process;

use file::DEFAULT_FILE;
pub use file::parse;
pub use options::{OPTIONS, ProgramOptions};
pub use process::{EXIT_FAILED, EXIT_INPUT, EXIT_REDIS, install_tls, run, start_log, stop_signal};

/// Where Redis is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// URL of Redis or Valkey: redis://, rediss:// (TLS) or unix://
    #[arg(
        long,
        env = "SOJOURN_REDIS",
        hide_env_values = true,
        global = true,
        value_name = "URL"
    )]
    pub redis: Option<String>,

    /// File that holds the password; SOJOURN_REDIS_PASSWORD is the other way
    #[arg(
        long,
        env = "SOJOURN_REDIS_PASSWORD_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub redis_password_file: Option<PathBuf>,

    /// Prefix of every key
    #[arg(long, env = "SOJOURN_KEY_PREFIX", global = true, value_name = "TEXT",
          default_value = crate::keys::DEFAULT_PREFIX)]
    pub key_prefix: String,
}

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
    /// No Redis was named.
    #[error(
        "no Redis is named: use --redis URL, SOJOURN_REDIS, or `redis = \"...\"` in {DEFAULT_FILE}"
    )]
    NoRedis,
    /// The Redis that was named cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl SettingsError {
    /// Whether it is Redis that is missing or cannot be used.
    pub fn is_redis(&self) -> bool {
        matches!(self, SettingsError::NoRedis | SettingsError::Connect(_))
    }
}

impl RedisArgs {
    /// The options for `url`.
    ///
    /// # Errors
    /// When the password file cannot be read.
    pub fn options(&self, url: &str) -> Result<RedisOptions, SettingsError> {
        let mut options = RedisOptions::new(url);
        options.key_prefix.clone_from(&self.key_prefix);
        options.password = secret(
            "SOJOURN_REDIS_PASSWORD",
            self.redis_password_file.as_deref(),
        )?;
        Ok(options)
    }

    /// Connects to the Redis that is named.
    ///
    /// # Errors
    /// When none is named, or it cannot be used.
    pub async fn connect(&self) -> Result<Redis, SettingsError> {
        let url = self.redis.as_deref().ok_or(SettingsError::NoRedis)?;
        Ok(Redis::connect(&self.options(url)?).await?)
    }
}

/// A number of seconds from `least` to a day, for options: whatever is silent for longer is dead.
///
/// # Errors
/// When it is none.
pub fn seconds(text: &str, least: f64) -> Result<Duration, String> {
    const DAY: f64 = 24.0 * 3600.0;
    let refused = || format!("must be a number of seconds from {least} to {DAY}");
    let seconds: f64 = text.parse().map_err(|_| refused())?;
    if !(least..=DAY).contains(&seconds) {
        return Err(refused());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A secret from a file, else from an environment variable.
///
/// # Errors
/// When the file cannot be read.
pub fn secret(variable: &str, file: Option<&Path>) -> Result<Option<String>, SettingsError> {
    let Some(path) = file else {
        return Ok(std::env::var(variable)
            .ok()
            .filter(|secret| !secret.is_empty()));
    };
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
        path: path.into(),
        source,
    })?;
    Ok(Some(text.trim_end().to_owned()))
}
