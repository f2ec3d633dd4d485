//! What workers that were killed have left behind, and what nobody has replayed.

use std::time::Duration;

use sojourn::queue::KEEP_RUNS;
use tokio::time::Instant;

use super::{Scheduler, SchedulerError};

/// Between two looks for workers that were killed.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Silence after which a worker without a job is forgotten. An idle one asks for jobs every second.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

impl Scheduler {
    /// Tidies up now and then.
    pub(super) async fn tidy(&mut self) -> Result<(), SchedulerError> {
        if self.tidied.is_some_and(|at| at.elapsed() < TIDY_EVERY) {
            return Ok(());
        }
        for queue in [&self.queues.extract, &self.queues.name] {
            let forgotten = queue.forget_idle_workers(FORGET_AFTER).await?;
            if forgotten > 0 {
                tracing::debug!(kind = %queue.kind(), forgotten, "forgot workers that are gone");
            }
            let letters = queue.forget_letters(KEEP_RUNS).await?;
            if letters > 0 {
                tracing::info!(kind = %queue.kind(), letters, days = KEEP_RUNS.as_secs() / 86_400, "dropped dead letters that were kept for so long");
            }
        }
        self.tidied = Some(Instant::now());
        Ok(())
    }
}
