//! What `sojourn plan` is asked.

use std::num::NonZeroUsize;

use clap::Args;
use sojourn::settings::{CacheArgs, LimitArgs, QuestionArgs, SharingArgs};

use super::MethodArgs;
use crate::capacity::Assumption;
use crate::capacity::simulation::Crew;

/// What is to be reckoned.
#[derive(Args, Debug)]
#[command(after_help = PLAN_HELP)]
pub struct PlanArgs {
    /// Dataset folder or object-store URL, made by `sojourn ingest`
    pub dataset: Option<String>,
    /// Plan machines, Redis, network, hours and naming for this many users
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    pub users: Option<u64>,
    /// What to assume with --users, by the names that it shows, such as hours=4,replicas=2
    #[arg(long, value_delimiter = ',', value_name = "NAME=VALUE,...")]
    pub assume: Vec<Assumption>,
    /// Also play through how so many workers and Redis shards hold each other up, such as 200x16
    #[arg(long, value_name = "WORKERSxSHARDS")]
    pub simulate: Option<Crew>,
    /// Model that would be asked; a DATASET needs it
    #[arg(long, env = "SOJOURN_LLM_MODEL", value_name = "NAME")]
    pub model: Option<String>,
    /// How it would be asked.
    #[command(flatten)]
    pub questions: QuestionArgs,
    /// Workers will have names moderated (--moderation): those that nobody moderated are asked for again
    #[arg(long)]
    pub moderated: bool,
    /// Which names are shared.
    #[command(flatten)]
    pub sharing: SharingArgs,
    /// What the endpoint may be asked.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Shards to look at, chosen by the seed; the rest is taken to be like them
    #[arg(long, default_value = "16", value_name = "N")]
    pub shards: NonZeroUsize,
    /// Seed of the choice, and of what is played through
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Where catalogues are kept.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// How to find journeys.
    #[command(flatten)]
    pub method: MethodArgs,
}

const PLAN_HELP: &str = "\
Examples:
  sojourn plan data/today --model gpt-4o-mini --price-input 0.15 --price-output 0.60
  sojourn plan --users 300000000 --assume hours=2,items_per_user=60
  sojourn plan data/today --model gpt-4o-mini --users 300000000
  sojourn plan --users 300000000 --simulate 200x16

With a DATASET alone: what naming its journeys would take. With --users alone: what a population of that
size would take, by figures that are shown, each with where it comes from; --assume replaces them. With
both, the population is taken to be like that of the dataset, its catalogue and its journeys. docs/scale.md
says how the figures were measured and what to make of the plan.";
