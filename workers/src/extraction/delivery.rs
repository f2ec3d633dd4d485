//! The way of what was found in some histories into Redis: results, then the job that names them.

use std::borrow::Cow;
use std::time::Duration;

use sojourn::catalogue::Catalogue;
use sojourn::code::{Code, Coded};
use sojourn::health::Contact;
use sojourn::job::{ExtractJob, NameJob, UserToName};
use sojourn::journey::keep_identity;
use sojourn::queue::{Enqueued, Failure, Lease, NewJob, Queue, encode};
use sojourn::store::{
    JourneyReader, JourneyWriter, Meta, StoreError, UserRead, UserResult, Written,
};
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use super::tally::Tally;
use super::{Batch, Found};
use crate::patience::Patience;

/// How often a user's results are read again because somebody wrote in between. A naming worker
/// writes once per user and state, so the second time is already rare.
const MAX_CONFLICTS: usize = 8;

/// Delivers the batches of one job.
pub(super) struct Delivery<'a> {
    pub reader: &'a JourneyReader,
    pub writer: &'a JourneyWriter,
    pub names: &'a Queue,
    pub catalogue: &'a Catalogue,
    pub job: &'a ExtractJob,
    pub lease: &'a Lease,
    pub stop: &'a CancellationToken,
    pub contact: &'a Contact,
    /// Says which parameters made a result without repeating them for every user.
    pub parameters: String,
}

