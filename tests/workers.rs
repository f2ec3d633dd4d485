//! Extraction and naming in this process, step by step, so that a worker can die between any two.

mod support;

use std::time::Duration;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::dataset::Dataset;
use sojourn::job::{ExtractJob, Selection};
use sojourn::journey::{JourneyParams, NameSource};
use sojourn::naming::Namer;
use sojourn::queue::{
    Counts, Enqueued, Failure, Kind, Lane, Lease, NewJob, Outcome, Queue, Standing, Work, encode,
};
use sojourn::run::{Epoch, RunId};
use sojourn::store::JourneyReader;
use sojourn_workers::extraction::ExtractionWorker;
use sojourn_workers::naming::NamingWorker;
use support::{Server, small_dataset};
use tokio_util::sync::CancellationToken;

/// Users of the dataset, with two journeys each: more than fit one naming job.
const USERS: u64 = 60;
const JOURNEYS: u64 = 2 * USERS;
const NAMING_JOBS: usize = 2;

const LEASE: Duration = Duration::from_secs(600);

/// A lease that is over at once: its worker is dead.
const NO_LEASE: Duration = Duration::ZERO;

/// One shard, one partition of each queue, and the two workers.
struct Line {
    redis: Redis,
    extract: Queue,
    name: Queue,
    extraction: ExtractionWorker,
    naming: NamingWorker,
    job: ExtractJob,
    // The last two go away with the line.
    _server: Server,
    _folder: tempfile::TempDir,
}

impl Line {
    async fn start() -> Line {
        let server = Server::start();
        let folder = tempfile::tempdir().unwrap();
        let users = USERS as usize;
        let dataset = small_dataset(folder.path(), users, users)
            .display()
            .to_string();
        let manifest = Dataset::open(&dataset, folder.path()).await.unwrap();
        let redis = server.connect().await;
        let name = Queue::new(redis.clone(), Kind::Name, 1);
        Line {
            extract: Queue::new(redis.clone(), Kind::Extract, 1),
            extraction: ExtractionWorker::new(&redis, name.clone(), folder.path().into()),
            naming: NamingWorker::new(&redis, Namer::Terms),
            name,
            job: ExtractJob {
                epoch: Epoch(1),
                dataset_id: manifest.manifest().id.clone(),
                dataset,
                shard: 0,
                selection: Selection::All,
                params: JourneyParams::default(),
                ttl_seconds: None,
            },
            redis,
            _server: server,
            _folder: folder,
        }
    }

    /// Queues the extraction of everybody by a run, and takes it.
    async fn begin(&self, epoch: u64) -> Lease {
        let job = ExtractJob {
            epoch: Epoch(epoch),
            ..self.job.clone()
        };
        let jobs = [NewJob {
            id: "00000".into(),
            payload: encode(&job).unwrap(),
            size: None,
        }];
        let queued = self.extract.enqueue(&run(epoch), Lane::Low, 0, &jobs).await;
        assert_eq!(queued.unwrap(), Enqueued::Queued);
        take(&self.extract, "w1", LEASE).await.unwrap()
    }

    /// Extracts everybody for a run, to its end.
    async fn extract_all(&self, epoch: u64) {
        let lease = self.begin(epoch).await;
        let counts = perform(&self.extraction, &lease).await;
        settle(&self.extract, "w1", &lease, counts).await;
    }

    /// What the journeys' names are made of.
    async fn sources(&self) -> Vec<NameSource> {
        let users: Vec<String> = (0..USERS).map(|user| format!("u{user}")).collect();
        let reader = JourneyReader::new(&self.redis);
        let stored = reader.journeys_of_many(&users).await.unwrap();
        let journeys = stored
            .into_iter()
            .flat_map(|user| user.unwrap().unwrap().journeys);
        let sources: Vec<NameSource> = journeys.map(|journey| journey.name_source).collect();
        assert_eq!(sources.len() as u64, JOURNEYS);
        sources
    }
}

fn run(epoch: u64) -> RunId {
    RunId::parse(&format!("1763947200000-{epoch}")).unwrap()
}

