//! What something has taken of the machine.

use std::time::{Duration, Instant};

use crate::process::cpu;

/// Some names, and what a process took for them.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub names: u64,
    pub wall: Duration,
    pub cpu: Duration,
}

impl Cost {
    /// CPU seconds of a name.
    pub fn per_name(&self) -> f64 {
        self.cpu.as_secs_f64() / self.names as f64
    }
}

/// A moment: the time, the names so far, and the CPU time of some processes.
pub struct Moment {
    at: Instant,
    names: u64,
    cpu: Vec<Duration>,
}

impl Moment {
    pub fn of(names: u64, processes: &[u32]) -> Moment {
        Moment {
            at: Instant::now(),
            names,
            cpu: processes.iter().map(|&pid| cpu(pid)).collect(),
        }
    }

    /// What each of the processes has taken from an earlier moment to this one.
    pub fn since(&self, earlier: &Moment) -> Vec<Cost> {
        let each = self.cpu.iter().zip(&earlier.cpu);
        each.map(|(now, before)| Cost {
            names: self.names - earlier.names,
            wall: self.at - earlier.at,
            cpu: *now - *before,
        })
        .collect()
    }
}