impl Delivery<'_> {
    /// Writes the results of a batch, and queues their naming. Returns what it adds to the counts.
    ///
    /// # Errors
    /// When the worker has to stop, the job is not its own any more, or Redis refuses.
    pub async fn deliver(&self, batch: Batch) -> Result<Tally, Failure> {
        let mut patience = Patience {
            stop: self.stop,
            contact: self.contact.another(),
        };
        let mut tally = Tally::default();
        let to_name = self.write(&batch.found, &mut tally, &mut patience).await?;
        // Before the job is settled: the run is not over while a naming job is pending, so there
        // must be no moment at which neither is.
        let is_queued = self.enqueue_naming(&batch, &to_name, &mut patience).await?;
        tally.naming_queued += u64::from(is_queued);
        Ok(tally)
    }

    /// Writes the results of some users; those of users that somebody wrote to in between are
    /// matched again with what stands there now. Returns for each user how many journeys want a
    /// name.
    async fn write(
        &self,
        found: &[Found],
        tally: &mut Tally,
        patience: &mut Patience<'_>,
    ) -> Result<Vec<u32>, Failure> {
        let (job, lease) = (self.job, self.lease);
        let ttl = job.ttl_seconds.map(Duration::from_secs);
        let mut to_name = vec![0; found.len()];
        let mut waiting: Vec<usize> = (0..found.len()).collect();
        for _ in 0..MAX_CONFLICTS {
            let users: Vec<&str> = waiting.iter().map(|&at| found[at].user.as_str()).collect();
            let stored = patience
                .with(|| self.reader.journeys_of_many(&users))
                .await?;
            let metas = || stored.iter().flatten().flatten().map(|stored| &stored.meta);
            if metas().any(|meta| meta.epoch == job.epoch && meta.attempt > lease.attempt()) {
                // Or Redis has lost that attempt, with all that it queued; then the job is ours, and
                // the next attempt is later.
                let error = "a later attempt at this job has written results";
                return Err(Failure::Busy {
                    error: Code::Overtaken.before(error),
                    after: Some(Duration::ZERO),
                });
            }
            let is_newer = |stored: &UserRead| matches!(stored, Ok(Some(stored)) if stored.meta.epoch > job.epoch);
            let newer: Vec<bool> = stored.iter().map(is_newer).collect();
            let results: Vec<UserResult<'_>> = waiting
                .iter()
                .zip(stored)
                .map(|(&at, stored)| {
                    let extraction = &found[at].extraction;
                    let mut journeys = Cow::Borrowed(&extraction.journeys[..]);
                    let replaces_foreign = stored.is_err();
                    let stored = stored.unwrap_or_else(|error| {
                        tracing::warn!(code = %error.code(), %error, "replacing results");
                        None
                    });
                    if let Some(stored) = &stored {
                        let same_run = stored.meta.epoch == job.epoch;
                        let members = extraction.member_ids(self.catalogue);
                        keep_identity(&stored.journeys, journeys.to_mut(), members, same_run);
                    }
                    let meta = Meta {
                        epoch: job.epoch,
                        attempt: lease.attempt(),
                        revision: stored.map_or(0, |stored| stored.meta.revision) + 1,
                        run: lease.run.clone(),
                        dataset: job.dataset_id.clone(),
                        parameters: self.parameters.clone(),
                        merge_threshold: extraction.merge_threshold,
                        exploration: extraction.exploration,
                        written_at: now(),
                    };
                    UserResult {
                        user: &found[at].user,
                        meta,
                        journeys,
                        replaces_foreign,
                    }
                })
                .collect();
            // Twice is as good as once: what has been written by the first time has changed.
            let written = patience.with(|| self.writer.write(&results, ttl)).await?;
            let mut changed = Vec::new();
            let written = written.into_iter().zip(newer);
            for ((at, result), written) in waiting.into_iter().zip(results).zip(written) {
                match written {
                    (Written::Written, _) => {
                        tally.add_user(&found[at].extraction, &result.journeys);
                        let wanting = result.journeys.iter().filter(|j| j.wants_name());
                        to_name[at] = wanting.count() as u32;
                    }
                    (Written::Stale, true) => tally.users_newer += 1,
                    (Written::Stale, false) | (Written::Changed, _) => changed.push(at),
                }
            }
            waiting = changed;
            if waiting.is_empty() {
                return Ok(to_name);
            }
        }
        let busy = StoreError::Busy {
            user: found[waiting[0]].user.clone(),
            times: MAX_CONFLICTS,
        };
        Err(Failure::Transient(busy.with_code()))
    }

    /// Queues the naming of those of a batch who have journeys `to_name`; says whether there is a job
    /// for it.
    ///
    /// Its id follows from the job and the batch alone, so that the same users are in the same naming
    /// job whoever does this job again, and a naming job that is still waiting is not queued twice. One
    /// that is done is not queued again either: its journeys have names by then.
    async fn enqueue_naming(
        &self,
        batch: &Batch,
        to_name: &[u32],
        patience: &mut Patience<'_>,
    ) -> Result<bool, Failure> {
        let users: Vec<UserToName> = batch
            .found
            .iter()
            .zip(to_name)
            .filter(|&(_, &journeys)| journeys > 0)
            .map(|(found, &journeys)| UserToName {
                user: found.user.clone(),
                journeys,
            })
            .collect();
        if users.is_empty() {
            return Ok(false);
        }
        let id = format!("{}/{}", self.lease.job, batch.number);
        let journeys = users.iter().map(|user| u64::from(user.journeys)).sum();
        let payload = encode(&NameJob {
            epoch: self.job.epoch,
            users,
        })
        .map_err(|error| Failure::Permanent(error.with_code()))?;
        let partition = xxh3_64(id.as_bytes()) % u64::from(self.names.partitions());
        let jobs = [NewJob {
            id,
            payload,
            size: Some(("journeys_to_name", journeys)),
        }];
        let enqueue = || {
            let (run, lane) = (&self.lease.run, self.lease.lane);
            self.names.enqueue(run, lane, partition as u32, &jobs)
        };
        match patience.with(enqueue).await? {
            Enqueued::Queued => Ok(true),
            Enqueued::Cancelled => Ok(false),
            Enqueued::Over => {
                let error = "the run is over for the naming queue";
                Err(Failure::Transient(Code::Overtaken.before(error)))
            }
        }
    }
}

fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)
}
