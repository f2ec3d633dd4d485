//! What the command lines of all processes have in common: Redis, the settings file, how a process
//! says how it is, and how it starts, logs, and is asked to stop.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::connection::{ConnectError, Redis, RedisOptions};

mod file;
mod listen;
mod options;
mod process;
mod prompt;

use file::DEFAULT_FILE;
pub use file::parse;
pub use listen::{HealthError, ListenArgs, ask, listen_address};
pub use options::{OPTIONS, ProgramOptions};
pub use process::{install_tls, run, start_log, stop_signal};
pub use prompt::PromptArgs;

/// Where Redis is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// URL of Redis or Valkey: redis://, rediss:// (TLS) or unix://; several host:port joined by
    /// commas are nodes of a cluster; redis+sentinel://HOST,HOST/NAME is the primary of that name
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

    /// File that holds the sentinels' password; SOJOURN_REDIS_SENTINEL_PASSWORD is the other way
    #[arg(
        long,
        env = "SOJOURN_REDIS_SENTINEL_PASSWORD_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub redis_sentinel_password_file: Option<PathBuf>,

    /// Certificates (PEM) that the servers' are checked against, instead of the system's
    #[arg(long, env = "SOJOURN_REDIS_CA", global = true, value_name = "FILE")]
    pub redis_ca: Option<PathBuf>,

    /// Certificate (PEM) to show to servers that want one
    #[arg(long, env = "SOJOURN_REDIS_CERT", global = true, value_name = "FILE")]
    pub redis_cert: Option<PathBuf>,

    /// Key (PEM) of that certificate
    #[arg(long, env = "SOJOURN_REDIS_KEY", global = true, value_name = "FILE")]
    pub redis_key: Option<PathBuf>,

    /// Seconds without an answer after which a connection counts as dead
    #[arg(long, env = "SOJOURN_REDIS_TIMEOUT", global = true, value_name = "SECONDS",
          default_value = "10", value_parser = timeout)]
    pub redis_timeout: Duration,

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

impl RedisArgs {
    /// The options for `url`.
    ///
    /// # Errors
    /// When the password file cannot be read.
    pub fn options(&self, url: &str) -> Result<RedisOptions, SettingsError> {
        let mut options = RedisOptions::new(url);
        options.key_prefix.clone_from(&self.key_prefix);
        options.timeout = self.redis_timeout;
        options.password = secret(
            "SOJOURN_REDIS_PASSWORD",
            self.redis_password_file.as_deref(),
        )?;
        options.sentinel_password = secret(
            "SOJOURN_REDIS_SENTINEL_PASSWORD",
            self.redis_sentinel_password_file.as_deref(),
        )?;
        let bytes = |file: &Option<PathBuf>| file.as_deref().map(read).transpose();
        options.authority = bytes(&self.redis_ca)?;
        options.certificate = bytes(&self.redis_cert)?;
        options.key = bytes(&self.redis_key)?;
        Ok(options)
    }

    /// What a child process must find in its environment to use the same Redis in the same way.
    /// Secrets are not among it: they stand in the environment already, or in files.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            ("SOJOURN_KEY_PREFIX", self.key_prefix.clone().into()),
            (
                "SOJOURN_REDIS_TIMEOUT",
                self.redis_timeout.as_secs_f64().to_string().into(),
            ),
        ];
        for (variable, file) in [
            ("SOJOURN_REDIS_PASSWORD_FILE", &self.redis_password_file),
            (
                "SOJOURN_REDIS_SENTINEL_PASSWORD_FILE",
                &self.redis_sentinel_password_file,
            ),
            ("SOJOURN_REDIS_CA", &self.redis_ca),
            ("SOJOURN_REDIS_CERT", &self.redis_cert),
            ("SOJOURN_REDIS_KEY", &self.redis_key),
        ] {
            variables.extend(file.as_ref().map(|file| (variable, file.clone().into())));
        }
        variables
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

/// The longest that anything may be told to wait, in seconds: whatever is silent for a day is dead.
pub const DAY: f64 = 24.0 * 3600.0;

/// A number of seconds within bounds, for options.
///
/// # Errors
/// When it is none.
pub fn seconds(text: &str, bounds: RangeInclusive<f64>) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| bounds.contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        let (least, most) = (bounds.start(), bounds.end());
        format!("must be a number of seconds from {least} to {most}")
    })
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
    let bytes = read(path)?;
    let text = String::from_utf8(bytes).map_err(|error| SettingsError::Unreadable {
        path: path.into(),
        source: std::io::Error::new(ErrorKind::InvalidData, error.utf8_error()),
    })?;
    Ok(Some(text.trim_end().to_owned()))
}

fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(path).map_err(|source| SettingsError::Unreadable {
        path: path.into(),
        source,
    })
}

/// Least and longest time to wait for an answer: below, a busy server would seem to be gone; above,
/// one that is gone would hold up a worker for longer than a lease.
const TIMEOUTS: RangeInclusive<f64> = 0.1..=600.0;

fn timeout(text: &str) -> Result<Duration, String> {
    seconds(text, TIMEOUTS)
}
