//! Options of `sojourn eval names`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sojourn::naming::{Excerpt, Grid};
use sojourn::settings::PromptArgs;
use sojourn::terms::Language;

use crate::cli::ingest::named;

/// What a model is told of a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShownArg {
    /// Titles and terms
    Both,
    /// Titles
    Titles,
    /// Terms
    Terms,
}

/// Options of `sojourn eval names`.
#[derive(Args, Debug)]
#[command(after_help = NAMES_HELP)]
pub struct EvalNamesArgs {
    /// Collections: files, folders, globs or object-store URLs of JSON lines, plain, .gz or .zst
    #[arg(required = true, value_name = "LOCATION")]
    pub collections: Vec<String>,
    /// Where the lines go; what stands there already is not named again
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Endpoint of the OpenAI chat-completions form, such as http://localhost:8080/v1, whose key is
    /// read from SOJOURN_LLM_API_KEY or --llm-api-key-file; without one, names are made of terms only
    #[arg(
        long,
        env = "SOJOURN_LLM_ENDPOINT",
        hide_env_values = true,
        requires = "model",
        value_name = "URL"
    )]
    pub endpoint: Option<String>,
    /// Model to ask for
    #[arg(long, env = "SOJOURN_LLM_MODEL", value_name = "NAME")]
    pub model: Option<String>,
    /// File that holds the endpoint's key
    #[arg(long, env = "SOJOURN_LLM_API_KEY_FILE", value_name = "FILE")]
    pub llm_api_key_file: Option<PathBuf>,
    /// How it is asked.
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// Journeys in one call, at most: up to 16
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = up_to_16,
          value_name = "N,...")]
    pub journeys_per_call: Vec<usize>,
    /// Examples that the model is shown, the first of those of the prompt
    #[arg(long, value_delimiter = ',', default_value = "5", value_name = "N,...")]
    pub shots: Vec<usize>,
    /// What it is told of a journey
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "both",
        value_name = "WHAT,..."
    )]
    pub shown: Vec<ShownArg>,
    /// Answers to each question, of which each journey gets the best name: up to 16
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = up_to_16,
          value_name = "N,...")]
    pub samples: Vec<usize>,
    /// Collections to name, as many from each file
    #[arg(long, default_value = "300", value_name = "N")]
    pub size: NonZeroUsize,
    /// Collections to name in ways other than the base, or a few more: some of the same
    /// [default: all]
    #[arg(long, value_name = "N")]
    pub variants: Option<NonZeroUsize>,
    /// Seed of the choice
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Questions that are asked at once
    #[arg(long, default_value = "1", value_name = "N")]
    pub concurrency: NonZeroUsize,
    /// Calls in any minute, at most
    #[arg(
        long,
        env = "SOJOURN_LLM_REQUESTS_PER_MINUTE",
        default_value = "600",
        value_name = "N"
    )]
    pub requests_per_minute: NonZeroU32,
    /// Language of the items, as of `sojourn ingest` [default: english]
    #[arg(long, env = "SOJOURN_LANGUAGE", value_parser = named::<Language>, value_name = "NAME")]
    pub language: Option<Language>,
}

const NAMES_HELP: &str = "\
The first value of each list together is the base; every other one is tried in its place. Collections
are as for `sojourn export-tuning`; four of a file are the journeys of one user, and those of four
users are named together, as those of a job are. Titles that would be refused as names are not drawn.

Examples:
  sojourn eval names playlists.jsonl.gz --size 100 --out names.jsonl
  sojourn eval names playlists.jsonl.gz --out names.jsonl --endpoint http://localhost:8080/v1 \\
    --model default --journeys-per-call 8,1,16 --shots 2,0 --shown both,titles --samples 1,4

`make names` fetches a model, does all of this, compares the names, and prints a table.";

impl EvalNamesArgs {
    /// The ways to ask.
    pub fn grid(&self) -> Grid {
        let shown = self.shown.iter().map(|shown| match shown {
            ShownArg::Both => Excerpt::Both,
            ShownArg::Titles => Excerpt::Titles,
            ShownArg::Terms => Excerpt::Terms,
        });
        Grid {
            journeys_per_call: self.journeys_per_call.clone(),
            examples: self.shots.clone(),
            shown: shown.collect(),
            samples: self.samples.clone(),
        }
    }
}

/// A call is for no more journeys than are named together, and a model gives no more samples.
fn up_to_16(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=16) => Ok(number),
        _ => Err("must be a whole number from 1 to 16".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command, EvalCommand};

    fn parse(words: &[&str]) -> Result<EvalNamesArgs, clap::Error> {
        let words = ["sojourn", "eval", "names", "c.jsonl", "--out", "o"]
            .iter()
            .chain(words);
        let cli = Cli::try_parse_from(words)?;
        let Command::Eval {
            command: EvalCommand::Names(args),
        } = cli.command
        else {
            panic!("{cli:?}");
        };
        Ok(*args)
    }

    #[test]
    fn lists_are_divided_by_commas() {
        let args = parse(&["--journeys-per-call", "1,16", "--shown", "titles,terms"]).unwrap();
        let grid = args.grid();
        assert_eq!(grid.journeys_per_call, [1, 16]);
        assert_eq!(grid.shown, [Excerpt::Titles, Excerpt::Terms]);
        assert_eq!((grid.examples, grid.samples), (vec![5], vec![1]));
    }

    #[test]
    fn what_no_call_can_be_is_refused() {
        for words in [
            ["--journeys-per-call", "17"],
            ["--journeys-per-call", "0"],
            ["--samples", "1,17"],
            ["--shown", "nothing"],
            ["--endpoint", "http://localhost/v1"],
        ] {
            assert!(parse(&words).is_err(), "{words:?}");
        }
    }
}
