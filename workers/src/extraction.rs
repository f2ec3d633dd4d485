//! The extraction worker: a shard of users goes in, their journeys go to Redis.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use sojourn::connection::Redis;
use sojourn::dataset::{Dataset, DatasetError, ShardIndex};
use sojourn::history::History;
use sojourn::job::{ExtractJob, NameJob, Selection};
use sojourn::journey::{Extraction, Extractor, Journey, keep_identity};
use sojourn::queue::{Counts, Failure, Lease, NewJob, Queue, QueueError, Work, decode, encode};
use sojourn::store::{JourneyReader, JourneyWriter, Meta, StoreError, UserResult, Written};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

/// Users whose results are written in one round trip. A few hundred keep a connection busy; more
/// would only hold up what else goes over it.
const USERS_PER_WRITE: usize = 256;

/// Users in one naming job: enough for several calls, few enough that a killed worker costs little.
const USERS_PER_NAME_JOB: usize = 50;

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

/// A history with what was found in it.
struct Found {
    history: History,
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
            return Err(Failure::Permanent(format!(
                "{}: the dataset there is {id}, and the run is about {}; datasets are immutable, \
                 write a new one to a new place",
                job.dataset, job.dataset_id
            )));
        }
        let dataset = Arc::new(dataset);
        *opened = Some(dataset.clone());
        Ok(dataset)
    }

    /// Writes the results of some users; those of users that somebody wrote to in between are
    /// matched again with what stands there now. Returns the users with journeys to name.
    async fn write(
        &self,
        job: &ExtractJob,
        lease: &Lease,
        mut found: Vec<Found>,
        tally: &mut Tally,
    ) -> Result<Vec<String>, StoreError> {
        let ttl = job.ttl_seconds.map(Duration::from_secs);
        let parameters = fingerprint(job);
        let mut to_name = Vec::new();
        for _ in 0..MAX_CONFLICTS {
            let users: Vec<&str> = found.iter().map(|f| f.history.user.as_str()).collect();
            let stored = self.reader.journeys_of_many(&users).await?;
            let results: Vec<UserResult> = found
                .iter()
                .zip(stored)
                .map(|(found, stored)| {
                    let mut journeys = found.extraction.journeys.clone();
                    let (revision, previous) =
                        stored.map_or((0, Vec::new()), |s| (s.meta.revision, s.journeys));
                    keep_identity(&previous, &mut journeys);
                    let meta = Meta {
                        epoch: job.epoch,
                        attempt: lease.attempt(),
                        revision: revision + 1,
                        run: lease.run.clone(),
                        dataset: job.dataset_id.clone(),
                        parameters: parameters.clone(),
                        written_at: now(),
                    };
                    UserResult {
                        user: found.history.user.clone(),
                        meta,
                        journeys,
                    }
                })
                .collect();
            let written = self.writer.write(&results, ttl).await?;
            let mut changed = Vec::new();
            for ((found, result), written) in found.into_iter().zip(results).zip(written) {
                match written {
                    Written::Written => {
                        if tally.add(&found.extraction, &result.journeys) {
                            to_name.push(result.user);
                        }
                    }
                    Written::Stale => tally.users_newer += 1,
                    Written::Changed => changed.push(found),
                }
            }
            found = changed;
            if found.is_empty() {
                return Ok(to_name);
            }
        }
        Err(StoreError::Foreign {
            key: found
                .first()
                .map_or_else(String::new, |f| f.history.user.clone()),
            field: "_meta".into(),
            reason: format!("it changed {MAX_CONFLICTS} times while it was written"),
        })
    }

    /// Queues the naming of some users. Ids follow from the job and the users, so that doing the job
    /// again queues nothing that is still waiting, and nobody is taken for queued who is not.
    async fn enqueue_naming(&self, lease: &Lease, users: &[String]) -> Result<(), Failure> {
        for users in users.chunks(USERS_PER_NAME_JOB) {
            let id = format!(
                "{}/{:016x}",
                lease.job,
                xxh3_64(users.join("\n").as_bytes())
            );
            let payload = encode(&NameJob {
                users: users.to_vec(),
            })
            .map_err(|error| Failure::Permanent(error.to_string()))?;
            let partition = xxh3_64(id.as_bytes()) % u64::from(self.names.partitions());
            let job = NewJob { id, payload };
            self.names
                .enqueue(&lease.run, lease.lane, partition as u32, &[job])
                .await
                .map_err(queue_failure)?;
        }
        Ok(())
    }
}

