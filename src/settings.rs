//! What the command lines of all processes have in common: Redis, the settings file, the log, and
//! how a process is asked to stop.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches};
use tokio_util::sync::CancellationToken;
use toml::Value;

use crate::connection::{ConnectError, Redis, RedisOptions};

/// Settings file that is read when it is there and no other is named.
const DEFAULT_FILE: &str = "sojourn.toml";

/// Names another settings file; it must exist.
const FILE_VARIABLE: &str = "SOJOURN_CONFIG";

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
    /// The settings file is not TOML, or holds what no option is called.
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

/// Reads the command line: flags before environment before settings file before defaults. Exits
/// with a message and code 2 when it cannot be understood.
pub fn parse<T: CommandFactory + FromArgMatches>() -> T {
    let command = match with_settings_file(T::command()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(2);
        }
    };
    let matches: ArgMatches = command.get_matches();
    T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Makes what the settings file says the defaults of the options.
fn with_settings_file(command: Command) -> Result<Command, SettingsError> {
    let named = std::env::var_os(FILE_VARIABLE).map(PathBuf::from);
    let path = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(command);
        }
        Err(source) => return Err(SettingsError::Unreadable { path, source }),
    };
    let invalid = |reason: String| SettingsError::Invalid {
        path: path.clone(),
        reason,
    };
    let settings: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        invalid(error.to_string().lines().collect::<Vec<_>>().join(" "))
    })?;
    with_settings(command, &settings).map_err(invalid)
}

/// A key is the long name of an option, of this command or of any subcommand; a table is for the
/// subcommand of its name.
fn with_settings(mut command: Command, settings: &toml::Table) -> Result<Command, String> {
    for (key, value) in settings {
        if let Value::Table(table) = value {
            let Some(subcommand) = command.find_subcommand(key) else {
                // The file is shared by `sojourn` and `sojourn-worker`, which differ in subcommands.
                continue;
            };
            let subcommand = with_settings(subcommand.clone(), table)?;
            command = command.mut_subcommand(key, |_| subcommand);
            continue;
        }
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Array(_) | Value::Datetime(_) | Value::Table(_) => {
                return Err(format!("{key:?} must be a text, a number, true or false"));
            }
            number => number.to_string(),
        };
        command = with_default(command, key, &value);
    }
    Ok(command)
}

fn with_default(command: Command, key: &str, value: &str) -> Command {
    let ids: Vec<String> = command
        .get_arguments()
        .filter(|arg| arg.get_long() == Some(key))
        .map(|arg| arg.get_id().to_string())
        .collect();
    let mut command = ids.iter().fold(command, |command, id| {
        command.mut_arg(id, |arg| {
            arg.default_value(value.to_owned()).required(false)
        })
    });
    let names: Vec<String> = command
        .get_subcommands()
        .map(|s| s.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, |subcommand| with_default(subcommand, key, value));
    }
    command
}

/// Starts the log on standard error. `SOJOURN_LOG` selects what is logged (`info`, `debug`,
/// `sojourn=trace`); `SOJOURN_LOG_FORMAT=json` writes it for machines.
pub fn start_log(default_level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SOJOURN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default_level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start, as in tests, leaves the first log in place.
    let _ = if std::env::var("SOJOURN_LOG_FORMAT").is_ok_and(|format| format == "json") {
        log.json().try_init()
    } else {
        log.with_target(false).try_init()
    };
}

/// An error with its causes in one line; a cause that the message tells already is not repeated.
pub fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Makes TLS work: one provider for Redis, object stores and model endpoints.
pub fn install_tls() {
    // Only the first installation counts; that it came earlier is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A token that is set by SIGTERM or SIGINT, and with `owned` also when standard input ends: then
/// the process that started this one is gone.
pub fn stop_signal(owned: bool) -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = async {
            match signal(SignalKind::terminate()) {
                Ok(mut signals) => {
                    signals.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        let orphaned = async {
            if !owned {
                std::future::pending::<()>().await;
            }
            let ended = tokio::task::spawn_blocking(|| {
                // Whatever comes in is read until there is no more; that it failed means the same.
                let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            });
            let _ = ended.await;
        };
        tokio::select! {
            () = terminate => {}
            _ = tokio::signal::ctrl_c() => {}
            () = orphaned => {}
        }
        stop.cancel();
    });
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        redis: RedisArgs,
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(clap::Subcommand)]
    enum Sub {
        Extract {
            #[arg(long, default_value_t = 1)]
            concurrency: u32,
        },
    }

    fn parsed(settings: &str, args: &[&str]) -> Cli {
        let command = with_settings(Cli::command(), &settings.parse().unwrap()).unwrap();
        Cli::from_arg_matches(&command.try_get_matches_from(args).unwrap()).unwrap()
    }

    #[test]
    fn the_file_sets_options_of_the_command_and_of_its_subcommands() {
        let settings = "redis = \"redis://a\"\n[extract]\nconcurrency = 7";
        let cli = parsed(settings, &["x", "extract"]);
        let Sub::Extract { concurrency } = cli.command;
        assert_eq!(
            (cli.redis.redis.as_deref(), concurrency),
            (Some("redis://a"), 7)
        );
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let cli = parsed("concurrency = 7", &["x", "extract", "--concurrency", "3"]);
        let Sub::Extract { concurrency } = cli.command;
        assert_eq!(concurrency, 3);
    }

    #[test]
    fn a_list_is_refused_by_the_name_of_its_key() {
        let error = with_settings(Cli::command(), &"redis = [1]".parse().unwrap()).unwrap_err();
        assert!(error.contains("\"redis\""), "{error}");
    }
}
