//! What processes have taken of the machine.

// Every benchmark uses a part of it.
#![allow(dead_code)]

use std::time::Duration;

/// Clock ticks in a second, as Linux shows times of processes, whatever it counts itself.
const TICKS: f64 = 100.0;

/// The CPU time that a process has had, with all its threads.
pub fn cpu(pid: u32) -> Duration {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux, and the process");
    // The name of the program may hold anything, but what follows the last bracket does not.
    let (_, fields) = stat.rsplit_once(") ").expect("a program");
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || -> u64 { fields.next().expect("times").parse().expect("ticks") };
    Duration::from_secs_f64((ticks() + ticks()) as f64 / TICKS)
}

/// The most memory that a process has had, in bytes.
pub fn most_resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    let status = status.expect("Linux, and the process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.expect("a size") * 1024
}
