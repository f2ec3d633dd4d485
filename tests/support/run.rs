//! A run that a test asks for and follows in its own process.

use std::path::Path;

use sojourn::connection::Redis;
use sojourn::journey::JourneyParams;
use sojourn::queue::{Lane, Queues};
use sojourn::run::RunId;
use sojourn_scheduler::record::RunStatus;
use sojourn_scheduler::register::Register;
use sojourn_scheduler::trigger::{Request, RunKind, Scope};

use super::wait_for_async;

/// A request for everybody in a dataset.
pub fn backfill(dataset: &Path) -> Request {
    Request {
        kind: RunKind::Backfill,
        dataset: dataset.display().to_string(),
        scope: Scope::All,
        lane: Lane::Low,
        parameters: JourneyParams::default(),
        ttl_seconds: None,
        budget: None,
    }
}

/// How a run stands; none when it is unknown, or Redis is away for the moment.
pub async fn status(redis: &Redis, run: &RunId) -> Option<RunStatus> {
    let queues = Queues::open(redis).await.ok()?;
    Register::new(redis).status(run, &queues).await.ok()
}

/// Waits until a run stands as it should.
pub async fn wait_for_status(
    redis: &Redis,
    run: &RunId,
    wanted: impl Fn(&RunStatus) -> bool,
) -> RunStatus {
    wait_for_async("a state of a run", async || {
        status(redis, run).await.filter(&wanted)
    })
    .await
}
