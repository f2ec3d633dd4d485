//! The command line of `sojourn`.

mod dead;

pub use dead::{ChoiceArgs, DeadArgs, DeadCommand, FilterArgs};

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sojourn::ingest::IngestOptions;
use sojourn::journey::{Assign, JourneyParams};
use sojourn::run::RunId;
use sojourn::settings::{self, ListenArgs, PromptArgs, RedisArgs, listen_address};

use crate::trigger::LONGEST_TTL;
use sojourn::terms::Language;

mod target;

use target::{CANCEL_HELP, PAUSE_HELP, REPAIR_HELP, RESUME_HELP};
pub use target::{KindArg, LaneArg, PauseArgs, TargetArgs};

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
    #[command(after_help = TUNING_HELP)]
    ExportTuning(TuningArgs),
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
    /// Seconds of silence after which another scheduler takes the lead over
    #[arg(long, env = "SOJOURN_LEAD", default_value = "10",
          value_parser = lead, value_name = "SECONDS")]
    pub lead: Duration,
    /// Whether and where it says how it is.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Stop when standard input ends, too.
    #[arg(long, hide = true)]
    pub owned: bool,
}

/// Options of `sojourn ingest`.
#[derive(Args, Debug)]
#[command(after_help = INGEST_HELP)]
pub struct IngestArgs {
    /// Items: files, folders, globs or object-store URLs; CSV, JSONL or Parquet, plain, .gz or .zst
    #[arg(long, num_args = 1.., value_name = "LOCATION")]
    pub items: Vec<String>,
    /// Interactions, likewise
    #[arg(long, num_args = 1.., value_name = "LOCATION")]
    pub interactions: Vec<String>,
    /// A folder in MovieLens' own layout, instead of --items and --interactions
    #[arg(long, value_name = "DIR",
          conflicts_with_all = ["items", "interactions", "map", "mapping"])]
    pub movielens: Option<String>,
    /// Which columns are which fields: item_id=imdb,tags=genres+keywords
    #[arg(long, value_name = "FIELD=COLUMN,...")]
    pub map: Option<String>,
    /// The same in a TOML file with a table for items and one for interactions; see below
    #[arg(long, value_name = "FILE", conflicts_with = "map")]
    pub mapping: Option<PathBuf>,
    /// Where the dataset goes: a new folder or an object-store URL
    #[arg(long, value_name = "DIR")]
    pub out: String,
    /// Replace a dataset that is there; a local one keeps the results of its private Redis
    #[arg(long)]
    pub force: bool,
    /// Folder for scratch files, and for a dataset on its way to an object store [default: beside
    /// --out, or the folder for temporary files if that is an object store]
    #[arg(long, env = "SOJOURN_SCRATCH", value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Memory for sorting and counting
    #[arg(long, env = "SOJOURN_MEMORY", default_value_t = Bytes(IngestOptions::MEMORY),
          value_name = "BYTES")]
    pub memory: Bytes,
    /// Users in one shard, at most
    #[arg(long, default_value_t = IngestOptions::USERS_PER_SHARD, value_name = "N")]
    pub users_per_shard: usize,
    /// Interactions in one shard, at most, unless one user has more
    #[arg(long, default_value_t = IngestOptions::INTERACTIONS_PER_SHARD, value_name = "N")]
    pub interactions_per_shard: usize,
    /// Share of the rows of items, and of interactions, that may be rejected. It is judged at the
    /// end of each, or after 1000 rows if none of them was taken
    #[arg(long, default_value_t = IngestOptions::MAX_REJECTS, value_name = "SHARE")]
    pub max_rejects: f64,
    /// Cut every history into windows of N interactions, each a user of its own
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
    /// Language of the items, whose word forms are told to be one word; any: of none
    /// [default: english]
    #[arg(long, env = "SOJOURN_LANGUAGE", value_parser = language, value_name = "NAME")]
    pub language: Option<Language>,
    /// TOML file that says how terms are weighed; what it does not say has its default
    #[arg(long, env = "SOJOURN_SALIENCE", value_name = "FILE")]
    pub salience: Option<PathBuf>,
}

