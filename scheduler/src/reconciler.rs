//! Compares what runs wait for with what the queues have, and mends what a Redis has lost.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sojourn::queue::{KeptCounts, Kind, Lane, Missing, NewJob, Queue, QueueError, Queues};
use sojourn::run::RunId;
use tokio::time::Instant;

use crate::active::Active;
use crate::record::{RunRecord, RunState};
use crate::register::{Register, RegisterError};

/// How often a run restarts by itself before somebody repairs it. What is lost once was an accident;
/// what is lost every time is something that has to be looked into.
pub(crate) const MOST_RESTARTS: u64 = 2;

/// What came of names, and what they cost, is true also after the run has restarted: journeys that
/// have names are not named again. Those asked for then are those that were named before, and those
/// that still want a name are asked for once more.
const NAMING_KEEPS: KeptCounts = KeptCounts {
    sum: "journeys_to_name",
    summands: &["named", "names_outdated"],
    others: &[
        "llm_calls",
        "llm_tokens_in",
        "llm_tokens_out",
        "llm_answers_cut",
        "names_rejected",
        "names_kept",
        "names_fallback",
    ],
};

/// Looks at all runs now and then.
#[derive(Debug)]
pub(crate) struct Reconciler {
    every: Duration,
    looked: Option<Instant>,
    /// What the last look did not find, of extraction and of naming.
    missed: [HashSet<Missing>; 2],
}

impl Reconciler {
    pub fn new(every: Duration) -> Reconciler {
        Reconciler {
            every,
            looked: None,
            missed: Default::default(),
        }
    }

    /// Forgets what the last look did not find: another scheduler has led since.
    pub fn forget(&mut self) {
        self.missed = Default::default();
    }

    /// Looks at runs that are running, if it is time. Jobs that two looks in a row have missed are
    /// queued again; naming jobs, which no plan has, are counted as lost, and so are all of a run that
    /// was reopened, which has no plan any more.
    pub async fn look(
        &mut self,
        queues: &Queues,
        register: &Register,
        runs: &mut HashMap<RunId, Active>,
        running: &[RunRecord],
    ) -> Result<(), RegisterError> {
        if self.looked.is_some_and(|at| at.elapsed() < self.every) {
            return Ok(());
        }
        for record in running {
            let run = &record.id;
            queues.extract.keep(run).await?;
            queues.name.keep(run).await?;
            let partitions = queues.extract.standings(run).await?;
            if let Some(active) = runs.get_mut(run) {
                active.go_back_to(&partitions);
            }
            let paused = partitions.iter().any(|standing| standing.paused)
                || queues.name.standing(run).await?.paused;
            if let Some(request) = record.request.as_ref().filter(|_| paused) {
                unpause(queues, register, run, request.lane).await?;
            }
        }
        let ids: Vec<RunId> = running.iter().map(|record| record.id.clone()).collect();
        for (queue, missed) in [&queues.extract, &queues.name]
            .into_iter()
            .zip(&mut self.missed)
        {
            let now = queue.missing(&ids).await?;
            let (proven, new) = now.into_iter().partition(|job| missed.contains(job));
            // Only then: a call that fails is made again at the next look.
            mend(queue, runs, running, proven).await?;
            *missed = new;
        }
        self.looked = Some(Instant::now());
        Ok(())
    }
}

/// A pause and a resume at the same moment may leave some partitions paused. The register decides; a
/// pause is there before it is anywhere else, so what it says now is newer than what was seen.
async fn unpause(
    queues: &Queues,
    register: &Register,
    run: &RunId,
    lane: Lane,
) -> Result<(), RegisterError> {
    if register.run(run).await?.state == RunState::Running {
        queues.extract.resume(run, lane).await?;
        queues.name.resume(run, lane).await?;
        // This process may have been held up in between, and somebody has paused the run.
        if register.run(run).await?.state == RunState::Paused {
            queues.extract.pause(run, lane).await?;
            queues.name.pause(run, lane).await?;
        }
    }
    Ok(())
}

async fn mend(
    queue: &Queue,
    runs: &HashMap<RunId, Active>,
    running: &[RunRecord],
    proven: HashSet<Missing>,
) -> Result<(), QueueError> {
    let mut by_partition: HashMap<(RunId, u32), Vec<String>> = HashMap::new();
    for Missing {
        run,
        partition,
        job,
    } in proven
    {
        by_partition.entry((run, partition)).or_default().push(job);
    }
    let kind = queue.kind();
    for ((run, partition), jobs) in by_partition {
        let Some(record) = running.iter().find(|record| record.id == run) else {
            continue;
        };
        let active = runs.get(&run);
        let (mut planned, mut lost): (Vec<NewJob>, Vec<String>) = (Vec::new(), Vec::new());
        for job in jobs {
            match active.and_then(|active| active.job(partition, &job)) {
                Some(job) if kind == Kind::Extract => planned.push(job.clone()),
                _ => lost.push(job),
            }
        }
        let restarts = record.restarts;
        if let Some(active) = active {
            let requeued = queue
                .requeue(&run, active.lane, partition, restarts, &planned)
                .await?;
            if requeued > 0 {
                tracing::warn!(%run, %kind, partition, requeued, "jobs had vanished from the queue; queued again");
            }
        }
        let lost = queue.lose(&run, partition, restarts, &lost).await?;
        if lost > 0 {
            tracing::error!(%run, %kind, partition, lost, "jobs have vanished from the queue; when the others are done, the run restarts if it can");
        }
    }
    Ok(())
}

/// Restarts a run for the `restarts`th time, in all partitions where it has not yet.
pub(crate) async fn restart(
    queues: &Queues,
    run: &RunId,
    lane: Lane,
    restarts: u64,
) -> Result<(), QueueError> {
    // Naming last: what extraction jobs queue until they notice is wanted the next time as well.
    let nothing = KeptCounts::default();
    queues.extract.restart(run, lane, restarts, nothing).await?;
    queues.name.restart(run, lane, restarts, NAMING_KEEPS).await
}
