//! Keeping the queues filled, and no fuller.

use sojourn::queue::{Lane, NewJob, Queue, QueueError};
use sojourn::run::RunId;

use super::{Scheduler, SchedulerError};

/// Jobs in one call to the queue, at most.
const JOBS_PER_CALL: u64 = 32;

impl Scheduler {
    /// Queues further jobs of a run where there is room.
    pub(super) async fn top_up(&mut self, run: &RunId) -> Result<(), SchedulerError> {
        let Some(active) = self.active.get_mut(run) else {
            return Ok(());
        };
        if active.is_queued()
            || waiting(&self.queues.name, active.lane).await? >= self.options.naming_backlog
        {
            return Ok(());
        }
        for (partition, jobs) in active.plan.partitions.iter().enumerate() {
            let cursor = &mut active.cursors[partition];
            let partition = partition as u32;
            if *cursor >= jobs.len() as u64 {
                continue;
            }
            let depth = self.queues.extract.depth(active.lane, partition).await?;
            let mut room = self.options.queue_depth.saturating_sub(depth);
            while room > 0 {
                let next: &[NewJob] = jobs.get(*cursor as usize..).unwrap_or_default();
                let count = room.min(JOBS_PER_CALL).min(next.len() as u64);
                if count == 0 {
                    break;
                }
                let queued = self.queues.extract.enqueue_planned(
                    run,
                    active.lane,
                    partition,
                    *cursor,
                    &next[..count as usize],
                );
                // None: cancelled or paused meanwhile; the next turn finds it so.
                let Some(planned) = queued.await? else {
                    return Ok(());
                };
                *cursor = planned;
                room -= count;
            }
        }
        Ok(())
    }
}

/// How many jobs of a lane are queued, over all partitions.
async fn waiting(queue: &Queue, lane: Lane) -> Result<u64, QueueError> {
    let mut waiting = 0;
    for partition in 0..queue.partitions() {
        waiting += queue.depth(lane, partition).await?;
    }
    Ok(waiting)
}
