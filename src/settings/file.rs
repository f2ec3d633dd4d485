//! The settings file: what it says becomes the defaults of the options.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use clap::{Command, CommandFactory, FromArgMatches};
use toml::Value;

use super::SettingsError;
use super::options::OPTIONS;
use crate::code::{Code, Coded};

/// Settings file that is read when it is there and no other is named.
pub(super) const DEFAULT_FILE: &str = "sojourn.toml";

/// Names another settings file; it must exist.
const FILE_VARIABLE: &str = "SOJOURN_CONFIG";

/// Reads the command line: flags before environment before settings file before defaults. Exits
/// with a message and code 2 when it cannot be understood.
pub fn parse<T: CommandFactory + FromArgMatches>() -> T {
    let command = match with_settings_file(without_empty_variables(T::command())) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error[{}]: {error}", error.code());
            std::process::exit(error.code().exit().into());
        }
    };
    let matches = command.try_get_matches();
    matches
        .and_then(|matches| T::from_arg_matches(&matches))
        .unwrap_or_else(|error| refuse(&error))
}

/// Ends the process with what the parser says: a help, or an error, which gets its code.
fn refuse(error: &clap::Error) -> ! {
    let text = error.to_string();
    match text.strip_prefix("error: ") {
        Some(text) => {
            eprint!("error[{}]: {text}", Code::Usage);
            std::process::exit(Code::Usage.exit().into());
        }
        None => error.exit(),
    }
}

/// A variable that is set to nothing is one that is not set: container files can pass a variable
/// on, and give it another default, only that way.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |variable: &OsStr| std::env::var_os(variable).is_some_and(|v| v.is_empty());
    command
        .mut_args(|arg| match arg.get_env().is_some_and(is_empty) {
            true => arg.env(None::<&str>),
            false => arg,
        })
        .mut_subcommands(without_empty_variables)
}

/// Makes what the settings file says the defaults of the options.
fn with_settings_file(command: Command) -> Result<Command, SettingsError> {
    let named = std::env::var_os(FILE_VARIABLE).filter(|name| !name.is_empty());
    let path = named.as_ref().map_or(DEFAULT_FILE.into(), PathBuf::from);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
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
    check(&settings).map_err(invalid)?;
    with_settings(command, &settings).map_err(invalid)
}

/// Refuses what neither program has an option or a command for: a setting that is misspelt would
/// otherwise be ignored without a word.
fn check(settings: &toml::Table) -> Result<(), String> {
    for (key, value) in settings {
        let Value::Table(table) = value else {
            if OPTIONS.iter().any(|program| program.has(key)) {
                continue;
            }
            return Err(format!(
                "neither sojourn nor sojourn-worker has an option --{key}"
            ));
        };
        let mut commands = OPTIONS.iter().filter_map(|program| program.of_command(key));
        let Some((program, options)) = commands.next() else {
            return Err(format!(
                "neither sojourn nor sojourn-worker has a command {key:?}"
            ));
        };
        if let Some(option) = table.keys().find(|key| !options.contains(&key.as_str())) {
            return Err(format!(
                "{} {key} has no option --{option} of its own",
                program.name
            ));
        }
    }
    Ok(())
}

/// A key is the long name of an option, of this command or of any subcommand; a table is for the
/// subcommand of its name, and wins there.
fn with_settings(mut command: Command, settings: &toml::Table) -> Result<Command, String> {
    for (key, value) in settings {
        let value = match value {
            Value::Table(_) => continue,
            Value::String(text) => text.clone(),
            Value::Array(_) | Value::Datetime(_) => {
                return Err(format!("{key:?} must be a text, a number, true or false"));
            }
            number => number.to_string(),
        };
        command = with_default(command, key, &value);
    }
    for (key, value) in settings {
        // A table for a command of the other program says nothing to this one.
        if let (Value::Table(table), Some(subcommand)) = (value, command.find_subcommand(key)) {
            let subcommand = with_settings(subcommand.clone(), table)?;
            command = command.mut_subcommand(key, |_| subcommand);
        }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::settings::RedisArgs;

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
            #[arg(long, default_value_t = 0)]
            size: u32,
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
        let Sub::Extract { concurrency, .. } = cli.command;
        assert_eq!(
            (cli.redis.redis.as_deref(), concurrency),
            (Some("redis://a"), 7)
        );
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let cli = parsed("concurrency = 7", &["x", "extract", "--concurrency", "3"]);
        let Sub::Extract { concurrency, .. } = cli.command;
        assert_eq!(concurrency, 3);
    }

    #[test]
    fn a_table_wins_over_what_stands_outside_of_it() {
        let settings = "size = 1\n[extract]\nsize = 2";
        let Sub::Extract { size, .. } = parsed(settings, &["x", "extract"]).command;
        assert_eq!(size, 2);
    }

    #[test]
    fn a_list_is_refused_by_the_name_of_its_key() {
        let error = with_settings(Cli::command(), &"redis = [1]".parse().unwrap()).unwrap_err();
        assert!(error.contains("\"redis\""), "{error}");
    }

    #[test]
    fn what_neither_program_knows_is_refused_by_its_name() {
        for (settings, named) in [
            ("rediss = \"redis://a\"", "--rediss"),
            ("[extrct]\nlease = 7", "\"extrct\""),
            (
                "[extract]\nleese = 7",
                "sojourn-worker extract has no option --leese",
            ),
            (
                "[name]\ncache = \"/tmp\"",
                "sojourn-worker name has no option --cache",
            ),
            ("[name]\nredis = \"redis://a\"", "--redis of its own"),
        ] {
            let error = check(&settings.parse().unwrap()).unwrap_err();
            assert!(error.contains(named), "{settings}: {error}");
        }
    }

    #[test]
    fn what_only_the_other_program_knows_is_accepted() {
        let settings =
            "lease = 7\nepsilon = 0.1\n[ingest]\nmemory = \"1GiB\"\n[name]\nmodel = \"m\"";
        assert_eq!(check(&settings.parse().unwrap()), Ok(()));
    }
}