async fn take(queue: &Queue, worker: &str, lease: Duration) -> Option<Lease> {
    queue.take(worker, Lane::Low, 0, lease).await.unwrap()
}

async fn perform(work: &impl Work, lease: &Lease) -> Counts {
    let never = CancellationToken::new();
    work.perform(lease, &never, support::contact())
        .await
        .unwrap()
}

async fn settle(queue: &Queue, worker: &str, lease: &Lease, counts: Counts) {
    let done = Outcome::Done(counts);
    assert!(queue.settle(worker, lease, &done).await.unwrap());
}

/// Does every naming job that is queued.
async fn name_all(line: &Line) -> usize {
    let mut jobs = 0;
    while let Some(lease) = take(&line.name, "n", LEASE).await {
        let counts = perform(&line.naming, &lease).await;
        settle(&line.name, "n", &lease, counts).await;
        jobs += 1;
    }
    jobs
}

/// Asserts what a run has counted when everything is done.
async fn assert_counted(line: &Line, epoch: u64, counts: &[(&str, u64)]) {
    let extract = line.extract.standing(&run(epoch)).await.unwrap();
    let name = line.name.standing(&run(epoch)).await.unwrap();
    assert_eq!((extract.pending, name.pending), (0, 0));
    let count = |of: &Standing, count: &str| of.count(count);
    for &(counted, expected) in counts {
        let found = count(&extract, counted) + count(&name, counted);
        assert_eq!(found, expected, "{counted}: {extract:?} {name:?}");
    }
}

