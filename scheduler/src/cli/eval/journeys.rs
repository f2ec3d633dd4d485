//! Options of the evaluation of journeys.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sojourn::evaluation::{Half, file_name};
use sojourn::history;
use sojourn::settings::CacheArgs;

use crate::cli::{MethodArgs, SalienceArgs};

/// Options of `sojourn eval mixes`.
#[derive(Args, Debug)]
#[command(after_help = MIXES_HELP)]
pub struct EvalMixesArgs {
    /// Collections, and what to call them: JSON lines in a file, folder, glob or object store
    #[arg(long, num_args = 1.., value_name = "NAME=LOCATION")]
    pub collections: Vec<Labelled>,
    /// A history whose items are labelled, and what to call it; its windows are judged as mixes are
    #[arg(long, num_args = 1.., value_name = "NAME=LOCATION", required_unless_present = "collections")]
    pub stream: Vec<Labelled>,
    /// Folder of the evaluation
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Mixes of each kind: half, difficulty, number of interests; each is made with 0, 10 and 30 % noise
    #[arg(long, default_value = "30", value_name = "N")]
    pub mixes: NonZeroUsize,
    /// How many items a window of a stream has
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "200",
        value_name = "N,..."
    )]
    pub windows: Vec<NonZeroUsize>,
    /// Seed of the draw
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
}

const MIXES_HELP: &str = "\
A collection is an object with title and items, which have a title and perhaps a description, tags and
a url that tells equal ones; list_title or path say what it is a part of. Those of one parent make hard
mixes. A labelled item has item_id, timestamp, title, perhaps a description, and topic_path. What is in
both halves, to tune and to test, is taken out of one. docs/evaluation.md says more.

Example:
  sojourn eval mixes --collections films=lists/*.jsonl.gz --out target/evaluation";

/// Options of `sojourn eval journeys`.
#[derive(Args, Debug)]
pub struct EvalJourneysArgs {
    /// Folder of `sojourn eval mixes`
    pub folder: PathBuf,
    /// How to find journeys.
    #[command(flatten)]
    pub method: MethodArgs,
    /// How terms are weighed.
    #[command(flatten)]
    pub salience: SalienceArgs,
}

/// A dataset, and where its figures go.
#[derive(Args, Debug)]
pub struct EvalDatasetArgs {
    /// Dataset folder or object-store URL, made by `sojourn ingest`
    pub dataset: String,
    /// What to call it
    #[arg(long, value_parser = file_name, value_name = "NAME")]
    pub name: String,
    /// Folder of the evaluation
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Seed of what is chosen at random
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Where catalogues are kept.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// How to find journeys.
    #[command(flatten)]
    pub method: MethodArgs,
}

/// Options of `sojourn eval users`.
#[derive(Args, Debug)]
pub struct EvalUsersArgs {
    /// What is looked at.
    #[command(flatten)]
    pub dataset: EvalDatasetArgs,
    /// Look at users with as many distinct items or more
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub least_items: usize,
}

/// Options of `sojourn eval next`.
#[derive(Args, Debug)]
pub struct EvalNextArgs {
    /// What is looked at.
    #[command(flatten)]
    pub dataset: EvalDatasetArgs,
    /// Look at users with as many distinct items or more
    #[arg(long, default_value_t = history::LEAST_TO_HOLD_OUT, value_name = "N")]
    pub least_items: usize,
    /// Of each user hold out as many of the items that were new last
    #[arg(long, default_value_t = history::HELD_OUT, value_name = "N")]
    pub held_out: NonZeroUsize,
    /// Rank each of them among as many items that the user never came to
    #[arg(long, default_value = "100", value_name = "N")]
    pub candidates: NonZeroUsize,
}

/// Options of `sojourn eval report`.
#[derive(Args, Debug)]
pub struct EvalReportArgs {
    /// Folder of the evaluation
    pub folder: PathBuf,
    /// Which half of the mixes is judged
    #[arg(long, value_enum, default_value_t = HalfArg::Test)]
    pub half: HalfArg,
}

/// Which half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HalfArg {
    /// To choose parameters.
    Tune,
    /// To say how good they are.
    Test,
}

impl From<HalfArg> for Half {
    fn from(half: HalfArg) -> Half {
        match half {
            HalfArg::Tune => Half::Tune,
            HalfArg::Test => Half::Test,
        }
    }
}

/// A location, and what to call what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// In tables and in names of files.
    pub name: String,
    /// File, folder, glob or URL.
    pub location: String,
}

impl std::str::FromStr for Labelled {
    type Err = String;

    fn from_str(text: &str) -> Result<Labelled, String> {
        let (name, location) = text.split_once('=').ok_or("must be NAME=LOCATION")?;
        Ok(Labelled {
            name: file_name(name).map_err(|error| error.to_string())?,
            location: location.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command, EvalCommand};

    fn mixes(words: &[&str]) -> Result<EvalMixesArgs, clap::Error> {
        let begin = ["sojourn", "eval", "mixes", "--out", "o"];
        let cli = Cli::try_parse_from(begin.iter().chain(words))?;
        match cli.command {
            Command::Eval {
                command: EvalCommand::Mixes(args),
            } => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_location_has_a_name() {
        let args = mixes(&[
            "--collections",
            "a=x=y.jsonl",
            "b=s3://b/c",
            "--stream",
            "c=d",
        ]);
        let args = args.unwrap();
        assert_eq!(args.collections[0].location, "x=y.jsonl");
        assert_eq!((args.collections.len(), args.stream.len()), (2, 1));
    }

    #[test]
    fn nothing_to_mix_and_names_that_are_paths_are_refused() {
        for words in [
            &[][..],
            &["--collections", "x.jsonl"],
            &["--stream", "../a=b"],
        ] {
            assert!(mixes(words).is_err(), "{words:?}");
        }
    }
}
