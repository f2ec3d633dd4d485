//! What `sojourn backfill` and `recompute` ask for.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sojourn::journey::{Assign, JourneyParams};
use sojourn::naming::Money;

use crate::trigger::LONGEST_TTL;

/// Which users a recompute is about.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct ScopeArgs {
    /// File with one user id a line; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Members of this cohort, a set in Redis
    #[arg(long, value_name = "NAME")]
    pub cohort: Option<String>,
    /// Users with an interaction since: 2026-11-24 or 2026-11-24T08:30:00Z
    #[arg(long, value_name = "TIME")]
    pub active_since: Option<String>,
}

/// How to run.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Follow the run until it is over
    #[arg(long)]
    pub watch: bool,
    /// How to find journeys.
    #[command(flatten)]
    pub method: MethodArgs,
    /// Days until results expire; they stay when this is not given
    #[arg(long, env = "SOJOURN_TTL_DAYS", value_name = "DAYS", value_parser = days)]
    pub ttl_days: Option<NonZeroU32>,
    /// What naming may cost, in the currency of the workers' prices; then names wait for more
    #[arg(long, env = "SOJOURN_BUDGET", value_name = "AMOUNT")]
    pub budget: Option<Money>,
}

/// How to find journeys.
#[derive(Args, Debug)]
pub struct MethodArgs {
    /// icpc: the algorithm of the source. refined: also merges journeys and moves items over
    #[arg(long, value_enum, default_value_t = Method::Refined)]
    pub method: Method,
    /// Least cosine between an item and a journey that it joins
    #[arg(long, env = "SOJOURN_EPSILON", value_name = "COSINE")]
    pub epsilon: Option<f32>,
    /// Whether an item joins the nearest journey or every one that is near enough
    #[arg(long, value_enum)]
    pub assign: Option<AssignArg>,
    /// Mean cosine from which journeys become one, as a share of what an item has in common with all
    /// others of its history (refined)
    #[arg(long, value_name = "SHARE")]
    pub merge: Option<f32>,
    /// Drop journeys of this many items or fewer
    #[arg(long, value_name = "N")]
    pub drop_at_most: Option<u32>,
    /// Drop journeys whose items are about one thing with less than this chance
    #[arg(long, value_name = "CHANCE")]
    pub least_confidence: Option<f32>,
    /// Days in which what somebody did loses half of its weight; it keeps it when this is not given
    #[arg(long, value_name = "DAYS")]
    pub half_life_days: Option<f32>,
}

/// Which algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// The plain one of the source.
    Icpc,
    /// With merging and reassignment.
    Refined,
}

/// How items join journeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AssignArg {
    /// The nearest.
    Nearest,
    /// Every one at or above the threshold.
    Every,
}

impl MethodArgs {
    /// The parameters that these options ask for.
    pub fn parameters(&self) -> JourneyParams {
        let base = match self.method {
            Method::Icpc => JourneyParams::plain(),
            Method::Refined => JourneyParams::default(),
        };
        JourneyParams {
            epsilon: self.epsilon.unwrap_or(base.epsilon),
            assign: match self.assign {
                None => base.assign,
                Some(AssignArg::Nearest) => Assign::Nearest,
                Some(AssignArg::Every) => Assign::Every,
            },
            merge: if self.method == Method::Icpc {
                None
            } else {
                self.merge.or(base.merge)
            },
            drop_at_most: self.drop_at_most.unwrap_or(base.drop_at_most),
            least_confidence: self.least_confidence.unwrap_or(base.least_confidence),
            half_life_days: self.half_life_days.or(base.half_life_days),
            ..base
        }
    }
}

/// A number of days, no longer than results may be kept.
fn days(text: &str) -> Result<NonZeroU32, String> {
    const MOST: u64 = LONGEST_TTL / (24 * 3600);
    match text.parse::<NonZeroU32>() {
        Ok(days) if u64::from(days.get()) <= MOST => Ok(days),
        _ => Err(format!("must be a number of days from 1 to {MOST}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};

    #[test]
    fn the_plain_method_neither_merges_nor_moves() {
        let cli = Cli::parse_from([
            "sojourn", "backfill", "d", "--method", "icpc", "--merge", "0.5",
        ]);
        let Command::Backfill { run, .. } = cli.command else {
            panic!()
        };
        assert_eq!(
            (
                run.method.parameters().merge,
                run.method.parameters().reassign
            ),
            (None, false)
        );
    }
}
