//! What vanishes, and what is done about it.

use std::collections::BTreeSet;

use redis::AsyncCommands;
use sojourn::queue::{Kind, Lane, NewJob};

use crate::Difference;
use crate::entry::Entry;
use crate::model::LANES;
use crate::planning::job;
use crate::trial::{Trial, newest};

/// What an entry says: run, job, attempts, failures, crashes.
pub type Fields = [String; 5];

impl Trial<'_> {
    /// The entry of the model as it should stand in Redis.
    pub fn fields(&self, entry: &Entry) -> Fields {
        [
            self.runs[entry.run].to_string(),
            entry.job.clone(),
            entry.attempts.to_string(),
            entry.failures.to_string(),
            entry.crashes.to_string(),
        ]
    }

    /// Ids and fields of what stands in a stream.
    pub async fn entries(&self, stream: &str) -> Result<Vec<(String, Fields)>, Difference> {
        let mut connection = self.redis.commands();
        let found: redis::streams::StreamRangeReply = connection.xrange_all(stream).await?;
        let entries = found.ids.into_iter().map(|entry| {
            let names = ["run", "job", "attempts", "failures", "crashes"];
            let fields = names.map(|name| entry.get(name).unwrap_or_default());
            (entry.id, fields)
        });
        Ok(entries.collect())
    }

    /// Somebody deletes an entry by hand.
    pub async fn vanish(&mut self, lane: Lane, number: usize) -> Result<(), Difference> {
        let stream = self.redis.keys().partition(Kind::Extract, 0).lane(lane);
        let entries = self.entries(&stream).await?;
        let Some(number) = newest(entries.len(), number) else {
            return Ok(());
        };
        let (id, fields) = &entries[number];
        // Those that say the same are in the same order in the model.
        let same_before = entries[..number].iter().filter(|(_, f)| f == fields);
        let same = self.model.lane(lane).iter();
        let mut same = same.filter(|entry| self.fields(entry) == *fields);
        let Some(entry) = same.nth(same_before.count()).cloned() else {
            return Err(Difference(format!("{fields:?} is unknown to the model")));
        };
        let () = self.redis.commands().xdel(&stream, &[id]).await?;
        self.model.remove(&entry);
        Ok(())
    }

    /// Two looks at all runs, and what follows.
    pub async fn reconcile(&mut self) -> Result<(), Difference> {
        let first = self.queue.missing(&self.runs).await?;
        let second = self.queue.missing(&self.runs).await?;
        same!(second, first, "what is missing at the second look");
        for run in 0..LANES.len() {
            let of_run = first.iter().filter(|missing| missing.run == self.runs[run]);
            let found: BTreeSet<String> = of_run.map(|missing| missing.job.clone()).collect();
            same!(
                found,
                self.model.missing(run),
                "jobs of run {run} that are missing"
            );
            let restarts = self.model.runs[run].restarts;
            self.mend(run, restarts, found.into_iter().collect())
                .await?;
        }
        Ok(())
    }

    /// What follows when two looks were wrong, or the job has ended since.
    pub async fn mistake(
        &mut self,
        run: usize,
        number: usize,
        is_late: bool,
    ) -> Result<(), Difference> {
        let known = &self.model.runs[run];
        let Some(number) = newest(known.begun.len(), number) else {
            return Ok(());
        };
        let jobs: Vec<String> = known.begun.keys().skip(number).take(1).cloned().collect();
        // Which of the two numbers is the older one makes no difference.
        let restarts = known.restarts + u64::from(is_late);
        self.mend(run, restarts, jobs).await
    }

    /// Queues planned jobs again, and gives up the others, as they are in no plan.
    async fn mend(
        &mut self,
        run: usize,
        restarts: u64,
        jobs: Vec<String>,
    ) -> Result<(), Difference> {
        let (planned, others): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.starts_with('p'));
        let new: Vec<NewJob> = planned.iter().map(|id| job(id)).collect();
        let id = &self.runs[run];
        let requeued = self
            .queue
            .requeue(id, LANES[run], 0, restarts, &new)
            .await?;
        let lost = self.queue.lose(id, 0, restarts, &others).await?;
        let expected = self.model.mend(run, restarts, &planned, &others);
        same!(
            (requeued, lost),
            expected,
            "jobs of {id} queued again, and lost"
        );
        Ok(())
    }
}
