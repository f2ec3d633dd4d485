//! The extraction worker: a shard of users goes in, their journeys go to Redis.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use sojourn::code::{Code, Coded};
use sojourn::connection::Redis;
use sojourn::dataset::{Dataset, DatasetError, ShardIndex};
use sojourn::health::Contact;
use sojourn::history::History;
use sojourn::job::{ExtractJob, NameJob, Selection, USERS_PER_NAME_JOB, UserToName};
use sojourn::journey::{Extraction, Extractor, Journey, keep_identity};
use sojourn::queue::{Counts, Enqueued, Failure, Lease, NewJob, Queue, Work, decode, encode};
use sojourn::store::{
    JourneyReader, JourneyWriter, Meta, StoreError, UserRead, UserResult, Written,
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use crate::patience::Patience;

/// Users whose results are written in one round trip: some naming jobs' worth. A few hundred keep a
/// connection busy; more would only hold up what else goes over it.
const USERS_PER_WRITE: usize = 5 * USERS_PER_NAME_JOB;

/// How often a user's results are read again because somebody wrote in between. A naming worker
/// writes once per user and state, so the second time is already rare.
const MAX_CONFLICTS: usize = 8;

/// Finds the journeys of a shard's users.
pub struct ExtractionWorker {
    reader: JourneyReader,
    writer: JourneyWriter,
    names: Queue,
    cache: PathBuf,
    /// The dataset that the last job was about; a backfill has one.
    dataset: Mutex<Option<Arc<Dataset>>>,
}

/// What was found in the history of a user.
struct Found {
    user: String,
    extraction: Extraction,
}

impl ExtractionWorker {
    /// A worker that queues naming in `names` and keeps catalogues of remote datasets in `cache`.
    pub fn new(redis: &Redis, names: Queue, cache: PathBuf) -> ExtractionWorker {
        ExtractionWorker {
            reader: JourneyReader::new(redis),
            writer: JourneyWriter::new(redis),
            names,
            cache,
            dataset: Mutex::new(None),
        }
    }

    /// The dataset of a job, and the histories of its shard.
    async fn read(&self, job: &ExtractJob) -> Result<(Arc<Dataset>, Vec<History>), Failure> {
        let dataset = self.dataset(job).await?;
        let shard = dataset.read_shard(ShardIndex(job.shard)).await;
        Ok((dataset, shard.map_err(dataset_failure)?))
    }

    async fn dataset(&self, job: &ExtractJob) -> Result<Arc<Dataset>, Failure> {
        let mut opened = self.dataset.lock().await;
        if let Some(dataset) = opened
            .as_ref()
            .filter(|d| d.manifest().id == job.dataset_id)
        {
            return Ok(dataset.clone());
        }
        let dataset = Dataset::open(&job.dataset, &self.cache)
            .await
            .map_err(dataset_failure)?;
        let id = &dataset.manifest().id;
        if *id != job.dataset_id {
            return Err(Failure::Permanent(Code::Replaced.before(format!(
                "{}: the dataset there is {id}, and the run is about {}; datasets are immutable, \
                 write a new one to a new place",
                job.dataset, job.dataset_id
            ))));
        }
        let dataset = Arc::new(dataset);
        *opened = Some(dataset.clone());
        Ok(dataset)
    }

    /// Writes the results of some users; those of users that somebody wrote to in between are
    /// matched again with what stands there now. Returns for each user how many journeys want a
    /// name.
    async fn write(
        &self,
        job: &ExtractJob,
        lease: &Lease,
        found: &[Found],
        tally: &mut Tally,
        patience: &mut Patience<'_>,
    ) -> Result<Vec<u32>, Failure> {
        let ttl = job.ttl_seconds.map(Duration::from_secs);
        let parameters = fingerprint(job);
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
            let results: Vec<UserResult> = waiting
                .iter()
                .zip(stored)
                .map(|(&at, stored)| {
                    let Extraction {
                        journeys, members, ..
                    } = &found[at].extraction;
                    let mut journeys = journeys.clone();
                    let replaces_foreign = stored.is_err();
                    let stored = stored.unwrap_or_else(|error| {
                        tracing::warn!(code = %error.code(), %error, "replacing results");
                        None
                    });
                    if let Some(stored) = &stored {
                        let same_run = stored.meta.epoch == job.epoch;
                        keep_identity(&stored.journeys, &mut journeys, members, same_run);
                    }
                    let meta = Meta {
                        epoch: job.epoch,
                        attempt: lease.attempt(),
                        revision: stored.map_or(0, |stored| stored.meta.revision) + 1,
                        run: lease.run.clone(),
                        dataset: job.dataset_id.clone(),
                        parameters: parameters.clone(),
                        merge_threshold: found[at].extraction.merge_threshold,
                        exploration: found[at].extraction.exploration,
                        written_at: now(),
                    };
                    UserResult {
                        user: found[at].user.clone(),
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
                        tally.add(&found[at].extraction, &result.journeys);
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

    /// Queues the naming of those of some users who have journeys `to_name`. `position` is that of
    /// the first user among all users of the job.
    ///
    /// Ids follow from the job and the positions alone, so that the same users are in the same
    /// naming job whoever does this job again, and a naming job that is still waiting is not queued
    /// twice. One that is done is not queued again either: its journeys have names by then.
    ///
    /// Returns how many naming jobs there are.
    async fn enqueue_naming(
        &self,
        job: &ExtractJob,
        lease: &Lease,
        position: usize,
        found: &[Found],
        to_name: &[u32],
        patience: &mut Patience<'_>,
    ) -> Result<u64, Failure> {
        let mut queued = 0;
        let groups = found
            .chunks(USERS_PER_NAME_JOB)
            .zip(to_name.chunks(USERS_PER_NAME_JOB));
        for (number, (found, to_name)) in groups.enumerate() {
            let users: Vec<UserToName> = found
                .iter()
                .zip(to_name)
                .filter(|&(_, &journeys)| journeys > 0)
                .map(|(found, &journeys)| UserToName {
                    user: found.user.clone(),
                    journeys,
                })
                .collect();
            if users.is_empty() {
                continue;
            }
            let id = format!("{}/{}", lease.job, position / USERS_PER_NAME_JOB + number);
            let journeys = users.iter().map(|user| u64::from(user.journeys)).sum();
            let payload = encode(&NameJob {
                epoch: job.epoch,
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
                let (run, lane) = (&lease.run, lease.lane);
                self.names.enqueue(run, lane, partition as u32, &jobs)
            };
            match patience.with(enqueue).await? {
                Enqueued::Queued => queued += 1,
                Enqueued::Cancelled => {}
                Enqueued::Over => {
                    let error = "the run is over for the naming queue";
                    return Err(Failure::Transient(Code::Overtaken.before(error)));
                }
            }
        }
        Ok(queued)
    }
}

impl Work for ExtractionWorker {
    async fn perform(
        &self,
        lease: &Lease,
        stop: &CancellationToken,
        contact: Contact,
    ) -> Result<Counts, Failure> {
        let mut patience = Patience { stop, contact };
        let job: ExtractJob =
            decode(&lease.payload).map_err(|error| Failure::Permanent(error.with_code()))?;
        // Storage may take minutes to say that it is away.
        let (dataset, shard) = tokio::select! {
            read = self.read(&job) => read?,
            () = stop.cancelled() => return Err(Failure::Interrupted),
        };
        let mut tally = Tally::default();
        let histories = select(shard, &job.selection, &mut tally);

        let as_of = dataset.manifest().counts.last_timestamp;
        let catalogue = dataset.catalogue().clone();
        let (params, halt) = (job.params, stop.clone());
        let exploration = dataset.manifest().exploration;
        let extractor =
            move || Extractor::new(catalogue.clone(), params, as_of).with_exploration(exploration);
        let found = tokio::task::spawn_blocking(move || extract(histories, extractor, &halt))
            .await
            .map_err(|error| {
                Failure::Permanent(Code::Other.before(format!("the extraction panicked: {error}")))
            })?
            .ok_or(Failure::Interrupted)?;

        for (number, batch) in found.chunks(USERS_PER_WRITE).enumerate() {
            if stop.is_cancelled() {
                return Err(Failure::Interrupted);
            }
            let to_name = self
                .write(&job, lease, batch, &mut tally, &mut patience)
                .await?;
            // Before the job is settled: the run is not over while a naming job is pending, so
            // there must be no moment at which neither is.
            let position = number * USERS_PER_WRITE;
            tally.naming_queued += self
                .enqueue_naming(&job, lease, position, batch, &to_name, &mut patience)
                .await?;
        }
        Ok(tally.counts())
    }
}

/// All cores, one extractor each; the result is in the order of the histories, whatever the number
/// of threads. `None` when `stop` was set before the end.
fn extract(
    histories: Vec<History>,
    extractor: impl Fn() -> Extractor + Send + Sync,
    stop: &CancellationToken,
) -> Option<Vec<Found>> {
    histories
        .into_par_iter()
        .map_init(extractor, |extractor, history| {
            (!stop.is_cancelled()).then(|| Found {
                extraction: extractor.extract(&history),
                user: history.user,
            })
        })
        .collect()
}

/// The histories that a job is about. Users that were asked for and are not in the shard are
/// counted.
fn select(shard: Vec<History>, selection: &Selection, tally: &mut Tally) -> Vec<History> {
    let latest = |history: &History| {
        history
            .interactions
            .last()
            .map_or(i64::MIN, |i| i.timestamp)
    };
    let selected: Vec<History> = shard
        .into_iter()
        .filter(|h| selection.contains(&h.user, latest(h)))
        .collect();
    if let Selection::Users(users) = selection {
        tally.users_unknown += (users.len() - selected.len()) as u64;
    }
    selected
}

/// What a job adds to the counts of its run.
#[derive(Default)]
struct Tally {
    users: u64,
    users_with_journeys: u64,
    users_newer: u64,
    users_unknown: u64,
    journeys: u64,
    items: u64,
    items_in_small_journeys: u64,
    items_in_unsure_journeys: u64,
    items_without_terms: u64,
    items_beyond_history: u64,
    /// Naming jobs: a run that knows fewer in the naming queue has lost some.
    naming_queued: u64,
}

impl Tally {
    /// Counts a user.
    fn add(&mut self, extraction: &Extraction, journeys: &[Journey]) {
        self.users += 1;
        self.users_with_journeys += u64::from(!journeys.is_empty());
        self.journeys += journeys.len() as u64;
        self.items += extraction.items;
        self.items_in_small_journeys += extraction.items_in_small_journeys;
        self.items_in_unsure_journeys += extraction.items_in_unsure_journeys;
        self.items_without_terms += extraction.items_without_terms;
        self.items_beyond_history += extraction.items_beyond_history;
    }

    fn counts(&self) -> Counts {
        vec![
            ("users", self.users),
            ("users_with_journeys", self.users_with_journeys),
            ("users_newer", self.users_newer),
            ("users_unknown", self.users_unknown),
            ("journeys", self.journeys),
            ("items", self.items),
            ("items_in_small_journeys", self.items_in_small_journeys),
            ("items_in_unsure_journeys", self.items_in_unsure_journeys),
            ("items_without_terms", self.items_without_terms),
            ("items_beyond_history", self.items_beyond_history),
            ("naming_queued", self.naming_queued),
        ]
    }
}

/// Says which parameters made a result without repeating them for every user.
fn fingerprint(job: &ExtractJob) -> String {
    let text = serde_json::to_string(&job.params).unwrap_or_default();
    format!("{:08x}", xxh3_64(text.as_bytes()) as u32)
}

fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn dataset_failure(error: DatasetError) -> Failure {
    if error.is_transient() {
        Failure::Transient(error.with_code())
    } else {
        Failure::Permanent(error.with_code())
    }
}
