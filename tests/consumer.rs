//! A worker's loop on a real server, with work that does what the test tells it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sojourn::health::Contact;
use sojourn::queue::{
    Consumer, ConsumerOptions, Counts, Failure, Kind, Lane, Lease, NewJob, Outcome, Queue,
    RetryPolicy, Summary, Unusable, Work,
};
use sojourn::run::RunId;
use support::{PATIENCE, Server, wait_for_async};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PARTITIONS: u32 = 4;

fn run() -> RunId {
    RunId::parse("1763947200000-0").unwrap()
}

async fn queue(server: &Server) -> Queue {
    Queue::new(server.connect().await, Kind::Extract, PARTITIONS)
}

async fn enqueue(queue: &Queue, lane: Lane, partition: u32, id: &str) {
    let job = NewJob {
        id: id.into(),
        payload: id.into(),
        size: None,
    };
    queue
        .enqueue(&run(), lane, partition, &[job])
        .await
        .unwrap();
}

fn options(lease: Duration, drain: Duration) -> ConsumerOptions {
    ConsumerOptions {
        concurrency: 1,
        lease,
        drain,
        retry: RetryPolicy::of(Kind::Extract),
    }
}

const LEASE: Duration = Duration::from_secs(600);
const DRAIN: Duration = PATIENCE;

struct Worker {
    stop: CancellationToken,
    task: JoinHandle<Result<Summary, Unusable>>,
}

impl Worker {
    fn start(queue: &Queue, options: ConsumerOptions, work: impl Work) -> Worker {
        let stop = CancellationToken::new();
        let consumer = Consumer::new(queue.clone(), options);
        let task = tokio::spawn(consumer.run(Arc::new(work), stop.clone()));
        Worker { stop, task }
    }

    async fn stop(self) -> Summary {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("a worker that is asked to stop stops")
            .unwrap()
            .unwrap()
    }
}

/// Notes the jobs in the order in which they are begun.
#[derive(Clone, Default)]
struct Notes(Arc<std::sync::Mutex<Vec<String>>>);

impl Work for Notes {
    async fn perform(
        &self,
        lease: &Lease,
        _: &CancellationToken,
        _: Contact,
    ) -> Result<Counts, Failure> {
        self.0.lock().unwrap().push(lease.job.clone());
        Ok(vec![("users", 1)])
    }
}