const EVERYTHING_ONCE: [(&str, u64); 5] = [
    ("users", USERS),
    ("journeys", JOURNEYS),
    ("journeys_to_name", JOURNEYS),
    ("named", JOURNEYS),
    ("names_outdated", 0),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_extraction_that_is_done_again_when_its_names_are_written_counts_nothing_twice() {
    let line = Line::start().await;
    let lost = line.begin(1).await;
    // The worker dies before it settles.
    perform(&line.extraction, &lost).await;
    assert_eq!(name_all(&line).await, NAMING_JOBS);

    let again = take(&line.extract, "w2", NO_LEASE).await.unwrap();
    let counts = perform(&line.extraction, &again).await;
    settle(&line.extract, "w2", &again, counts).await;
    assert_eq!(name_all(&line).await, 0, "everything has a name");
    assert_counted(&line, 1, &EVERYTHING_ONCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extraction_that_is_done_again_while_its_names_wait_queues_none_twice() {
    let line = Line::start().await;
    let lost = line.begin(1).await;
    perform(&line.extraction, &lost).await;
    let naming = take(&line.name, "n", LEASE).await.unwrap();
    let named = perform(&line.naming, &naming).await;

    let again = take(&line.extract, "w2", NO_LEASE).await.unwrap();
    let counts = perform(&line.extraction, &again).await;
    settle(&line.extract, "w2", &again, counts).await;
    settle(&line.name, "n", &naming, named).await;
    assert_eq!(name_all(&line).await, NAMING_JOBS - 1);
    assert_counted(&line, 1, &EVERYTHING_ONCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_a_dead_worker_has_written_are_counted_once() {
    let line = Line::start().await;
    line.extract_all(1).await;

    let lost = take(&line.name, "n1", LEASE).await.unwrap();
    perform(&line.naming, &lost).await;
    let again = take(&line.name, "n2", NO_LEASE).await.unwrap();
    assert_eq!(again.job, lost.job);
    let counts = perform(&line.naming, &again).await;
    settle(&line.name, "n2", &again, counts).await;
    assert_eq!(name_all(&line).await, NAMING_JOBS - 1);
    assert_counted(&line, 1, &EVERYTHING_ONCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_made_of_terms_are_offered_again_in_the_next_run() {
    let line = Line::start().await;
    for epoch in [1, 2] {
        line.extract_all(epoch).await;
        let waiting = if epoch == 1 {
            NameSource::Provisional
        } else {
            NameSource::Stale
        };
        assert!(line.sources().await.iter().all(|&source| source == waiting));
        name_all(&line).await;
        assert_counted(&line, epoch, &EVERYTHING_ONCE).await;
        let terms = NameSource::Terms;
        assert!(line.sources().await.iter().all(|&source| source == terms));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_belong_to_the_newest_run_whoever_writes_them() {
    let line = Line::start().await;
    for epoch in [1, 2] {
        line.extract_all(epoch).await;
    }
    // The jobs of the first run come first, and find the results of the second.
    assert_eq!(name_all(&line).await, 2 * NAMING_JOBS);
    assert_counted(&line, 1, &[("named", 0), ("names_outdated", JOURNEYS)]).await;
    assert_counted(&line, 2, &EVERYTHING_ONCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_redis_has_lost_is_caught_up_with_and_everything_is_counted() {
    let line = Line::start().await;
    line.begin(1).await;
    take(&line.extract, "w2", NO_LEASE).await.unwrap();
    let third = take(&line.extract, "w3", NO_LEASE).await.unwrap();
    assert_eq!(third.attempt(), 3);
    perform(&line.extraction, &third).await;
    // The queues are those of before the first attempt again, and the results are not.
    let mut connection = line.redis.commands();
    for kind in [Kind::Extract, Kind::Name] {
        let keys = line.redis.keys().partition(kind, 0);
        let forgotten = [
            keys.lane(Lane::Low),
            keys.run(&run(1)),
            keys.pending(&run(1)),
            keys.queued(&run(1)),
        ];
        let () = connection.del(&forgotten).await.unwrap();
    }
    let mut lease = line.begin(1).await;
    let never = CancellationToken::new();
    for attempt in [1, 2] {
        assert_eq!(lease.attempt(), attempt);
        let overtaken = line
            .extraction
            .perform(&lease, &never, support::contact())
            .await;
        let Err(Failure::Busy { error, .. }) = overtaken else {
            panic!("{overtaken:?}");
        };
        assert!(error.contains("later attempt"), "{error}");
        let again = Outcome::Retry {
            after: Duration::ZERO,
            error: "overtaken".into(),
        };
        assert!(line.extract.settle("w1", &lease, &again).await.unwrap());
        lease = take(&line.extract, "w1", LEASE).await.unwrap();
    }
    let counts = perform(&line.extraction, &lease).await;
    settle(&line.extract, "w1", &lease, counts).await;
    assert_eq!(name_all(&line).await, NAMING_JOBS);
    assert_counted(&line, 1, &EVERYTHING_ONCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_wait_for_results_that_redis_has_lost() {
    let line = Line::start().await;
    line.extract_all(1).await;
    let keys = line.redis.keys();
    let lost = [keys.names("u7"), keys.journeys("u7")];
    let () = line.redis.commands().del(&lost).await.unwrap();
    let never = CancellationToken::new();
    let mut waited = 0;
    for _ in 0..NAMING_JOBS {
        let lease = take(&line.name, "w", LEASE).await.unwrap();
        let named = line
            .naming
            .perform(&lease, &never, support::contact())
            .await;
        let outcome = match named {
            Ok(counts) => Outcome::Done(counts),
            Err(Failure::Transient(error)) => {
                assert!(error.contains("SJ409") && error.contains("u7"), "{error}");
                waited += 1;
                Outcome::Retry {
                    after: Duration::ZERO,
                    error,
                }
            }
            Err(other) => panic!("{other:?}"),
        };
        assert!(line.name.settle("w", &lease, &outcome).await.unwrap());
    }
    assert_eq!(waited, 1);
    // A Redis that went back in time has the extraction done again.
    let keys = keys.partition(Kind::Extract, 0);
    let forgotten = [keys.run(&run(1)), keys.queued(&run(1))];
    let () = line.redis.commands().del(&forgotten).await.unwrap();
    line.extract_all(1).await;
    assert_eq!(name_all(&line).await, 1);
    assert_counted(&line, 1, &[("named", JOURNEYS), ("names_outdated", 0)]).await;
}
