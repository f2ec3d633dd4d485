//! `sojourn dead`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sojourn::queue::{Kind, LetterId};
use sojourn::run::RunId;

use super::LocalArgs;
use crate::letters::{Choice, Filter};

/// Options of `sojourn dead`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sojourn dead list --run 1763947200000-0
  sojourn dead show extract:2:1763947260000-0
  sojourn dead replay --kind extract --error 'is damaged'
  sojourn dead drop --all")]
pub struct DeadArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: DeadCommand,
    /// Dataset whose private Redis to use when no --redis is given
    #[arg(long, value_name = "DIR", global = true)]
    pub dataset: Option<PathBuf>,
}

impl DeadArgs {
    /// Where the letters are.
    pub fn local(&self) -> LocalArgs {
        LocalArgs {
            dataset: self.dataset.clone(),
        }
    }
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List them, newest first, and how many say what
    List {
        /// Which.
        #[command(flatten)]
        filter: FilterArgs,
        /// How many, at most
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// Show everything about some
    Show {
        /// Their ids
        #[arg(required = true, value_name = "LETTER")]
        ids: Vec<LetterId>,
    },
    /// Do their jobs after all: queue them again, and let their runs go on
    Replay(ChoiceArgs),
    /// Drop them for good
    Drop(ChoiceArgs),
}

/// What letters have to have in common.
#[derive(Args, Clone, Debug)]
pub struct FilterArgs {
    /// Jobs of this run
    #[arg(long, value_name = "RUN")]
    pub run: Option<RunId>,
    /// Jobs of this kind: extract or name
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Jobs whose error holds this text
    #[arg(long, value_name = "TEXT")]
    pub error: Option<String>,
}

impl From<FilterArgs> for Filter {
    fn from(args: FilterArgs) -> Filter {
        Filter {
            run: args.run,
            kind: args.kind,
            error: args.error,
        }
    }
}

/// Which letters something is done with: said by ids, by what they have in common, or all.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = true, args = ["ids", "run", "kind", "error", "all"])]
pub struct ChoiceArgs {
    /// Their ids
    #[arg(value_name = "LETTER", conflicts_with_all = ["FilterArgs", "all"])]
    pub ids: Vec<LetterId>,
    /// What they have in common.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// All that there are
    #[arg(long, conflicts_with = "FilterArgs")]
    pub all: bool,
}

impl From<ChoiceArgs> for Choice {
    fn from(args: ChoiceArgs) -> Choice {
        match args.ids.is_empty() {
            // With --all the filter is empty.
            true => Choice::Like(args.filter.into()),
            false => Choice::Ids(args.ids),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use crate::cli::Cli;

    fn parse(words: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["sojourn", "dead"].into_iter().chain(words.split(' ')))
    }

    #[test]
    fn what_is_replayed_or_dropped_is_said_in_exactly_one_way() {
        for command in ["replay", "drop"] {
            for choice in [
                "name:0:1-0",
                "name:0:1-0 extract:1:2-0",
                "--run 1-0",
                "--kind name --error x --run 1-0",
                "--all",
            ] {
                let parsed = parse(&format!("{command} {choice}"));
                assert!(parsed.is_ok(), "{choice}: {parsed:?}");
            }
            for choice in [
                "name:0:1-0 --all",
                "name:0:1-0 --run 1-0",
                "--kind name --all",
            ] {
                let refused = parse(&format!("{command} {choice}")).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::ArgumentConflict, "{choice}");
            }
            let refused = parse(command).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::MissingRequiredArgument);
        }
    }

    #[test]
    fn ids_and_kinds_that_are_none_are_refused() {
        for words in ["show 1-0", "list --kind both", "list --run latest"] {
            assert_eq!(parse(words).unwrap_err().kind(), ErrorKind::ValueValidation);
        }
    }
}
