//! `sojourn plan`

mod capacity;
mod naming;

use anyhow::Result;
use sojourn::settings::RedisArgs;
use sojourn_scheduler::cli::PlanArgs;

use super::{Done, Output, usage};

pub async fn plan(redis: &RedisArgs, args: PlanArgs, output: Output) -> Result<Done> {
    match (args.dataset.as_deref(), args.users) {
        (dataset, Some(users)) => capacity::plan(redis, &args, dataset, users, output).await,
        (Some(_), None) if !args.assume.is_empty() || args.simulate.is_some() => Err(usage(
            "--assume and --simulate are for a plan with --users, which says how many to plan for",
        )),
        (Some(dataset), None) => naming::plan(redis, &args, dataset, output).await,
        (None, None) => Err(usage(
            "what is to be planned? Name a DATASET, to reckon what naming its journeys takes, or give \
             --users N, to reckon what so many users take",
        )),
    }
}
