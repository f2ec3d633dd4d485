//! Which jobs a run consists of. The same run over the same dataset is planned the same, however
//! often a scheduler has to begin again.

use std::collections::BTreeMap;

use sojourn::dataset::{Manifest, ShardIndex};
use sojourn::job::{ExtractJob, Selection};
use sojourn::queue::{CodecError, NewJob, encode};
use sojourn::run::Epoch;

use crate::trigger::{Request, Scope};

/// Users named in one job, at most: the payload stays within tens of kilobytes.
const USERS_PER_JOB: usize = 1_000;

/// 2^64 divided by the golden ratio.
const GOLDEN_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The jobs of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Jobs by partition, in the order in which they are queued.
    pub partitions: Vec<Vec<NewJob>>,
    /// How many users they are about; for `active since` at most.
    pub users: u64,
    /// Users that were asked for and whose hash lies in no shard.
    pub users_unknown: u64,
}

impl Plan {
    /// Plans a run. `users` are the members of the cohort in ascending order, where the request is
    /// about one.
    ///
    /// # Errors
    /// When a job does not fit a payload.
    pub fn new(
        manifest: &Manifest,
        request: &Request,
        users: &[String],
        epoch: Epoch,
        partitions: u32,
    ) -> Result<Plan, CodecError> {
        let mut plan = Plan::default();
        let mut slices = plan.slices(manifest, &request.scope, users);
        // Else the run may have been planned in part by a build that did not do so.
        if manifest.is_in_slot_order() {
            slices = scattered(slices);
        }
        plan.partitions
            .resize_with(partitions.max(1) as usize, Vec::new);
        for (number, (id, shard, selection)) in slices.into_iter().enumerate() {
            let payload = encode(&ExtractJob {
                epoch,
                dataset: request.dataset.clone(),
                dataset_id: manifest.id.clone(),
                shard: shard.0,
                selection,
                params: request.parameters,
                ttl_seconds: request.ttl_seconds,
            })?;
            let partition = number % plan.partitions.len();
            plan.partitions[partition].push(NewJob {
                id,
                payload,
                size: None,
            });
        }
        Ok(plan)
    }

    /// How many jobs there are.
    pub fn jobs(&self) -> u64 {
        self.partitions.iter().map(|jobs| jobs.len() as u64).sum()
    }

    /// What each job is about: id, shard, users.
    fn slices(
        &mut self,
        manifest: &Manifest,
        scope: &Scope,
        users: &[String],
    ) -> Vec<(String, ShardIndex, Selection)> {
        match scope {
            Scope::All => {
                self.users = manifest.shards.iter().map(|shard| shard.users).sum();
                let all = |index: ShardIndex| (format!("{:05}", index.0), index, Selection::All);
                manifest
                    .shards
                    .iter()
                    .map(|shard| all(shard.index))
                    .collect()
            }
            Scope::ActiveSince(since) => {
                let since = since.as_millisecond();
                let active = manifest.shards.iter().filter(|shard| shard.latest >= since);
                let mut slices = Vec::new();
                for shard in active {
                    self.users += shard.users;
                    let id = format!("{:05}", shard.index.0);
                    slices.push((id, shard.index, Selection::ActiveSince(since)));
                }
                slices
            }
            Scope::Cohort(_) => {
                let mut by_shard: BTreeMap<u32, Vec<String>> = BTreeMap::new();
                for user in users {
                    match manifest.shard_of(user) {
                        Some(shard) => by_shard.entry(shard.0).or_default().push(user.clone()),
                        None => self.users_unknown += 1,
                    }
                }
                self.users = users.len() as u64 - self.users_unknown;
                let mut slices = Vec::new();
                for (shard, users) in by_shard {
                    for (number, users) in users.chunks(USERS_PER_JOB).enumerate() {
                        let id = format!("{shard:05}.{number}");
                        let selection = Selection::Users(users.to_vec());
                        slices.push((id, ShardIndex(shard), selection));
                    }
                }
                slices
            }
        }
    }
}

/// The same jobs, with neighbours far apart. As they come, they are in the order of the slots of a Redis
/// Cluster, of which each node has a range: all workers would write to one node, then all to the next.
/// In the order of multiples of the golden ratio, as many at a time as one likes are spread over the
/// nodes about evenly.
fn scattered<T>(jobs: Vec<T>) -> Vec<T> {
    let mut numbered: Vec<(u64, T)> = (0..).zip(jobs).collect();
    numbered.sort_unstable_by_key(|&(number, _)| number.wrapping_mul(GOLDEN_STEP));
    numbered.into_iter().map(|(_, job)| job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_are_under_way_together_write_to_all_nodes() {
        for (jobs, nodes, together) in [(90, 3, 12), (1_000, 3, 6), (1_000, 6, 24), (9_999, 6, 12)]
        {
            let jobs = scattered((0..jobs).map(|job| job * nodes / jobs).collect());
            for window in jobs.windows(together) {
                let jobs_of = |node| window.iter().filter(|&&other| other == node).count();
                let most = (0..nodes).map(jobs_of).max();
                assert!(most <= Some(together / nodes + 2), "{window:?}");
            }
        }
    }

    #[test]
    fn every_job_is_in_the_plan_once() {
        for jobs in [0, 1, 2, 10, 1_597] {
            let mut order = scattered((0..jobs).collect());
            order.sort_unstable();
            assert!(order.into_iter().eq(0..jobs));
        }
    }
}
