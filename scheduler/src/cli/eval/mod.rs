//! Options of `sojourn eval`.

mod journeys;
mod names;

use clap::Subcommand;

pub use journeys::{
    EvalDatasetArgs, EvalJourneysArgs, EvalMixesArgs, EvalNextArgs, EvalReportArgs, EvalUsersArgs,
    HalfArg, Labelled,
};
pub use names::{EvalNamesArgs, ShownArg};

/// What is evaluated.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Mix curated collections into histories whose interests are known
    Mixes(EvalMixesArgs),
    /// Find journeys in mixes
    Journeys(EvalJourneysArgs),
    /// Say what is found in the histories of a dataset, and whether it stays
    Users(EvalUsersArgs),
    /// See whether journeys tell what the users of a dataset did next
    Next(EvalNextArgs),
    /// Print how good every method is, and write it as Markdown, JSON and HTML
    Report(EvalReportArgs),
    /// Name collections that people have named, in several ways, and keep the names beside theirs
    Names(Box<EvalNamesArgs>),
}
