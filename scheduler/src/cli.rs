//! The command line of `sojourn`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sojourn::journey::{Assign, JourneyParams};
use sojourn::run::RunId;
use sojourn::settings::RedisArgs;

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

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 Redis unusable, 4 the run ended with dead
jobs, failed, or was cancelled"
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
    /// End a run; its jobs leave the queues, results that are written stay
    Cancel {
        /// The run's id
        id: RunId,
        /// Where the register is.
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Show a user's journeys
    Show {
        /// The user's id
        user: String,
        /// Where the results are.
        #[command(flatten)]
        local: LocalArgs,
    },
    /// Run the private Redis of a folder until nobody uses it; other commands start this
    #[command(hide = true)]
    KeepRedis {
        /// The folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
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

/// Options of `sojourn serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Jobs queued in each lane of each partition, at most
    #[arg(
        long,
        env = "SOJOURN_QUEUE_DEPTH",
        default_value_t = 64,
        value_name = "N"
    )]
    pub queue_depth: u64,
    /// Naming jobs, of up to 50 users each, that may wait before extraction waits for them
    #[arg(
        long,
        env = "SOJOURN_NAMING_BACKLOG",
        default_value_t = 10_000,
        value_name = "N"
    )]
    pub naming_backlog: u64,
    /// Stop when standard input ends, too.
    #[arg(long, hide = true)]
    pub owned: bool,
}

/// Options of `sojourn ingest`.
#[derive(Args, Debug)]
pub struct IngestArgs {
    /// Items: files, folders, globs or object-store URLs; CSV, JSONL or Parquet, plain, .gz or .zst
    #[arg(long, num_args = 1.., value_name = "LOCATION")]
    pub items: Vec<String>,
    /// Interactions, likewise
    #[arg(long, num_args = 1.., value_name = "LOCATION")]
    pub interactions: Vec<String>,
    /// A folder in MovieLens' own layout, instead of --items and --interactions
    #[arg(long, value_name = "DIR", conflicts_with_all = ["items", "interactions"])]
    pub movielens: Option<String>,
    /// Which columns are which fields: item_id=imdb,tags=genres+keywords
    #[arg(long, value_name = "FIELD=COLUMN,...")]
    pub map: Option<String>,
    /// The same in a TOML file with a table for items and one for interactions
    #[arg(long, value_name = "FILE", conflicts_with = "map")]
    pub mapping: Option<PathBuf>,
    /// Where the dataset goes: a new folder or an object-store URL
    #[arg(long, value_name = "DIR")]
    pub out: String,
    /// Replace a dataset that is there
    #[arg(long)]
    pub force: bool,
    /// Memory for sorting and counting
    #[arg(long, env = "SOJOURN_MEMORY", default_value = "256MiB", value_parser = bytes,
          value_name = "BYTES")]
    pub memory: usize,
    /// Users in one shard, at most
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub users_per_shard: usize,
    /// Interactions in one shard, at most, unless one user has more
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    pub interactions_per_shard: usize,
    /// Share of rows that may be rejected
    #[arg(long, default_value_t = 0.01, value_name = "SHARE")]
    pub max_rejects: f64,
    /// Cut every history into windows of N interactions, each a user of its own
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
}

/// Which users a recompute is about.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct ScopeArgs {
    /// File with one user id a line; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Members of this cohort, a set in Redis
    #[arg(long, value_name = "NAME")]
    pub cohort: Option<String>,
    /// Users with an interaction since: 2026-11-24 or 2026-11-24T08:30:00Z
    #[arg(long, value_name = "TIME")]
    pub active_since: Option<String>,
}

/// How to run.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Follow the run until it is over
    #[arg(long)]
    pub watch: bool,
    /// icpc: the algorithm of the source. refined: also merges journeys and moves items over
    #[arg(long, value_enum, default_value_t = Method::Refined)]
    pub method: Method,
    /// Least cosine between an item and a journey that it joins
    #[arg(long, env = "SOJOURN_EPSILON", value_name = "COSINE")]
    pub epsilon: Option<f32>,
    /// Whether an item joins the nearest journey or every one that is near enough
    #[arg(long, value_enum)]
    pub assign: Option<AssignArg>,
    /// Least cosine at which two journeys become one (refined)
    #[arg(long, value_name = "COSINE")]
    pub merge: Option<f32>,
    /// Drop journeys of this many items or fewer
    #[arg(long, value_name = "N")]
    pub drop_at_most: Option<u32>,
    /// Days until results expire; they stay when this is not given
    #[arg(long, env = "SOJOURN_TTL_DAYS", value_name = "DAYS", value_parser = days)]
    pub ttl_days: Option<NonZeroU32>,
}

/// Which algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// The plain one of the source.
    Icpc,
    /// With merging and reassignment.
    Refined,
}

/// How items join journeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AssignArg {
    /// The nearest.
    Nearest,
    /// Every one at or above the threshold.
    Every,
}

impl RunArgs {
    /// The parameters that these options ask for.
    pub fn parameters(&self) -> JourneyParams {
        let base = match self.method {
            Method::Icpc => JourneyParams::plain(),
            Method::Refined => JourneyParams::default(),
        };
        JourneyParams {
            epsilon: self.epsilon.unwrap_or(base.epsilon),
            assign: match self.assign {
                None => base.assign,
                Some(AssignArg::Nearest) => Assign::Nearest,
                Some(AssignArg::Every) => Assign::Every,
            },
            merge: if self.method == Method::Icpc {
                None
            } else {
                self.merge.or(base.merge)
            },
            drop_at_most: self.drop_at_most.unwrap_or(base.drop_at_most),
            ..base
        }
    }
}

/// A number of days that Redis can count in milliseconds.
fn days(text: &str) -> Result<NonZeroU32, String> {
    const MOST: u32 = 36_500;
    match text.parse::<NonZeroU32>() {
        Ok(days) if days.get() <= MOST => Ok(days),
        _ => Err(format!("must be a number of days from 1 to {MOST}")),
    }
}

/// A size such as 256MiB, 1GB or 1000000.
fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: usize = match &text[digits.len()..] {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        unit => return Err(format!("unknown unit {unit:?}; use KiB, MiB or GiB")),
    };
    let number: usize = digits
        .trim()
        .parse()
        .map_err(|_| "must be a number".to_owned())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "is too large".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(bytes("256MiB"), Ok(256 << 20));
        assert_eq!(bytes("1GB"), Ok(1_000_000_000));
        assert_eq!(bytes("4096"), Ok(4096));
        assert!(bytes("12 parsecs").unwrap_err().contains("parsecs"));
    }

    #[test]
    fn the_plain_method_neither_merges_nor_moves() {
        let cli = Cli::parse_from([
            "sojourn", "backfill", "d", "--method", "icpc", "--merge", "0.5",
        ]);
        let Command::Backfill { run, .. } = cli.command else {
            panic!()
        };
        assert_eq!(
            (run.parameters().merge, run.parameters().reassign),
            (None, false)
        );
    }
}
