//! What `sojourn plan` is asked.

use std::num::NonZeroUsize;

use clap::Args;
use sojourn::settings::{CacheArgs, LimitArgs, QuestionArgs, SharingArgs};

use super::MethodArgs;

/// What is to be reckoned.
#[derive(Args, Debug)]
pub struct PlanArgs {
    /// Dataset folder or object-store URL, made by `sojourn ingest`
    pub dataset: String,
    /// Model that would be asked
    #[arg(long, env = "SOJOURN_LLM_MODEL", value_name = "NAME")]
    pub model: String,
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
    /// Seed of the choice
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Where catalogues are kept.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// How to find journeys.
    #[command(flatten)]
    pub method: MethodArgs,
}