const INGEST_HELP: &str = "\
Items need item_id and title, and may have description, tags, queries and popularity; interactions
need user_id, item_id and timestamp, and may have weight. A file for --mapping, where columns are
called otherwise:

  [items]
  item_id = \"imdb\"
  tags = [\"genres\", \"keywords\"]
  [interactions]
  item_id = \"film\"
  timestamp = \"rated at\"

A file for --salience:

  terms_per_item = 12
  boosts = { title = 2.0, description = 0.5 }

A folder or a prefix is read as deep as it goes, without names that begin with . or _. Object stores
(s3://, gs://, az://) are read and written with the usual variables of their vendors: AWS_REGION,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT for other stores that speak S3),
GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, ...";

/// Options of `sojourn export-tuning`.
#[derive(Args, Debug)]
pub struct TuningArgs {
    /// Collections: files, folders, globs or object-store URLs of JSON lines, plain, .gz or .zst
    #[arg(required = true, value_name = "LOCATION")]
    pub collections: Vec<String>,
    /// Where the lines go; a file that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How a model will be asked.
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// Journeys in one question, at most
    #[arg(
        long,
        env = "SOJOURN_LLM_JOURNEYS_PER_CALL",
        default_value_t = 1,
        value_name = "N"
    )]
    pub journeys_per_call: usize,
    /// Language of the items, as of `sojourn ingest` [default: english]
    #[arg(long, env = "SOJOURN_LANGUAGE", value_parser = language, value_name = "NAME")]
    pub language: Option<Language>,
}

const TUNING_HELP: &str = "\
A collection is a line such as

  {\"title\": \"Ukulele chords\", \"items\": [{\"title\": \"C and F\", \"tags\": [\"music\"]}, ...]}

whose items have a title and may have a description and tags. Each is asked about as a worker with the
same --prompt would ask about the journey of somebody who came to all of its items. Collections that
follow one another are the journeys of one user. A title that would be refused as a name is left out.";

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

/// A lead that ends within a second is lost to the first pause of a busy machine.
fn lead(text: &str) -> Result<Duration, String> {
    settings::seconds(text, 1.0..=settings::DAY)
}

/// A number of days, no longer than results may be kept.
fn days(text: &str) -> Result<NonZeroU32, String> {
    const MOST: u64 = LONGEST_TTL / (24 * 3600);
    match text.parse::<NonZeroU32>() {
        Ok(days) if u64::from(days.get()) <= MOST => Ok(days),
        _ => Err(format!("must be a number of days from 1 to {MOST}")),
    }
}

/// A size such as 256MiB, 1GB or 1000000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

/// Units of sizes; in those of the first group sizes are shown.
const UNITS: [(&str, usize); 6] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "" | "B" => 1,
            unit => UNITS
                .iter()
                .find(|(name, _)| *name == unit || name.strip_suffix("iB") == Some(unit))
                .map(|(_, factor)| *factor)
                .ok_or_else(|| format!("unknown unit {unit:?}; use KiB, MiB or GiB"))?,
        };
        let number: usize = digits
            .trim()
            .parse()
            .map_err(|_| "must be a number".to_owned())?;
        let bytes = number.checked_mul(factor);
        bytes.map(Bytes).ok_or_else(|| "is too large".into())
    }
}

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fits = |(_, factor): &&(&str, usize)| self.0 > 0 && self.0.is_multiple_of(*factor);
        match UNITS.iter().find(fits) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A language by its name; the error lists all of them.
fn language(name: &str) -> Result<Language, String> {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};
    let name = name.to_lowercase();
    let name: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
    serde::Deserialize::deserialize(name).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::scheduler::SchedulerOptions;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_lead_lasts_as_long_as_the_scheduler_says_unless_told_otherwise() {
        let cli = Cli::try_parse_from(["sojourn", "serve"]).unwrap();
        let Command::Serve(args) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(args.lead, SchedulerOptions::LEAD);
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!("256MiB".parse(), Ok(Bytes(256 << 20)));
        assert_eq!("2G".parse(), Ok(Bytes(2 << 30)));
        assert_eq!("1GB".parse(), Ok(Bytes(1_000_000_000)));
        assert_eq!("4097".parse(), Ok(Bytes(4097)));
        assert!(
            "12 parsecs"
                .parse::<Bytes>()
                .unwrap_err()
                .contains("parsecs")
        );
        for text in ["256MiB", "3GB", "4097", "0"] {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_language_that_is_not_known_is_told_those_that_are() {
        assert_eq!(language("German"), Ok(Language::German));
        let error = language("klingon").unwrap_err();
        assert!(
            error.contains("klingon") && error.contains("swedish"),
            "{error}"
        );
    }

    #[test]
    fn the_layout_of_movielens_leaves_nothing_to_map() {
        for mapping in [["--map", "title=name"], ["--mapping", "columns.toml"]] {
            let ingest = ["sojourn", "ingest", "--movielens", "ml", "--out", "d"];
            let refused = Cli::try_parse_from(ingest.iter().chain(&mapping)).unwrap_err();
            assert_eq!(refused.kind(), clap::error::ErrorKind::ArgumentConflict);
        }
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
