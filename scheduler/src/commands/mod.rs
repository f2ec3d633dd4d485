//! What the subcommands do.

mod control;
mod dead;
mod demo;
mod eval;
mod export_tuning;
mod generate;
mod health;
mod ingest;
mod keep_redis;
mod letter;
mod plan;
mod runs;
mod serve;
mod session;
mod show;

use anyhow::Result;
use sojourn::settings::SettingsError;
use sojourn_scheduler::cli::{Cli, Command};

/// How a command ended, when it ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// As it should.
    Well,
    /// A run was followed to its end, and it has dead jobs, failed or was cancelled.
    RunEndedBadly,
}

/// Something that has to be said in another way.
fn usage(text: impl Into<String>) -> anyhow::Error {
    SettingsError::Usage(text.into()).into()
}

/// How to talk.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON for machines.
    pub json: bool,
    /// No progress.
    pub quiet: bool,
}

/// Does what the command line says.
pub async fn run(cli: Cli) -> Result<Done> {
    let output = Output {
        json: cli.json,
        quiet: cli.quiet,
    };
    match cli.command {
        Command::Ingest(args) => ingest::ingest(args, output).await,
        Command::Serve(args) => serve::serve(&cli.redis, args).await,
        Command::Plan(args) => plan::plan(&cli.redis, args, output).await,
        Command::Backfill { dataset, run } => {
            runs::backfill(&cli.redis, dataset, run, output).await
        }
        Command::Recompute {
            dataset,
            scope,
            run,
        } => runs::recompute(&cli.redis, dataset, scope, run, output).await,
        Command::Runs { limit, local } => runs::list(&cli.redis, &local, limit, output).await,
        Command::Run { id, watch, local } => {
            runs::show(&cli.redis, &local, &id, watch, output).await
        }
        Command::Pause(args) => control::pause(&cli.redis, &args, output).await,
        Command::Resume(args) => control::resume(&cli.redis, &args, output).await,
        Command::Cancel { target, local } => {
            control::cancel(&cli.redis, &local, &target, output).await
        }
        Command::Budget { id, amount, local } => {
            control::budget(&cli.redis, &local, &id, amount, output).await
        }
        Command::Repair { id, watch, local } => {
            runs::repair(&cli.redis, &local, &id, watch, output).await
        }
        Command::Health { listen } => health::health(listen, output).await,
        Command::Dead(args) => dead::dead(&cli.redis, args, output).await,
        Command::ExportTuning(args) => export_tuning::export_tuning(args, output).await,
        Command::Generate(args) => generate::generate(args, output).await,
        Command::Eval { command } => eval::eval(command, output).await,
        Command::KeepRedis { data } => keep_redis::keep_redis(&data).await,
        Command::Show { user, local } => show::show(&cli.redis, &local, &user, output).await,
        Command::Demo { users, seed, keep } => {
            demo::demo(&cli.redis, users, seed, keep, output).await
        }
    }
}
