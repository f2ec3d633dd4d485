//! Naming jobs whose endpoint is busy, step by step, on a real server.

use std::time::Duration;

use sojourn::connection::Redis;
use sojourn::job::{NameJob, UserToName};
use sojourn::naming::Namer;
use sojourn::queue::{
    Enqueued, Kind, Lane, Lease, NewJob, Outcome, Queue, RetryPolicy, Work, encode,
};
use sojourn::run::{Epoch, RunId};
use sojourn::store::{JourneyWriter, Meta, UserResult, Written};
use sojourn_workers::naming::NamingWorker;
use tokio_util::sync::CancellationToken;

use crate::llm::{Endpoint, Question, Turn, answers};
use crate::support::Server;
use crate::{namer, user};

/// A user with journeys to name, the job that asks for the names, and the worker that has it.
async fn naming_job(redis: &Redis, namer: Namer, terms: &[&str]) -> (Queue, NamingWorker) {
    let meta = Meta {
        epoch: Epoch(1),
        attempt: 1,
        revision: 1,
        run: run_id(),
        dataset: "0".into(),
        parameters: "0".into(),
        merge_threshold: None,
        exploration: None,
        written_at: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let result = UserResult {
        user: "ann",
        meta,
        journeys: user(terms).into(),
        replaces_foreign: false,
    };
    let written = JourneyWriter::new(redis).write(&[result], None).await;
    assert_eq!(written.unwrap(), [Written::Written]);
    let queue = Queue::new(redis.clone(), Kind::Name, 1);
    let users = vec![UserToName {
        user: "ann".into(),
        journeys: terms.len() as u32,
    }];
    let payload = encode(&NameJob {
        epoch: Epoch(1),
        users,
    });
    let job = NewJob {
        id: "0".into(),
        payload: payload.unwrap(),
        size: None,
    };
    let enqueued = queue.enqueue(&run_id(), Lane::Low, 0, &[job]).await;
    assert_eq!(enqueued.unwrap(), Enqueued::Queued);
    (queue, NamingWorker::new(redis, namer))
}

fn run_id() -> RunId {
    RunId::parse("1763947200000-1").unwrap()
}

async fn take(queue: &Queue) -> Option<Lease> {
    let lease = Duration::from_secs(600);
    queue.take("w", Lane::Low, 0, lease).await.unwrap()
}

/// Takes the job, works on it and decides what becomes of it, as a worker does.
async fn attempt(queue: &Queue, worker: &NamingWorker) -> (Lease, Outcome) {
    let lease = take(queue).await.unwrap();
    let result = worker
        .perform(&lease, &CancellationToken::new(), crate::support::contact())
        .await;
    let outcome = RetryPolicy::of(Kind::Name).outcome(result, lease.failures, 0.5);
    (lease, outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_as_long_as_the_endpoint_asks_and_is_not_dead_however_often() {
    /// More than a job may fail.
    const TIMES: usize = 8;
    let endpoint = Endpoint::start(|question: &Question| match question.number < TIMES {
        true => Turn::Fails(429, "retry-after: 120\r\n", "slow down".into()),
        false => answers(question),
    });
    let server = Server::start();
    let redis = server.connect().await;
    let (queue, mut worker) = naming_job(&redis, namer(&endpoint), &["Ukulele"]).await;
    for _ in 0..TIMES {
        let (lease, outcome) = attempt(&queue, &worker).await;
        assert_eq!(lease.failures, 0);
        let Outcome::Postpone { after, error } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(after >= Duration::from_secs(120), "{after:?}");
        assert!(error.contains("429"), "{error}");
        // The test does not wait for as long.
        let at_once = Outcome::Postpone {
            after: Duration::ZERO,
            error,
        };
        assert!(queue.settle("w", &lease, &at_once).await.unwrap());
        // A process that remembers would not ask before the time is over.
        worker = NamingWorker::new(&redis, namer(&endpoint));
    }
    let (_, outcome) = attempt(&queue, &worker).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_eq!(endpoint.questions().len(), TIMES + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_endpoint_is_no_model_is_dead_after_six_failures() {
    let endpoint =
        Endpoint::start(|_: &Question| Turn::Fails(200, "", "<html>a proxy</html>".into()));
    let server = Server::start();
    let redis = server.connect().await;
    let (queue, mut worker) = naming_job(&redis, namer(&endpoint), &["Ukulele"]).await;
    for failures in 0..5 {
        let (lease, outcome) = attempt(&queue, &worker).await;
        assert_eq!(lease.failures, failures);
        let Outcome::Retry { error, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(error.contains("a proxy"), "{error}");
        // The test does not wait for as long.
        let at_once = Outcome::Retry {
            after: Duration::ZERO,
            error,
        };
        assert!(queue.settle("w", &lease, &at_once).await.unwrap());
        worker = NamingWorker::new(&redis, namer(&endpoint));
    }
    let (_, outcome) = attempt(&queue, &worker).await;
    assert!(matches!(outcome, Outcome::Dead { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_put_off_is_not_taken_before_its_time() {
    let endpoint =
        Endpoint::start(|_: &Question| Turn::Fails(503, "retry-after: 3600\r\n", "loading".into()));
    let server = Server::start();
    let redis = server.connect().await;
    let (queue, worker) = naming_job(&redis, namer(&endpoint), &["Ukulele"]).await;
    let (lease, outcome) = attempt(&queue, &worker).await;
    assert!(queue.settle("w", &lease, &outcome).await.unwrap());
    assert_eq!(take(&queue).await, None);
    let standing = queue.standing(&run_id()).await.unwrap();
    assert_eq!((standing.pending, standing.count("dead")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_by_source_are_as_many_as_were_named_also_where_a_job_was_put_off() {
    // Of different lengths, since their journeys are told apart by that.
    let terms = [
        "Rust",
        "Chess",
        "Baking",
        "Ukulele",
        "Knitting",
        "Astronomy",
        "Gymnastics",
        "Watercolour",
        "Orienteering",
        "Skateboarding",
    ];
    // The first call names some of them.
    let endpoint = Endpoint::start(|question: &Question| match question.number {
        1 => Turn::Fails(429, "retry-after: 120\r\n", "slow down".into()),
        _ => answers(question),
    });
    let server = Server::start();
    let redis = server.connect().await;
    let (queue, worker) = naming_job(&redis, namer(&endpoint), &terms).await;
    let (lease, outcome) = attempt(&queue, &worker).await;
    let Outcome::Partly(counts, end) = outcome else {
        panic!("{outcome:?}");
    };
    let Outcome::Postpone { error, .. } = *end else {
        panic!("{end:?}");
    };
    let at_once = Outcome::Postpone {
        after: Duration::ZERO,
        error,
    };
    let outcome = Outcome::Partly(counts, Box::new(at_once));
    assert!(queue.settle("w", &lease, &outcome).await.unwrap());
    let before = queue.standing(&run_id()).await.unwrap().count("names_llm");
    assert!(0 < before && before < terms.len() as u64, "{before}");
    let worker = NamingWorker::new(&redis, namer(&endpoint));
    let (lease, outcome) = attempt(&queue, &worker).await;
    assert!(queue.settle("w", &lease, &outcome).await.unwrap());
    let standing = queue.standing(&run_id()).await.unwrap();
    let sources = ["names_llm", "names_cached", "names_kept", "names_fallback"];
    let sum: u64 = sources.iter().map(|name| standing.count(name)).sum();
    assert_eq!((standing.count("named"), sum), (10, 10));
}
