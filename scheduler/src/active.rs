//! A run that is planned and is being queued.

use sojourn::queue::{Lane, NewJob, Standing};

use crate::plan::Plan;

/// What the leading scheduler remembers of a run. All of it can be had again: planning a run twice
/// gives the same plan, and each partition knows how much of it it has been given.
#[derive(Debug)]
pub(crate) struct Active {
    pub lane: Lane,
    /// How often the run had restarted when it was planned.
    pub restarts: u64,
    pub plan: Plan,
    /// How many jobs of each partition are queued or were.
    pub cursors: Vec<u64>,
}

impl Active {
    pub fn new(lane: Lane, restarts: u64, plan: Plan) -> Active {
        Active {
            lane,
            restarts,
            cursors: vec![0; plan.partitions.len()],
            plan,
        }
    }

    /// Whether every partition has all its jobs.
    pub fn is_queued(&self) -> bool {
        let mut partitions = self.cursors.iter().zip(&self.plan.partitions);
        partitions.all(|(&cursor, jobs)| cursor >= jobs.len() as u64)
    }

    /// Goes back to where the partitions are: a Redis that lost acknowledged writes may remember
    /// fewer jobs than it was given.
    pub fn go_back_to(&mut self, partitions: &[Standing]) {
        for (cursor, standing) in self.cursors.iter_mut().zip(partitions) {
            *cursor = standing.count("planned").min(*cursor);
        }
    }

    /// A job by its id.
    pub fn job(&self, partition: u32, id: &str) -> Option<&NewJob> {
        let jobs = self.plan.partitions.get(partition as usize)?;
        jobs.iter().find(|job| job.id == id)
    }
}
