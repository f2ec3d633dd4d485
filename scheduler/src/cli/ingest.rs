//! Options of `sojourn ingest`.

use std::path::PathBuf;

use clap::Args;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use sojourn::ingest::{IngestError, IngestOptions};
use sojourn::terms::{Language, SalienceMethod, SalienceParams};

use super::bytes::Bytes;
use super::read_toml;

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
    /// Folder for scratch files, and for a dataset on its way to an object store [default: beside the
    /// dataset, or the folder for temporary files if that goes to an object store]
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
    /// How terms are weighed.
    #[command(flatten)]
    pub salience: SalienceArgs,
}

/// How terms are weighed.
#[derive(Args, Debug)]
pub struct SalienceArgs {
    /// Language of the items, whose word forms are told to be one word; any: of none
    /// [default: english]
    #[arg(long, env = "SOJOURN_LANGUAGE", value_parser = named::<Language>, value_name = "NAME")]
    pub language: Option<Language>,
    /// Where the weights of terms come from: formula, of where and how often a term stands in an item and
    /// how rare it is; learned, the same times how relevant it is by what the fields of items and the
    /// histories say [default: learned]
    #[arg(long, env = "SOJOURN_SALIENCE", value_parser = named::<SalienceMethod>, value_name = "METHOD")]
    pub salience: Option<SalienceMethod>,
    /// TOML file that says how terms are weighed; what it does not say has its default
    #[arg(long, env = "SOJOURN_SALIENCE_PARAMS", value_name = "FILE")]
    pub salience_params: Option<PathBuf>,
}

impl SalienceArgs {
    /// The parameters that these options ask for.
    ///
    /// # Errors
    /// When the file cannot be read, or says something else.
    pub fn parameters(&self) -> Result<SalienceParams, IngestError> {
        let mut parameters: SalienceParams = match &self.salience_params {
            Some(path) => read_toml(path).map_err(|reason| {
                IngestError::Parameter(format!("salience parameters: {reason}"))
            })?,
            None => SalienceParams::default(),
        };
        if let Some(language) = self.language {
            parameters.language = language;
        }
        if let Some(method) = self.salience {
            parameters.method = method;
        }
        Ok(parameters)
    }
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

A file for --salience-params:

  terms_per_item = 12
  boosts = { title = 2.0, description = 0.5 }

A folder or a prefix is read as deep as it goes, without names that begin with . or _. Object stores
(s3://, gs://, az://) are read and written with the usual variables of their vendors: AWS_REGION,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT for other stores that speak S3),
GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, ...";

/// One of several by its name; the error lists all of them.
pub(super) fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    let name = name.to_lowercase();
    let name: StrDeserializer<'_, serde::de::value::Error> = name.as_str().into_deserializer();
    T::deserialize(name).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_language_that_is_not_known_is_told_those_that_are() {
        assert_eq!(named("German"), Ok(Language::German));
        let error = named::<Language>("klingon").unwrap_err();
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
}
