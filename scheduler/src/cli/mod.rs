//! The command line of `sojourn`.

mod bytes;
mod dead;
mod eval;
mod generate;
mod ingest;
mod plan;
mod run;
mod serve;
mod target;
mod toml_file;
mod tuning;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sojourn::naming::Money;
use sojourn::run::RunId;
use sojourn::settings::{RedisArgs, listen_address};

pub use bytes::Bytes;
pub use dead::{ChoiceArgs, DeadArgs, DeadCommand, FilterArgs};
pub use eval::{
    EvalCommand, EvalDatasetArgs, EvalJourneysArgs, EvalMixesArgs, EvalNamesArgs, EvalNextArgs,
    EvalReportArgs, EvalUsersArgs, HalfArg, Labelled, ShownArg,
};
pub use generate::GenerateArgs;
pub use ingest::{IngestArgs, SalienceArgs};
pub use plan::PlanArgs;
pub use run::{AssignArg, Method, MethodArgs, RunArgs, ScopeArgs};
pub use serve::ServeArgs;
use target::{CANCEL_HELP, PAUSE_HELP, REPAIR_HELP, RESUME_HELP};
pub use target::{KindArg, LaneArg, PauseArgs, TargetArgs};
pub use toml_file::read_toml;
pub use tuning::TuningArgs;

/// Finds the interest journeys in the histories of a whole user population, names them, and keeps
/// them fresh.
#[derive(Debug, Parser)]
#[command(
    name = "sojourn",
    version,
    after_help = "\
Examples:
  sojourn demo
  sojourn ingest --items items.csv --interactions log.parquet --out data/today
  sojourn backfill data/today                  everything on this machine, with a private Redis
  sojourn backfill data/today --redis redis://queue:6379 --watch
  sojourn recompute data/today --cohort new-users --redis redis://queue:6379
  sojourn show 4711 --dataset data/today

Every option can also be set in sojourn.toml (or the file that SOJOURN_CONFIG names), and those with
[env: ...] in the environment; a flag wins over the environment, the environment over the file.
SOJOURN_LOG=debug logs more, and SOJOURN_LOG_FORMAT=json for machines.

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 Redis unusable, 4 the run ended with dead or
lost jobs, failed, or was cancelled. Errors have codes (SJ101), which docs/runbook.md explains"
)]
pub struct Cli {
    /// Where Redis is.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Print JSON for machines instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress, only results and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn items and interactions into a dataset that workers read
    Ingest(IngestArgs),
    /// Run the scheduler: plans runs and feeds the queues
    Serve(ServeArgs),
    /// Reckon what a population takes: machines, Redis, and naming by a model, without asking it
    Plan(PlanArgs),
    /// Find and name the journeys of everybody
    Backfill {
        /// Dataset folder or object-store URL, made by `sojourn ingest`
        dataset: String,
        /// How to find journeys and how long to keep them.
        #[command(flatten)]
        run: RunArgs,
    },
    /// Find and name the journeys of some users again
    Recompute {
        /// Dataset folder or object-store URL, made by `sojourn ingest`
        dataset: String,
        /// Which users.
        #[command(flatten)]
        scope: ScopeArgs,
        /// How to find journeys and how long to keep them.
        #[command(flatten)]
        run: RunArgs,
    },
    /// List runs, newest first
    Runs {
        /// How many, at most
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
        /// Where the register is.
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Show how one run stands
    Run {
        /// The run's id
        id: RunId,
        /// Follow it until it is over
        #[arg(long)]
        watch: bool,
        /// Where the register is.
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Stop giving out jobs of a run, of a lane, or of everything; what workers hold is finished
    #[command(after_help = PAUSE_HELP)]
    Pause(PauseArgs),
    /// Let a run, a lane, or everything go on
    #[command(after_help = RESUME_HELP)]
    Resume(PauseArgs),
    /// End runs for ever; their jobs leave the queues, results that are written stay
    #[command(after_help = CANCEL_HELP)]
    Cancel {
        /// Which runs.
        #[command(flatten)]
        target: TargetArgs,
        /// Where the register is.
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Do the jobs of a run again whose results Redis has lost; names that are there are kept
    #[command(after_help = REPAIR_HELP)]
    Repair {
        /// The run's id
        id: RunId,
        /// Follow it until it is over
        #[arg(long)]
        watch: bool,
        /// Where the register is.
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Say what naming may cost a run in all; one that waits for money goes on
    Budget {
        /// The run's id
        id: RunId,
        /// How much, such as 25 or 0.5
        amount: Money,
        /// Where the register is.
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Look at jobs that were given up, do them after all, or drop them
    Dead(DeadArgs),
    /// Show a user's journeys
    Show {
        /// The user's id
        user: String,
        /// Where the results are.
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Ask a scheduler or a worker whether it does its work; exits with 1 if it does not
    Health {
        /// The --listen of the process
        #[arg(long, env = "SOJOURN_LISTEN", value_parser = listen_address, value_name = "ADDR")]
        listen: SocketAddr,
    },
    /// Run the private Redis of a folder until nobody uses it; other commands start this
    #[command(hide = true)]
    KeepRedis {
        /// The folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Write questions about curated collections, with the names that people gave them as answers, in
    /// the form that fine-tuning takes
    ExportTuning(TuningArgs),
    /// Measure how good results are
    Eval {
        /// What.
        #[command(subcommand)]
        command: EvalCommand,
    },
    /// Write a synthetic population of any size, for measuring
    Generate(GenerateArgs),
    /// Try everything: a generated population, real processes, and how well its interests are found
    Demo {
        /// How many users to generate
        #[arg(long, default_value_t = 2000, value_name = "N")]
        users: usize,
        /// Seed of the population
        #[arg(long, default_value_t = 1, value_name = "N")]
        seed: u64,
        /// Keep the dataset, the results and the logs in this folder
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
}

/// Where to look when no Redis is named.
#[derive(Args, Debug, Clone)]
pub struct LocalArgs {
    /// Dataset whose private Redis to use when no --redis is given
    #[arg(long, value_name = "DIR")]
    pub dataset: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
