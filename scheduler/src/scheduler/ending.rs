//! Noticing that a run is over, or that it has to restart.

use sojourn::code::Code;
use sojourn::queue::Standing;

use super::{Scheduler, SchedulerError};
use crate::reconciler::MOST_RESTARTS;
use crate::record::RunRecord;
use crate::register::lost;

impl Scheduler {
    /// Ends a run when all its jobs were queued and none is pending, extraction first: a naming job
    /// is pending before the extraction job that it follows from is not. A worker that lost its
    /// lease on an extraction may still ask for naming, at any time: the naming queue is closed. When
    /// Redis has lost naming jobs, the run restarts instead.
    pub(super) async fn end_if_done(&mut self, record: &RunRecord) -> Result<(), SchedulerError> {
        let run = &record.id;
        let extract = self.queues.extract.standings(run).await?;
        if !record.queued {
            if extract.iter().any(|of| of.restarts < record.restarts) {
                // They do not know that the run has restarted, as Redis has lost that.
                self.active.remove(run);
                return Ok(());
            }
            let Some(active) = self.active.get_mut(run) else {
                return Ok(());
            };
            // What this process has queued counts for nothing if the partitions know nothing of it.
            active.go_back_to(&extract);
            if !active.is_queued() {
                return Ok(());
            }
        }
        if extract.iter().any(|standing| standing.pending > 0) {
            if record.reopened > 0 {
                // What follows from jobs that were replayed must find its queue open.
                self.queues.name.reopen(run).await?;
            }
            return Ok(());
        }
        let name = self.queues.name.standing(run).await?;
        if name.pending > 0 {
            return Ok(());
        }
        if name.restarts < record.restarts && !record.queued {
            self.active.remove(run);
            return Ok(());
        }
        let lost = lost(&Standing::sum(extract), &name);
        // A run that was reopened has no plan any more.
        if lost > 0 && !record.queued && self.register.restart(record, MOST_RESTARTS).await? {
            tracing::warn!(code = %Code::Lost, %run, lost, "Redis has lost jobs; the run restarts");
            return Ok(());
        }
        // If not, it was paused, cancelled or reopened meanwhile.
        if self.register.finish(record).await? {
            self.active.remove(run);
            self.queues.name.close(run).await?;
            tracing::info!(%run, lost, "done");
        }
        Ok(())
    }
}
