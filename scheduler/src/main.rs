//! `sojourn`: the scheduler and the command line around it.

#[macro_use]
mod output;
mod commands;

use std::process::ExitCode;

use sojourn::code::EXIT_RUN;
use sojourn::settings;
use sojourn_scheduler::cli::{Cli, Command};
use sojourn_scheduler::code::KNOWN;

fn main() -> ExitCode {
    let cli: Cli = settings::parse();
    let level = if matches!(cli.command, Command::Serve(_)) {
        "info"
    } else {
        "warn"
    };
    let program = async {
        Ok::<_, anyhow::Error>(match commands::run(cli).await? {
            commands::Done::Well => ExitCode::SUCCESS,
            commands::Done::RunEndedBadly => ExitCode::from(EXIT_RUN),
        })
    };
    settings::run(level, program, KNOWN)
}
