//! Options of `sojourn export-tuning`.

use std::path::PathBuf;

use clap::Args;
use sojourn::settings::PromptArgs;
use sojourn::terms::Language;

use super::ingest::named;

/// Options of `sojourn export-tuning`.
#[derive(Args, Debug)]
#[command(after_help = TUNING_HELP)]
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
    // Without the variable of the workers: what is asked of a model says nothing of what one is tuned with.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub journeys_per_call: usize,
    /// Language of the items, as of `sojourn ingest` [default: english]
    #[arg(long, env = "SOJOURN_LANGUAGE", value_parser = named::<Language>, value_name = "NAME")]
    pub language: Option<Language>,
}

const TUNING_HELP: &str = "\
A collection is a line such as

  {\"title\": \"Ukulele chords\", \"items\": [{\"title\": \"C and F\", \"tags\": [\"music\"]}, ...]}

whose items have a title and may have a description and tags. Each is asked about as a worker with the
same --prompt would ask about the journey of somebody who came to all of its items. Collections that
follow one another are the journeys of one user. A title that would be refused as a name is left out.";
