//! Options of `sojourn generate`.

use std::path::PathBuf;

use clap::Args;

use crate::generate::Parameters;

/// Options of `sojourn generate`.
#[derive(Args, Debug)]
#[command(after_help = GENERATE_HELP)]
pub struct GenerateArgs {
    /// Where the population goes: a new or an empty folder, unless with --force
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
    /// How many users
    #[arg(long, default_value_t = Parameters::default().users, value_name = "N")]
    pub users: u32,
    /// Items in a history, in the mean: 63 % of the histories are shorter, a few ten times as long
    #[arg(long, default_value_t = Parameters::default().items_per_user, value_name = "N")]
    pub items_per_user: u32,
    /// Items in the catalogue
    #[arg(long, default_value_t = Parameters::default().items, value_name = "N")]
    pub items: u32,
    /// Seed of the population; the same options and seed give the same files
    #[arg(long, default_value_t = Parameters::default().seed, value_name = "N")]
    pub seed: u64,
    /// Replace a population that is there
    #[arg(long)]
    pub force: bool,
}

impl GenerateArgs {
    /// What the population is to be like.
    pub fn parameters(&self) -> Parameters {
        Parameters {
            users: self.users,
            items_per_user: self.items_per_user,
            items: self.items,
            seed: self.seed,
        }
    }
}

const GENERATE_HELP: &str = "\
Examples:
  sojourn generate /tmp/million
  sojourn generate /tmp/small --users 10000 --items 100000 --seed 7
  sojourn ingest --items /tmp/million/items --interactions /tmp/million/interactions --out data/million

Items are about topics, of which there are ten for the square root of their number, each with words of
its own beside those that all share. A user pursues 1 to 8 topics, each for a part of a year, and takes
up stray items besides (12 %); no item twice. Sizes of topics follow Zipf's law with an exponent of 0.8,
the popularity of the items of a topic with 1. Words are made up, and nothing is of real people.

DIR has items/part-*.parquet, interactions/part-*.parquet, and population.json, which says what was
generated. All of it is there or nothing: it is written to DIR.partial-* and moved.";
