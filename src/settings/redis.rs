//! Where Redis is, and how to be let in.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::SettingsError;
use super::values::{read, seconds, secret};
use crate::connection::{Redis, RedisOptions};

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

    /// User of the sentinels, if it is not their default one
    #[arg(
        long,
        env = "SOJOURN_REDIS_SENTINEL_USER",
        global = true,
        value_name = "NAME"
    )]
    pub redis_sentinel_user: Option<String>,

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
        options.sentinel_user.clone_from(&self.redis_sentinel_user);
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
        let user = self.redis_sentinel_user.as_ref();
        variables.extend(user.map(|user| ("SOJOURN_REDIS_SENTINEL_USER", user.into())));
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

/// Least and longest time to wait for an answer: below, a busy server would seem to be gone; above,
/// one that is gone would hold up a worker for longer than a lease.
const TIMEOUTS: RangeInclusive<f64> = 0.1..=600.0;

fn timeout(text: &str) -> Result<Duration, String> {
    seconds(text, TIMEOUTS)
}
