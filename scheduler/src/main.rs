//! `sojourn`: the scheduler and the command line around it.

mod commands;

use std::process::ExitCode;

use sojourn::connection::ConnectError;
use sojourn::ingest::IngestError;
use sojourn::settings::{self, SettingsError};
use sojourn_scheduler::cli::{Cli, Command};
use sojourn_scheduler::embedded::EmbeddedError;
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
    let settings = error.downcast_ref::<SettingsError>();
    let redis = error.is::<ConnectError>()
        || error.is::<redis::RedisError>()
        || matches!(
            settings,
            Some(SettingsError::Connect(_) | SettingsError::NoRedis)
        )
        || matches!(
            error.downcast_ref::<EmbeddedError>(),
            Some(EmbeddedError::Connect(_) | EmbeddedError::NoProgram)
        );
    let ingest = error.downcast_ref::<IngestError>();
    let input = ingest.is_some_and(IngestError::is_input)
        || error.is::<InvalidRequest>()
        || settings.is_some();
    match (redis, input) {
        (true, _) => ExitCode::from(EXIT_REDIS),
        (_, true) => ExitCode::from(EXIT_INPUT),
        _ => ExitCode::FAILURE,
    }
}
