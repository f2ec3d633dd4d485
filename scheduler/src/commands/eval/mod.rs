//! `sojourn eval`

mod dataset;
mod mixes;
mod names;
mod report;

use anyhow::Result;
use sojourn_scheduler::cli::EvalCommand;

use super::{Done, Output};

pub async fn eval(command: EvalCommand, output: Output) -> Result<Done> {
    match command {
        EvalCommand::Mixes(args) => mixes::draw(args, output).await,
        EvalCommand::Journeys(args) => mixes::journeys(args, output).await,
        EvalCommand::Users(args) => dataset::users(args, output).await,
        EvalCommand::Next(args) => dataset::next(args, output).await,
        EvalCommand::Report(args) => report::report(&args, output),
        EvalCommand::Names(args) => names::names(*args, output).await,
    }
}
