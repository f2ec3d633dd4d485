//! `sojourn`: the scheduler and the command line around it.

mod commands;

use std::error::Error;
use std::process::ExitCode;

use commands::Usage;
use sojourn::connection::ConnectError;
use sojourn::ingest::IngestError;
use sojourn::journey::InvalidParams;
use sojourn::settings::{self, EXIT_FAILED, EXIT_INPUT, EXIT_REDIS, SettingsError};
use sojourn_scheduler::cli::{Cli, Command};
use sojourn_scheduler::private::PrivateError;
use sojourn_scheduler::register::RegisterError;
use sojourn_scheduler::trigger::InvalidRequest;

/// Exit code: a run ended, and not well.
const EXIT_RUN: u8 = 4;

fn main() -> ExitCode {
    let cli: Cli = settings::parse();
    let level = if matches!(cli.command, Command::Serve(_)) {
        "info"
    } else {
        "warn"
    };
    let program = async {
        Ok(match commands::run(cli).await? {
            commands::Done::Well => ExitCode::SUCCESS,
            commands::Done::RunEndedBadly => ExitCode::from(EXIT_RUN),
        })
    };
    settings::run(level, program, exit_code)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(is_redis) {
        EXIT_REDIS
    } else if error.chain().any(is_input) {
        EXIT_INPUT
    } else {
        EXIT_FAILED
    }
}

fn is_redis(error: &(dyn Error + 'static)) -> bool {
    let settings = error.downcast_ref::<SettingsError>();
    let private = error.downcast_ref::<PrivateError>();
    error.is::<ConnectError>()
        || error.is::<redis::RedisError>()
        || settings.is_some_and(SettingsError::is_redis)
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
        || error
            .downcast_ref::<IngestError>()
            .is_some_and(IngestError::is_input)
        || error.is::<InvalidRequest>()
        || error.is::<InvalidParams>()
        || error.is::<SettingsError>()
        || matches!(
            error.downcast_ref::<RegisterError>(),
            Some(RegisterError::UnknownRun(_) | RegisterError::BeyondRepair { .. })
        )
}