async fn wait_until_done(queue: &Queue) {
    wait_for_async("the jobs", async || {
        (queue.standing(&run()).await.unwrap().pending == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_job_of_any_partition_goes_before_all_others() {
    let server = Server::start();
    let queue = queue(&server).await;
    for partition in 0..PARTITIONS {
        for number in 0..5 {
            enqueue(
                &queue,
                Lane::Low,
                partition,
                &format!("low-{partition}-{number}"),
            )
            .await;
        }
    }
    for partition in [2, 0] {
        enqueue(&queue, Lane::High, partition, &format!("high-{partition}")).await;
    }
    let notes = Notes::default();
    let worker = Worker::start(&queue, options(LEASE, DRAIN), notes.clone());
    wait_until_done(&queue).await;
    let summary = worker.stop().await;
    assert_eq!((summary.done, summary.lost), (22, 0));
    let order = notes.0.lock().unwrap();
    let urgent = order.iter().take_while(|job| job.starts_with("high"));
    assert_eq!(urgent.count(), 2, "{order:?}");
}

/// Works until it is told that it is enough, or to stop.
#[derive(Clone, Default)]
struct Patient {
    begun: Arc<Notify>,
    enough: Arc<Notify>,
    attempts: Arc<AtomicUsize>,
}

impl Work for Patient {
    async fn perform(
        &self,
        _: &Lease,
        stop: &CancellationToken,
        _: Contact,
    ) -> Result<Counts, Failure> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        self.begun.notify_one();
        tokio::select! {
            () = self.enough.notified() => Ok(vec![]),
            () = stop.cancelled() => Err(Failure::Interrupted),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_longer_than_its_lease_stays_with_its_worker() {
    let server = Server::start();
    let queue = queue(&server).await;
    enqueue(&queue, Lane::Low, 0, "long").await;
    let lease = Duration::from_secs(1);
    let patient = Patient::default();
    let worker = Worker::start(&queue, options(lease, DRAIN), patient.clone());
    patient.begun.notified().await;
    // Time has to pass for a lease to run out: several times as much.
    tokio::time::sleep(3 * lease).await;
    assert_eq!(
        queue.take("other", Lane::Low, 0, lease).await.unwrap(),
        None
    );
    patient.enough.notify_one();
    wait_until_done(&queue).await;
    assert_eq!(worker.stop().await.done, 1);
    assert_eq!(patient.attempts.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_stop_finishes_what_it_has_begun() {
    let server = Server::start();
    let queue = queue(&server).await;
    enqueue(&queue, Lane::Low, 0, "begun").await;
    enqueue(&queue, Lane::Low, 0, "not begun").await;
    let patient = Patient::default();
    let worker = Worker::start(&queue, options(LEASE, DRAIN), patient.clone());
    patient.begun.notified().await;
    worker.stop.cancel();
    patient.enough.notify_one();
    let summary = worker.stop().await;
    assert_eq!((summary.done, summary.released), (1, 0));
    assert_eq!(queue.standing(&run()).await.unwrap().pending, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_finished_in_time_is_handed_back_and_begins_anew_elsewhere() {
    let server = Server::start();
    let queue = queue(&server).await;
    enqueue(&queue, Lane::Low, 0, "long").await;
    let patient = Patient::default();
    let no_drain = options(LEASE, Duration::from_millis(1));
    let worker = Worker::start(&queue, no_drain, patient.clone());
    patient.begun.notified().await;
    let summary = worker.stop().await;
    assert_eq!((summary.done, summary.released), (0, 1));
    let again = queue.take("other", Lane::Low, 0, LEASE).await.unwrap();
    let again = again.expect("it waits for no lease");
    assert_eq!((again.failures, again.crashes, again.attempt()), (0, 0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_redis_is_gone_stops_nevertheless() {
    let mut server = Server::start();
    let queue = queue(&server).await;
    enqueue(&queue, Lane::Low, 0, "long").await;
    let patient = Patient::default();
    let no_drain = options(LEASE, Duration::from_millis(1));
    let worker = Worker::start(&queue, no_drain, patient.clone());
    patient.begun.notified().await;
    server.kill();
    // The lease time is ten times the patience of this test.
    let summary = worker.stop().await;
    assert_eq!((summary.done, summary.lost), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_given_up() {
    let server = Server::start();
    let queue = queue(&server).await;
    enqueue(&queue, Lane::Low, 0, "poison").await;
    let none = Duration::ZERO;
    for victim in ["w1", "w2", "w3"] {
        let taken = queue.take(victim, Lane::Low, 0, none).await.unwrap();
        assert_eq!(taken.unwrap().job, "poison");
    }
    let notes = Notes::default();
    // A lease that is soon over, so that the job of the last victim is taken over, and not before
    // a busy machine has settled it.
    let worker = Worker::start(
        &queue,
        options(Duration::from_secs(1), DRAIN),
        notes.clone(),
    );
    wait_until_done(&queue).await;
    assert_eq!(worker.stop().await.dead, 1);
    assert_eq!(*notes.0.lock().unwrap(), Vec::<String>::new());
    assert_eq!(queue.standing(&run()).await.unwrap().count("dead"), 1);
}

/// Fails, and notes the failures and crashes that it was told of.
#[derive(Clone, Default)]
struct Fails(Arc<std::sync::Mutex<Vec<(u32, u32)>>>);

impl Work for Fails {
    async fn perform(
        &self,
        lease: &Lease,
        _: &CancellationToken,
        _: Contact,
    ) -> Result<Counts, Failure> {
        self.0.lock().unwrap().push((lease.failures, lease.crashes));
        Err(Failure::Transient("no disk".into()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_as_often_as_it_may_is_given_up_and_its_crashes_count_apart() {
    let server = Server::start();
    let queue = queue(&server).await;
    enqueue(&queue, Lane::Low, 0, "hard").await;
    let none = Duration::ZERO;
    for victim in ["w1", "w2"] {
        assert!(
            queue
                .take(victim, Lane::Low, 0, none)
                .await
                .unwrap()
                .is_some()
        );
    }
    let mut options = options(Duration::from_secs(1), DRAIN);
    options.retry = RetryPolicy {
        max_failures: 4,
        base: Duration::from_millis(1),
        ..options.retry
    };
    let fails = Fails::default();
    let worker = Worker::start(&queue, options, fails.clone());
    wait_until_done(&queue).await;
    let summary = worker.stop().await;
    assert_eq!((summary.retried, summary.dead), (3, 1));
    let attempts = fails.0.lock().unwrap().clone();
    assert_eq!(attempts, [(0, 2), (1, 2), (2, 2), (3, 2)]);
    let letter = queue.letters(0, None).await.unwrap().pop().unwrap();
    assert_eq!(letter.error, "SJ401: no disk (after 4 attempts)");
    assert_eq!((letter.failures, letter.crashes), (Some(4), Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_panics_is_tried_again_and_the_worker_goes_on() {
    struct Panics(AtomicUsize);
    impl Work for Panics {
        async fn perform(
            &self,
            _: &Lease,
            _: &CancellationToken,
            _: Contact,
        ) -> Result<Counts, Failure> {
            assert!(
                self.0.fetch_add(1, Ordering::SeqCst) > 0,
                "the first attempt panics"
            );
            Ok(vec![])
        }
    }
    let server = Server::start();
    let queue = queue(&server).await;
    enqueue(&queue, Lane::Low, 0, "a").await;
    let lease = Duration::from_secs(1);
    let worker = Worker::start(&queue, options(lease, DRAIN), Panics(AtomicUsize::new(0)));
    wait_until_done(&queue).await;
    worker.stop().await;
    let standing = queue.standing(&run()).await.unwrap();
    assert_eq!((standing.count("done"), standing.count("dead")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_jobs_that_arrive_in_both_lanes_at_once_the_urgent_one_is_done_and_the_other_waits() {
    let server = Server::start();
    let queue = queue(&server).await;
    // Makes the groups.
    for lane in Lane::ALL {
        assert_eq!(queue.take("w", lane, 0, LEASE).await.unwrap(), None);
        enqueue(&queue, lane, 0, &lane.to_string()).await;
    }
    let waited = queue.wait("w", 0, Duration::from_secs(1)).await.unwrap();
    let jobs: Vec<&str> = waited.iter().map(|lease| lease.job.as_str()).collect();
    assert_eq!(jobs, ["high", "low"]);
    let released = queue.settle("w", &waited[1], &Outcome::Release).await;
    assert!(released.unwrap());
    let again = queue.take("w", Lane::Low, 0, LEASE).await.unwrap();
    assert_eq!(again.unwrap().job, "low");
}
