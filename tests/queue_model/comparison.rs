//! What can be seen of the queue against what its model says.

use std::collections::{BTreeMap, BTreeSet};

use redis::AsyncCommands;
use sojourn::queue::{Kind, Lane};

use crate::Difference;
use crate::entry::{Entry, Letter};
use crate::loss::Fields;
use crate::model::LANES;
use crate::operation::End;
use crate::run::State;
use crate::trial::Trial;

impl Trial<'_> {
    /// Compares everything that can be seen.
    pub async fn compare(&self) -> Result<(), Difference> {
        self.compare_runs().await?;
        self.compare_lanes().await?;
        self.compare_letters().await?;
        for (number, held) in self.leases.iter().enumerate() {
            // Those that are over are asked for by operations of their own.
            if self.is_held(held) {
                self.renew(number).await?;
            }
        }
        Ok(())
    }

    async fn compare_runs(&self) -> Result<(), Difference> {
        let keys = self.redis.keys().partition(Kind::Extract, 0);
        for (id, run) in self.runs.iter().zip(&self.model.runs) {
            let standing = self.queue.standing(id).await?;
            let found = (standing.pending, standing.restarts, standing.paused);
            let is_paused = run.state == State::Paused;
            let expected = (run.pending.len() as u64, run.restarts, is_paused);
            same!(found, expected, "pending, restarts and pause of {id}");
            let counts = standing
                .counts
                .into_iter()
                .filter(|&(_, amount)| amount > 0);
            let counts: BTreeMap<String, u64> = counts.collect();
            same!(counts, run.all_counted(), "counts of {id}");
            let state: Option<String> = self.redis.commands().hget(keys.run(id), "state").await?;
            same!(state.as_deref(), run.state.text(), "the state of {id}");
            let followed: BTreeSet<String> =
                self.redis.commands().smembers(keys.queued(id)).await?;
            same!(followed, run.followed, "what {id} knows to be queued");
            self.compare_stream(&keys.parked(id), &run.parked).await?;
        }
        Ok(())
    }

    async fn compare_lanes(&self) -> Result<(), Difference> {
        let keys = self.redis.keys().partition(Kind::Extract, 0);
        for lane in Lane::ALL {
            self.compare_stream(&keys.lane(lane), self.model.lane(lane))
                .await?;
            let waiting: usize = self.redis.commands().zcard(keys.retry(lane)).await?;
            same!(waiting, self.model.waiting(lane), "what waits for {lane}");
        }
        let paused = self.queue.paused_lanes().await?;
        let expected = Lane::ALL.into_iter();
        let expected = expected.filter(|&lane| self.model.is_paused(lane));
        same!(paused, expected.collect::<Vec<_>>(), "paused lanes");
        Ok(())
    }

    /// In which order they come is seen when they are taken.
    async fn compare_stream(&self, stream: &str, expected: &[Entry]) -> Result<(), Difference> {
        let entries = self.entries(stream).await?.into_iter();
        let mut found: Vec<Fields> = entries.map(|(_, fields)| fields).collect();
        let expected = expected.iter().map(|entry| self.fields(entry));
        let mut expected: Vec<Fields> = expected.collect();
        found.sort();
        expected.sort();
        same!(found, expected, "what is in {stream}");
        Ok(())
    }

    async fn compare_letters(&self) -> Result<(), Difference> {
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
            let attempts = found.attempts.map(u64::from);
            let record = (attempts, found.failures, found.crashes, found.lane);
            let expected = (
                Some(entry.attempts),
                Some(entry.failures),
                Some(entry.crashes),
                Some(kept.lane),
            );
            same!(record, expected, "the record of {}", found.id);
        }
        Ok(())
    }

    /// Does everything that is left, and compares what remains with what should.
    pub async fn drain(mut self) -> Result<(), Difference> {
        self.compare_lifetimes().await?;
        for lane in Lane::ALL {
            self.pause_lane(lane, false).await?;
        }
        for run in 0..LANES.len() {
            self.resume(run).await?;
        }
        self.time_passes().await?;
        self.reconcile().await?;
        for lane in Lane::ALL {
            while self.take(0, lane, true).await? {
                self.settle(self.leases.len() - 1, End::Done).await?;
            }
        }
        self.compare().await?;
        for (id, run) in self.runs.iter().zip(&self.model.runs) {
            if run.state != State::Cancelled {
                same!(run.ended, run.begun, "how often jobs of {id} ended");
                let ended = ["done", "dead", "lost"].map(|name| run.counted(name));
                let ended: u64 = ended.iter().sum();
                same!(ended, run.counted("jobs"), "jobs of {id} that ended");
            }
        }
        for run in 0..LANES.len() {
            self.close(run).await?;
        }
        self.compare().await?;
        self.compare_lifetimes().await
    }

    /// Only lanes, what is in them, and letters are there for ever.
    async fn compare_lifetimes(&self) -> Result<(), Difference> {
        let keys = self.redis.keys().partition(Kind::Extract, 0);
        let mut stay = vec![keys.dead()];
        for lane in Lane::ALL {
            stay.push(keys.lane(lane));
            if self.model.waiting(lane) > 0 {
                stay.push(keys.retry(lane));
            }
            if self.model.is_paused(lane) {
                stay.push(keys.paused(lane));
            }
        }
        let mut connection = self.redis.commands();
        let found: Vec<String> = connection.keys("*").await?;
        for key in found {
            let ttl: i64 = connection.ttl(&key).await?;
            same!(ttl > 0, !stay.contains(&key), "whether {key} goes away");
        }
        Ok(())
    }
}
