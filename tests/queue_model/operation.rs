//! What may happen to the queue, in which mixture.

use proptest::prelude::*;
use sojourn::queue::Lane;

use crate::model::LANES;

/// Something that happens to the queue. Numbers pick from what there is at that moment, the newest
/// first.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// The scheduler queues so many further jobs of a run; `behind` is by how much its cursor is
    /// wrong.
    Plan {
        run: usize,
        jobs: usize,
        behind: u64,
    },
    /// A job that follows from another is queued, perhaps again.
    Follow { run: usize, job: usize },
    /// A worker takes a job that nobody holds.
    Take { worker: usize, lane: Lane },
    /// All leases of a lane have run out, and a worker takes a job.
    TakeOver { worker: usize, lane: Lane },
    /// A worker waits for a new job in either lane.
    Wait { worker: usize },
    /// Somebody who has or had a lease renews it.
    Renew { lease: usize },
    /// Somebody who has or had a lease ends it.
    Settle { lease: usize, end: End },
    /// A worker dies, and another starts in its place.
    Crash { worker: usize },
    /// Waiting times are over.
    TimePasses,
    /// Workers without a job are forgotten.
    Tidy,
    /// A run is cancelled.
    Cancel { run: usize },
    /// A run is paused, also one that is paused or over.
    Pause { run: usize },
    /// A run is to go on, also one that was not paused.
    Resume { run: usize },
    /// A lane is paused.
    PauseLane { lane: Lane },
    /// A lane is open again.
    ResumeLane { lane: Lane },
    /// A run is closed if nothing of it is pending.
    Close { run: usize },
    /// A run takes jobs again.
    Reopen { run: usize },
    /// A run restarts for the time after the last, or once more for the last (`by` is 0).
    Restart { run: usize, by: u64, keeps: bool },
    /// An entry of a lane is deleted by hand, whether somebody holds it or not.
    Vanish { lane: Lane, entry: usize },
    /// Jobs that two looks have missed are queued again, or given up.
    Reconcile,
    /// A job that two looks have missed was there after all; with `is_late`, its run has begun
    /// again meanwhile.
    Mistake {
        run: usize,
        job: usize,
        is_late: bool,
    },
    /// A dead letter, which may be gone, is replayed.
    Replay { letter: usize },
    /// A dead letter, which may be gone, is dropped.
    Drop { letter: usize },
}

/// How a lease ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Done,
    RetryAtOnce,
    RetryLater,
    Postpone,
    Dead,
    Quarantine,
    Release,
}

fn lane() -> impl Strategy<Value = Lane> {
    proptest::sample::select(Lane::ALL.to_vec())
}

fn end() -> impl Strategy<Value = End> {
    use End::{Dead, Done, Postpone, Quarantine, Release, RetryAtOnce, RetryLater};
    proptest::sample::select(vec![
        Done,
        RetryAtOnce,
        RetryLater,
        Postpone,
        Dead,
        Dead,
        Quarantine,
        Release,
    ])
}

pub fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![2 => of_jobs(), 1 => of_runs()]
}

/// What schedulers and workers do all the time.
fn of_jobs() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let (run, worker, newest) = (0..LANES.len(), 0..3usize, 0..6usize);
    prop_oneof![
        6 => (run.clone(), 0..4usize, prop_oneof![3 => Just(0), 1 => 1..3u64])
            .prop_map(|(run, jobs, behind)| Plan { run, jobs, behind }),
        3 => (run, 0..3usize).prop_map(|(run, job)| Follow { run, job }),
        10 => (worker.clone(), lane()).prop_map(|(worker, lane)| Take { worker, lane }),
        5 => (worker.clone(), lane()).prop_map(|(worker, lane)| TakeOver { worker, lane }),
        2 => worker.clone().prop_map(|worker| Wait { worker }),
        2 => newest.clone().prop_map(|lease| Renew { lease }),
        14 => (newest, end()).prop_map(|(lease, end)| Settle { lease, end }),
        2 => worker.prop_map(|worker| Crash { worker }),
        2 => Just(TimePasses),
        1 => Just(Tidy),
    ]
}

/// What happens now and then.
fn of_runs() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let (run, newest) = (0..LANES.len(), 0..6usize);
    prop_oneof![
        1 => run.clone().prop_map(|run| Cancel { run }),
        4 => run.clone().prop_map(|run| Pause { run }),
        6 => run.clone().prop_map(|run| Resume { run }),
        1 => lane().prop_map(|lane| PauseLane { lane }),
        4 => lane().prop_map(|lane| ResumeLane { lane }),
        3 => run.clone().prop_map(|run| Close { run }),
        5 => run.clone().prop_map(|run| Reopen { run }),
        5 => (run.clone(), 0..2u64, any::<bool>())
            .prop_map(|(run, by, keeps)| Restart { run, by, keeps }),
        6 => (lane(), newest.clone()).prop_map(|(lane, entry)| Vanish { lane, entry }),
        3 => Just(Reconcile),
        3 => (run, newest.clone(), any::<bool>())
            .prop_map(|(run, job, is_late)| Mistake { run, job, is_late }),
        14 => newest.clone().prop_map(|letter| Replay { letter }),
        1 => newest.prop_map(|letter| Drop { letter }),
    ]
}
