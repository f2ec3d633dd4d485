//! `sojourn`: the scheduler and the command line around it.

mod commands;

use std::error::Error;
use std::process::ExitCode;

use commands::Usage;
use sojourn::connection::ConnectError;
use sojourn::ingest::IngestError;
use sojourn::journey::InvalidParams;
use sojourn::settings::{self, SettingsError};
use sojourn_scheduler::cli::{Cli, Command};
use sojourn_scheduler::private::PrivateError;
use sojourn_scheduler::register::RegisterError;
use sojourn_scheduler::trigger::InvalidRequest;

/// Wrong usage or input.
const EXIT_INPUT: u8 = 2;
/// Redis cannot be used.
const EXIT_REDIS: u8 = 3;
/// A run ended, and not well.
const EXIT_RUN: u8 = 4;

fn main() -> ExitCode {
    let cli: Cli = settings::parse();
    let level = if matches!(cli.command, Command::Serve(_)) {
        "info"
    } else {
        "warn"
    };
    settings::start_log(level);
    settings::install_tls();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(commands::Done::Well) => ExitCode::SUCCESS,
        Ok(commands::Done::RunEndedBadly) => ExitCode::from(EXIT_RUN),
        Err(error) => {
            eprintln!("error: {}", settings::explain(error.as_ref()));
            exit_code(&error)
        }
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(is_redis) {
        ExitCode::from(EXIT_REDIS)
    } else if error.chain().any(is_input) {
        ExitCode::from(EXIT_INPUT)
    } else {
        ExitCode::FAILURE
    }
}

fn is_redis(error: &(dyn Error + 'static)) -> bool {
    let settings = error.downcast_ref::<SettingsError>();
    let private = error.downcast_ref::<PrivateError>();
    error.is::<ConnectError>()
        || error.is::<redis::RedisError>()
        || matches!(
            settings,
            Some(SettingsError::Connect(_) | SettingsError::NoRedis)
        )
        || matches!(
            private,
            Some(
                PrivateError::Connect(_)
                    | PrivateError::NoProgram
                    | PrivateError::NotStarted { .. }
            )
        )
}

fn is_input(error: &(dyn Error + 'static)) -> bool {
    error.is::<Usage>()
        || error.is::<IngestError>()
        || error.is::<InvalidRequest>()
        || error.is::<InvalidParams>()
        || error.is::<SettingsError>()
        || matches!(
            error.downcast_ref::<RegisterError>(),
            Some(RegisterError::UnknownRun(_))
        )
}
