//! `sojourn serve`

use anyhow::Result;
use sojourn::settings::{self, RedisArgs};
use sojourn_scheduler::cli::ServeArgs;
use sojourn_scheduler::scheduler::{Scheduler, SchedulerOptions};

use super::Done;

pub async fn serve(redis: &RedisArgs, args: ServeArgs) -> Result<Done> {
    let redis = redis.connect().await?;
    let options = SchedulerOptions {
        queue_depth: args.queue_depth,
        naming_backlog: args.naming_backlog,
        lead: args.lead,
        ..SchedulerOptions::default()
    };
    let scheduler = Scheduler::new(&redis, options).await?;
    let server = redis.server();
    tracing::info!(server = %format!("{} {}", server.name, server.version), "ready");
    if !args.owned {
        args.listen.serve(scheduler.health()).await?;
    }
    scheduler.run(settings::stop_signal(args.owned)).await;
    tracing::info!("stopped");
    Ok(Done::Well)
}
