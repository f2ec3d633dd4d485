//! What can be seen of the queue against what its model says.

use std::collections::BTreeMap;

use redis::AsyncCommands;
use sojourn::queue::{Kind, Lane};

use crate::model::Letter;
use crate::trial::Trial;
use crate::{Difference, End};

impl Trial<'_> {
    /// Compares everything that can be seen.
    pub async fn compare(&self) -> Result<(), Difference> {
        for (id, run) in self.runs.iter().zip(&self.model.runs) {
            let standing = self.queue.standing(id).await?;
            same!(
                standing.pending,
                run.pending.len() as u64,
                "pending jobs of {id}"
            );
            let counts = standing
                .counts
                .into_iter()
                .filter(|&(_, amount)| amount > 0);
            let counts: BTreeMap<String, u64> = counts.collect();
            same!(counts, run.counted(), "counts of {id}");
        }
        for lane in Lane::ALL {
            let depth = self.queue.depth(lane, 0).await?;
            same!(
                depth,
                self.model.lane(lane).len() as u64,
                "the depth of {lane}"
            );
        }
        let kept: Vec<&Letter> = self.model.kept().collect();
        let mut found = Vec::new();
        let mut before = None;
        loop {
            let page = self.queue.letters(0, before).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            found.extend(page);
        }
        same!(found.len(), kept.len(), "letters");
        for (found, kept) in found.iter().zip(kept) {
            let entry = &kept.entry;
            same!(found.id, kept.id, "the id of a letter");
            same!(found.error, kept.error, "the error of {}", found.id);
            same!(
                found.run.as_ref(),
                Some(&self.runs[entry.run]),
                "the run of {}",
                found.id
            );
            same!(
                found.job.as_ref(),
                Some(&entry.job),
                "the job of {}",
                found.id
            );
            let record = (found.attempts, found.failures, found.crashes, found.lane);
            let expected = (
                Some(entry.attempts),
                Some(entry.failures),
                Some(entry.crashes),
                Some(kept.lane),
            );
            same!(record, expected, "the record of {}", found.id);
        }
        for (number, held) in self.leases.iter().enumerate() {
            // Those that are over are asked for by operations of their own.
            if self.is_held(held) {
                self.renew(number).await?;
            }
        }
        Ok(())
    }

    /// Does everything that is left, and compares what remains with what should.
    pub async fn drain(mut self) -> Result<(), Difference> {
        self.time_passes().await?;
        for lane in Lane::ALL {
            while self.take(0, lane, true).await? {
                self.settle(self.leases.len() - 1, End::Done).await?;
            }
        }
        self.compare().await?;
        for (id, run) in self.runs.iter().zip(&self.model.runs) {
            let count = |name: &str| run.counts.get(name).copied().unwrap_or(0);
            same!(run.pending.len(), 0, "the end of {id}");
            if !run.is_cancelled {
                same!(
                    count("jobs"),
                    count("done") + count("dead"),
                    "jobs of {id} that ended"
                );
            }
        }
        let keys = self.redis.keys().partition(Kind::Extract, 0);
        let allowed = [keys.lane(Lane::High), keys.lane(Lane::Low), keys.dead()];
        let runs = self.runs.iter();
        let runs = runs.flat_map(|run| [keys.run(run), keys.queued(run)]);
        let runs: Vec<String> = runs.collect();
        let mut connection = self.redis.commands();
        let left: Vec<String> = connection.keys("*").await?;
        for key in left {
            let is_run = runs.contains(&key);
            same!(
                allowed.contains(&key) || is_run,
                true,
                "whether {key} may be left"
            );
            let ttl: i64 = connection.ttl(&key).await?;
            same!(ttl > 0, is_run, "whether {key} goes away by itself");
        }
        Ok(())
    }
}
