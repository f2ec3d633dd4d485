//! What `sojourn pause`, `resume` and `cancel` are about.

use clap::{Args, ValueEnum};
use sojourn::queue::{Kind, Lane};
use sojourn::run::RunId;

use super::LocalArgs;

/// What is paused, resumed or cancelled.
#[derive(Args, Debug, Clone)]
#[group(required = true, multiple = false)]
pub struct TargetArgs {
    /// The run's id
    pub id: Option<RunId>,
    /// Whatever is in this lane: high for recomputes, low for backfills
    #[arg(long, value_enum, value_name = "LANE")]
    pub lane: Option<LaneArg>,
    /// Everything
    #[arg(long)]
    pub all: bool,
}

/// Options of `sojourn pause` and `sojourn resume`.
#[derive(Args, Debug, Clone)]
pub struct PauseArgs {
    /// What is meant.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Only this kind of jobs of the lane, or of everything
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "id")]
    pub kind: Option<KindArg>,
    /// Where the register is.
    #[command(flatten)]
    pub local: LocalArgs,
}

/// A lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LaneArg {
    /// Recomputes.
    High,
    /// Backfills.
    Low,
}

impl From<LaneArg> for Lane {
    fn from(lane: LaneArg) -> Lane {
        match lane {
            LaneArg::High => Lane::High,
            LaneArg::Low => Lane::Low,
        }
    }
}

/// A kind of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// Finding journeys.
    Extract,
    /// Naming them.
    Name,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Kind {
        match kind {
            KindArg::Extract => Kind::Extract,
            KindArg::Name => Kind::Name,
        }
    }
}

pub(super) const PAUSE_HELP: &str = "\
Examples:
  sojourn pause 1763947200000-0        this run, until it is resumed; other runs go on
  sojourn pause --lane low             all backfills, also those that are asked for later
  sojourn pause --all --kind name      no names are made, and no model is asked

Jobs that workers hold are finished. `sojourn runs` shows what is paused.";

pub(super) const RESUME_HELP: &str = "\
Examples:
  sojourn resume 1763947200000-0
  sojourn resume --lane low
  sojourn resume --all                 all lanes; runs that were paused one by one stay so";

pub(super) const CANCEL_HELP: &str = "\
Examples:
  sojourn cancel 1763947200000-0
  sojourn cancel --lane low            every run that is not over and whose lane it is
  sojourn cancel --all                 every run that is not over";

pub(super) const REPAIR_HELP: &str = "\
Examples:
  sojourn repair 1763947200000-0 --watch

The run restarts as the same run: results that are there are written once more with the ids and
names that they have, those that are missing are found again, and only journeys without a name are
named. Results of newer runs are left alone.";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn what_is_paused_is_said_in_exactly_one_way() {
        for words in [
            "pause",
            "pause 1-0 --all",
            "pause --lane low --all",
            "resume 1-0 --kind name",
            "cancel --all --kind name",
            "cancel",
        ] {
            let words = ["sojourn"].into_iter().chain(words.split(' '));
            assert!(Cli::try_parse_from(words.clone()).is_err(), "{words:?}");
        }
        for words in ["pause 1-0", "resume --lane low --kind name", "cancel --all"] {
            let words = ["sojourn"].into_iter().chain(words.split(' '));
            assert!(Cli::try_parse_from(words.clone()).is_ok(), "{words:?}");
        }
    }
}
