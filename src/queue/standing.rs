//! How far a run is.

use std::collections::HashMap;

use super::{Lane, Queue, QueueError};
use crate::run::RunId;

/// How a run stands in one kind of queue: in one partition, or summed over all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Jobs that are not finished.
    pub pending: u64,
    /// Counts by name: `jobs`, `done`, `dead`, `retried`, `planned`, `requeued`, `lost`, and what the
    /// jobs counted.
    pub counts: HashMap<String, u64>,
    /// How often the run has restarted; of several partitions, the least.
    pub restarts: u64,
    /// Whether the run is paused, in any of the partitions.
    pub paused: bool,
    /// Which lanes are paused, for all runs.
    pub paused_lanes: Vec<Lane>,
}

impl Standing {
    /// One count; 0 when nothing was counted under that name.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Reads the run hash of a partition.
    pub(super) fn read(fields: HashMap<String, String>) -> Standing {
        let mut standing = Standing::default();
        for (name, text) in fields {
            match (name.as_str(), text.parse::<u64>()) {
                ("state", _) => standing.paused = text == "paused",
                ("restarts", Ok(restarts)) => standing.restarts = restarts,
                (_, Ok(amount)) => {
                    standing.counts.insert(name, amount);
                }
                // No version writes that.
                (_, Err(_)) => {}
            }
        }
        standing
    }

    /// All partitions together.
    pub fn sum(partitions: Vec<Standing>) -> Standing {
        let mut partitions = partitions.into_iter();
        let mut sum = partitions.next().unwrap_or_default();
        for standing in partitions {
            sum.pending += standing.pending;
            for (name, amount) in standing.counts {
                *sum.counts.entry(name).or_default() += amount;
            }
            sum.restarts = sum.restarts.min(standing.restarts);
            sum.paused |= standing.paused;
            for lane in standing.paused_lanes {
                if !sum.paused_lanes.contains(&lane) {
                    sum.paused_lanes.push(lane);
                }
            }
        }
        sum
    }
}

impl Queue {
    /// How a run stands.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn standing(&self, run: &RunId) -> Result<Standing, QueueError> {
        Ok(Standing::sum(self.standings(run).await?))
    }

    /// How a run stands in each partition.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn standings(&self, run: &RunId) -> Result<Vec<Standing>, QueueError> {
        let mut standings = Vec::new();
        for partition in 0..self.partitions {
            let keys = self.keys(partition);
            let [high, low] = Lane::ALL.map(|lane| keys.paused(lane));
            let (pending, fields, high, low): (u64, HashMap<String, String>, bool, bool) =
                // First what is pending: a job that ends in between has then counted what it has.
                redis::pipe()
                    .scard(keys.pending(run))
                    .hgetall(keys.run(run))
                    .exists(high)
                    .exists(low)
                    .query_async(&mut self.redis.commands())
                    .await?;
            let lanes = Lane::ALL.into_iter().zip([high, low]);
            standings.push(Standing {
                pending,
                paused_lanes: lanes
                    .filter(|(_, paused)| *paused)
                    .map(|(lane, _)| lane)
                    .collect(),
                ..Standing::read(fields)
            });
        }
        Ok(standings)
    }
}
