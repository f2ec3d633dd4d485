//! How far a run is: the register and the queues together.

use std::collections::BTreeMap;

use sojourn::queue::{Kind, QueueError, Queues, Standing};
use sojourn::run::RunId;

use super::{Register, RegisterError};
use crate::record::{PausedLane, RunStatus};

/// Counts that both kinds of queues keep; those of naming are shown with `naming_` before them.
const COUNTS_OF_BOTH: [&str; 8] = [
    "jobs", "done", "dead", "retried", "replayed", "planned", "requeued", "lost",
];

impl Register {
    /// How far a run is.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown.
    pub async fn status(&self, id: &RunId, queues: &Queues) -> Result<RunStatus, RegisterError> {
        let record = self.run(id).await?;
        let extract = queues.extract.standing(id).await?;
        let name = queues.name.standing(id).await?;
        let lane = record.lane_to_go();
        let lanes = |kind, standing: &Standing| {
            let lanes = standing.paused_lanes.iter().copied();
            let ours = lanes.filter(|&paused| Some(paused) == lane);
            ours.map(move |lane| PausedLane { kind, lane })
                .collect::<Vec<_>>()
        };
        let mut paused_lanes = lanes(Kind::Extract, &extract);
        paused_lanes.extend(lanes(Kind::Name, &name));
        let lost = lost(&extract, &name);
        let mut counts: BTreeMap<String, u64> = extract.counts.into_iter().collect();
        counts.extend(name.counts.into_iter().map(|(count, amount)| {
            let ours = COUNTS_OF_BOTH.contains(&count.as_str());
            (
                if ours {
                    format!("naming_{count}")
                } else {
                    count
                },
                amount,
            )
        }));
        Ok(RunStatus {
            record,
            pending: extract.pending,
            naming_pending: name.pending,
            counts,
            lost,
            paused_lanes,
        })
    }
}

/// Lanes that are paused, for all runs.
///
/// # Errors
/// When Redis fails.
pub async fn paused_lanes(queues: &Queues) -> Result<Vec<PausedLane>, QueueError> {
    let mut paused = Vec::new();
    for queue in [&queues.extract, &queues.name] {
        let kind = queue.kind();
        let lanes = queue.paused_lanes().await?.into_iter();
        paused.extend(lanes.map(|lane| PausedLane { kind, lane }));
    }
    Ok(paused)
}

/// Jobs that Redis has lost and that nobody can queue again: those that were missed, and naming jobs
/// that are not even known any more where extraction jobs have queued them. `extract` must have been
/// read first.
pub(crate) fn lost(extract: &Standing, name: &Standing) -> u64 {
    let forgotten = extract
        .count("naming_queued")
        .saturating_sub(name.count("jobs"));
    extract.count("lost") + name.count("lost") + forgotten
}
