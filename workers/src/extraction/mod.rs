//! The extraction worker: a shard of users goes in, their journeys go to Redis.
//!
//! While one batch of users is clustered, on all cores, others are on their way to Redis, and the next
//! job's shard is read. What is found waits in a short queue: where Redis is slower than the clustering,
//! the clustering waits. So a job has its shard in memory, and the results of some seven hundred users: a
//! batch for each thread, `BATCHES_AHEAD` that wait and `DELIVERIES` that are under way.

mod delivery;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use rayon::prelude::*;
use sojourn::code::{Code, Coded};
use sojourn::connection::Redis;
use sojourn::dataset::{Dataset, DatasetError, ShardIndex};
use sojourn::health::Contact;
use sojourn::history::History;
use sojourn::job::{ExtractJob, Selection, USERS_PER_NAME_JOB};
use sojourn::journey::{Extraction, Extractor};
use sojourn::queue::{Counts, Failure, Lease, Queue, Work, decode};
use sojourn::store::{JourneyReader, JourneyWriter};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use delivery::Delivery;
use tally::Tally;

/// Users that are clustered one after the other and then written together: they share a naming job.
pub(crate) const USERS_PER_BATCH: usize = USERS_PER_NAME_JOB;

/// Batches of a job that are on their way to Redis at once. Each takes three round trips; with this
/// many, a Redis that is 10 ms away takes more than two cores cluster.
pub(crate) const DELIVERIES: usize = 8;

/// Batches that wait for that.
const BATCHES_AHEAD: usize = 4;

/// Finds the journeys of a shard's users.
pub struct ExtractionWorker {
    reader: JourneyReader,
    writer: JourneyWriter,
    names: Queue,
    cache: PathBuf,
    /// The dataset that the last job was about; a backfill has one.
    dataset: Mutex<Option<Arc<Dataset>>>,
}

/// What was found in the histories of some users.
struct Batch {
    /// Place among the batches of the job.
    number: usize,
    found: Vec<Found>,
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
}

impl Work for ExtractionWorker {
    async fn perform(
        &self,
        lease: &Lease,
        stop: &CancellationToken,
        contact: Contact,
    ) -> Result<Counts, Failure> {
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
        let params = job.params;
        let exploration = dataset.manifest().exploration;
        let extractor =
            move || Extractor::new(catalogue.clone(), params, as_of).with_exploration(exploration);
        let all_batches = histories.len().div_ceil(USERS_PER_BATCH);
        let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
        let extraction =
            tokio::task::spawn_blocking(move || extract(histories, extractor, &sender));

        let delivery = Delivery {
            reader: &self.reader,
            writer: &self.writer,
            names: &self.names,
            catalogue: dataset.catalogue(),
            job: &job,
            lease,
            stop,
            contact: &contact,
            parameters: fingerprint(&job),
        };
        // An error or the end of the patience drops the receiver, and with it ends the extraction.
        let (delivered, tally) =
            futures::stream::poll_fn(move |context| batches.poll_recv(context))
                .take_until(stop.cancelled())
                .map(|batch| delivery.deliver(batch))
                .buffer_unordered(DELIVERIES)
                .try_fold((0, tally), async |(delivered, sum), tally| {
                    Ok((delivered + 1, sum.plus(tally)))
                })
                .await?;
        extraction.await.map_err(|error| {
            Failure::Permanent(Code::Other.before(format!("the extraction panicked: {error}")))
        })?;
        if delivered < all_batches {
            return Err(Failure::Interrupted);
        }
        Ok(tally.counts())
    }
}

/// Clusters histories on all cores, one extractor each. Batches are sent as they are done, in any
/// order; what is in each does not hang on the number of threads. Stops when nobody takes them.
fn extract(
    histories: Vec<History>,
    extractor: impl Fn() -> Extractor + Send + Sync,
    batches: &mpsc::Sender<Batch>,
) {
    let work = |extractor: &mut Extractor, (number, histories): (usize, Vec<History>)| {
        let found = histories.into_iter().map(|history| {
            (!batches.is_closed()).then(|| Found {
                extraction: extractor.extract(&history),
                user: history.user,
            })
        });
        let batch = Batch {
            number,
            found: found.collect::<Option<_>>()?,
        };
        batches.blocking_send(batch).ok()
    };
    // An end before the last one is what the receiver wanted.
    let _ = histories
        .into_par_iter()
        .chunks(USERS_PER_BATCH)
        .enumerate()
        .try_for_each_init(extractor, work);
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

/// Says which parameters made a result without repeating them for every user.
fn fingerprint(job: &ExtractJob) -> String {
    let text = serde_json::to_string(&job.params).unwrap_or_default();
    format!("{:08x}", xxh3_64(text.as_bytes()) as u32)
}

fn dataset_failure(error: DatasetError) -> Failure {
    if error.is_transient() {
        Failure::Transient(error.with_code())
    } else {
        Failure::Permanent(error.with_code())
    }
}