impl Work for ExtractionWorker {
    async fn perform(&self, lease: &Lease, stop: &CancellationToken) -> Result<Counts, Failure> {
        let job: ExtractJob =
            decode(&lease.payload).map_err(|error| Failure::Permanent(error.to_string()))?;
        let dataset = self.dataset(&job).await?;
        let shard = dataset
            .read_shard(ShardIndex(job.shard))
            .await
            .map_err(dataset_failure)?;
        let mut tally = Tally::default();
        let histories = select(shard, &job.selection, &mut tally);

        let as_of = dataset.manifest().counts.last_timestamp;
        let catalogue = dataset.catalogue().clone();
        let params = job.params;
        let found = tokio::task::spawn_blocking(move || {
            extract(histories, || {
                Extractor::new(catalogue.clone(), params, as_of)
            })
        })
        .await
        .map_err(|error| Failure::Permanent(format!("the extraction panicked: {error}")))?;

        let mut to_name = Vec::new();
        let mut found = found.into_iter();
        loop {
            let batch: Vec<Found> = found.by_ref().take(USERS_PER_WRITE).collect();
            if batch.is_empty() {
                break;
            }
            if stop.is_cancelled() {
                return Err(Failure::Interrupted);
            }
            let written = self.write(&job, lease, batch, &mut tally).await;
            to_name.extend(written.map_err(|error| Failure::Transient(error.to_string()))?);
        }
        // Before the job is settled: the run is not over while a naming job is pending, so there
        // must be no moment at which neither is.
        self.enqueue_naming(lease, &to_name).await?;
        Ok(tally.counts())
    }
}

/// All cores, one extractor each; the result is in the order of the histories, whatever the number
/// of threads.
fn extract(histories: Vec<History>, extractor: impl Fn() -> Extractor + Send + Sync) -> Vec<Found> {
    histories
        .into_par_iter()
        .map_init(extractor, |extractor, history| {
            let extraction = extractor.extract(&history);
            Found {
                history,
                extraction,
            }
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
    journeys_to_name: u64,
    items: u64,
    items_in_small_journeys: u64,
    items_without_terms: u64,
    items_beyond_history: u64,
}

impl Tally {
    /// Counts a user; returns whether journeys want a name.
    fn add(&mut self, extraction: &Extraction, journeys: &[Journey]) -> bool {
        let to_name = journeys
            .iter()
            .filter(|j| j.name_source.wants_name())
            .count() as u64;
        self.users += 1;
        self.users_with_journeys += u64::from(!journeys.is_empty());
        self.journeys += journeys.len() as u64;
        self.journeys_to_name += to_name;
        self.items += extraction.items;
        self.items_in_small_journeys += extraction.items_in_small_journeys;
        self.items_without_terms += extraction.items_without_terms;
        self.items_beyond_history += extraction.items_beyond_history;
        to_name > 0
    }

    fn counts(&self) -> Counts {
        vec![
            ("users", self.users),
            ("users_with_journeys", self.users_with_journeys),
            ("users_newer", self.users_newer),
            ("users_unknown", self.users_unknown),
            ("journeys", self.journeys),
            ("journeys_to_name", self.journeys_to_name),
            ("items", self.items),
            ("items_in_small_journeys", self.items_in_small_journeys),
            ("items_without_terms", self.items_without_terms),
            ("items_beyond_history", self.items_beyond_history),
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
        Failure::Transient(error.to_string())
    } else {
        Failure::Permanent(error.to_string())
    }
}

fn queue_failure(error: QueueError) -> Failure {
    Failure::Transient(error.to_string())
}
