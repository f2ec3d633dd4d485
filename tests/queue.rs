//! The queue on a real server.

mod support;

use std::time::Duration;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::queue::{Enqueued, Kind, Lane, Lease, NewJob, Outcome, Queue, Renewal};
use sojourn::run::RunId;
use support::Server;

const LEASE: Duration = Duration::from_secs(600);

/// A lease that is over at once, for taking jobs over.
const NO_LEASE: Duration = Duration::ZERO;

fn run() -> RunId {
    RunId::parse("1763947200000-0").unwrap()
}

fn jobs(ids: &[&str]) -> Vec<NewJob> {
    ids.iter()
        .map(|&id| NewJob {
            id: id.into(),
            payload: id.as_bytes().into(),
            size: Some(("letters", id.len() as u64)),
        })
        .collect()
}

async fn queue(server: &Server) -> (Redis, Queue) {
    let redis = server.connect().await;
    let queue = Queue::new(redis.clone(), Kind::Extract, 1);
    (redis, queue)
}

async fn enqueue(queue: &Queue, run: &RunId, lane: Lane, ids: &[&str]) {
    let enqueued = queue.enqueue(run, lane, 0, &jobs(ids)).await.unwrap();
    assert_eq!(enqueued, Enqueued::Queued);
}

async fn take(queue: &Queue, worker: &str, lease: Duration) -> Option<Lease> {
    take_from(queue, Lane::Low, worker, lease).await
}

async fn take_from(queue: &Queue, lane: Lane, worker: &str, lease: Duration) -> Option<Lease> {
    queue.take(worker, lane, 0, lease).await.unwrap()
}

#[tokio::test]
async fn a_job_is_handed_out_once_and_counted_once() {
    let server = Server::start();
    let (_redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let lease = take(&queue, "w1", LEASE).await.unwrap();
    assert_eq!((lease.job.as_str(), lease.attempt()), ("a", 1));
    assert_eq!(take(&queue, "w2", LEASE).await, None);

    let done = Outcome::Done(vec![("users", 7)]);
    assert!(queue.settle("w1", &lease, &done).await.unwrap());
    assert!(
        !queue.settle("w1", &lease, &done).await.unwrap(),
        "the second time changes nothing"
    );
    let standing = queue.standing(&run()).await.unwrap();
    assert_eq!(
        (
            standing.pending,
            standing.count("done"),
            standing.count("users")
        ),
        (0, 1, 7)
    );
    assert_eq!(
        queue.depth(Lane::Low, 0).await.unwrap(),
        0,
        "a finished job leaves the stream"
    );
}

#[tokio::test]
async fn what_was_done_of_a_job_before_it_failed_is_counted_once() {
    let server = Server::start();
    let (_redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let partly = |end| Outcome::Partly(vec![("users", 3)], Box::new(end));
    let retry = Outcome::Retry {
        after: Duration::ZERO,
        error: "no disk".into(),
    };
    let dead = Outcome::Dead {
        error: "no disk".into(),
    };
    for (number, end) in [retry, Outcome::Release, dead].into_iter().enumerate() {
        let lease = take(&queue, "w", LEASE).await.unwrap();
        let outcome = partly(end);
        assert!(queue.settle("w", &lease, &outcome).await.unwrap());
        assert!(!queue.settle("w", &lease, &outcome).await.unwrap());
        let standing = queue.standing(&run()).await.unwrap();
        assert_eq!(standing.count("users"), 3 * (number as u64 + 1));
    }
    let standing = queue.standing(&run()).await.unwrap();
    let counts = (standing.count("retried"), standing.count("dead"));
    assert_eq!((standing.pending, counts), (0, (1, 1)));
}

#[tokio::test]
async fn a_job_that_was_done_under_another_entry_is_not_tried_again() {
    let server = Server::start();
    let (redis, queue) = queue(&server).await;
    let retry = Outcome::Retry {
        after: Duration::ZERO,
        error: "overtaken".into(),
    };
    for (number, outcome) in [retry, Outcome::Release].into_iter().enumerate() {
        let run = RunId::parse(&format!("1763947200000-{number}")).unwrap();
        enqueue(&queue, &run, Lane::Low, &["a"]).await;
        let lease = take(&queue, "w", LEASE).await.unwrap();
        let pending = redis.keys().partition(Kind::Extract, 0).pending(&run);
        let () = redis.commands().srem(pending, "a").await.unwrap();
        assert!(queue.settle("w", &lease, &outcome).await.unwrap());
        assert_eq!(take(&queue, "w", LEASE).await, None, "{outcome:?}");
        assert_eq!(queue.standing(&run).await.unwrap().count("retried"), 0);
    }
}

#[tokio::test]
async fn a_job_of_a_silent_worker_goes_to_another_and_the_first_can_do_no_more() {
    let server = Server::start();
    let (_redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let first = take(&queue, "w1", LEASE).await.unwrap();
    let second = take(&queue, "w2", NO_LEASE).await.unwrap();
    assert_eq!((second.attempt(), second.crashes), (2, 1));

    assert_eq!(queue.renew("w1", &first).await.unwrap(), Renewal::Lost);
    assert!(
        !queue
            .settle("w1", &first, &Outcome::Done(vec![("users", 1)]))
            .await
            .unwrap()
    );
    assert!(!queue.settle("w1", &first, &Outcome::Release).await.unwrap());
    assert_eq!(queue.renew("w2", &second).await.unwrap(), Renewal::Held);
    assert!(
        queue
            .settle("w2", &second, &Outcome::Done(vec![("users", 1)]))
            .await
            .unwrap()
    );
    assert_eq!(queue.standing(&run()).await.unwrap().count("users"), 1);
}

#[tokio::test]
async fn a_worker_that_took_its_own_job_over_has_a_new_lease() {
    let server = Server::start();
    let (_redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let first = take(&queue, "w", LEASE).await.unwrap();
    let second = take(&queue, "w", NO_LEASE).await.unwrap();
    assert_eq!(queue.renew("w", &first).await.unwrap(), Renewal::Lost);
    assert_eq!(queue.renew("w", &second).await.unwrap(), Renewal::Held);
}

#[tokio::test]
async fn a_renewed_lease_is_not_taken_over() {
    let server = Server::start();
    let (redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let lease = take(&queue, "w1", LEASE).await.unwrap();
    // The server counts the silence; it has to begin for the renewal to be seen.
    let lane = redis.keys().partition(Kind::Extract, 0).lane(Lane::Low);
    support::wait_for_async("a silence", async || {
        let silent = silence(&redis, &lane).await;
        (silent >= Duration::from_millis(20)).then_some(())
    })
    .await;
    let before = silence(&redis, &lane).await;
    assert_eq!(queue.renew("w1", &lease).await.unwrap(), Renewal::Held);
    assert!(silence(&redis, &lane).await < before, "it begins again");
    assert_eq!(take(&queue, "w2", LEASE).await, None);
    assert_eq!(lease.attempt(), 1, "a renewal is no delivery");
}

/// How long the holder of the only leased job has been silent.
async fn silence(redis: &Redis, lane: &str) -> Duration {
    let pending: Vec<(String, String, u64, u64)> = redis::cmd("XPENDING")
        .arg(&[lane, "workers", "-", "+", "1"])
        .query_async(&mut redis.commands())
        .await
        .unwrap();
    Duration::from_millis(pending[0].2)
}

#[tokio::test]
async fn a_failed_job_waits_and_comes_back_with_its_failures_counted() {
    let server = Server::start();
    let (redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::High, &["a"]).await;
    let lease = take_from(&queue, Lane::High, "w", LEASE).await.unwrap();
    let later = Outcome::Retry {
        after: Duration::from_secs(600),
        error: "busy".into(),
    };
    assert!(queue.settle("w", &lease, &later).await.unwrap());
    let again = take_from(&queue, Lane::High, "w", NO_LEASE).await;
    assert_eq!(again, None, "it is not due");
    assert_eq!(
        queue.standing(&run()).await.unwrap().pending,
        1,
        "the run waits for it"
    );

    // Time passes.
    let key = redis.keys().partition(Kind::Extract, 0).retry(Lane::High);
    let members: Vec<Vec<u8>> = redis.commands().zrange(&key, 0, -1).await.unwrap();
    let () = redis.commands().zadd(&key, &members[0], 0).await.unwrap();
    let again = take_from(&queue, Lane::High, "w", LEASE).await.unwrap();
    assert_eq!(
        (again.job.as_str(), again.failures, again.attempt()),
        ("a", 1, 2)
    );
    assert_eq!(
        (again.lane, again.payload.as_slice()),
        (Lane::High, &b"a"[..])
    );
}

#[tokio::test]
async fn a_job_that_is_given_up_is_kept_with_the_reason_and_ends_its_run() {
    let server = Server::start();
    let (redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let lease = take(&queue, "w", LEASE).await.unwrap();
    let dead = Outcome::Dead {
        error: "no such shard".into(),
    };
    assert!(queue.settle("w", &lease, &dead).await.unwrap());
    let standing = queue.standing(&run()).await.unwrap();
    assert_eq!(
        (
            standing.pending,
            standing.count("dead"),
            standing.count("done")
        ),
        (0, 1, 0)
    );
    let key = redis.keys().partition(Kind::Extract, 0).dead();
    let letters: redis::streams::StreamRangeReply =
        redis.commands().xrange_all(&key).await.unwrap();
    let field = |name: &str| letters.ids[0].get::<String>(name).unwrap();
    assert_eq!(
        (field("error"), field("job"), field("worker")),
        ("no such shard".into(), "a".into(), "w".into())
    );
}

#[tokio::test]
async fn a_job_that_is_handed_back_is_there_for_the_next_without_a_failure() {
    let server = Server::start();
    let (_redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let lease = take(&queue, "w1", LEASE).await.unwrap();
    assert!(queue.settle("w1", &lease, &Outcome::Release).await.unwrap());
    let again = take(&queue, "w2", LEASE).await.unwrap();
    assert_eq!((again.failures, again.crashes, again.attempt()), (0, 0, 2));
}

#[tokio::test]
async fn planning_twice_queues_once_even_when_jobs_are_done_already() {
    let server = Server::start();
    let (_redis, queue) = queue(&server).await;
    let plan = jobs(&["a", "b", "c"]);
    let planned = queue
        .enqueue_planned(&run(), Lane::Low, 0, 0, &plan[..2])
        .await
        .unwrap();
    assert_eq!(planned, Some(2));
    let lease = take(&queue, "w", LEASE).await.unwrap();
    queue
        .settle("w", &lease, &Outcome::Done(vec![]))
        .await
        .unwrap();

    // A scheduler that was restarted begins at 0, and is told to go on at 2.
    assert_eq!(
        queue
            .enqueue_planned(&run(), Lane::Low, 0, 0, &plan[..2])
            .await
            .unwrap(),
        Some(2)
    );
    assert_eq!(queue.depth(Lane::Low, 0).await.unwrap(), 1);
    assert_eq!(
        queue
            .enqueue_planned(&run(), Lane::Low, 0, 2, &plan[2..])
            .await
            .unwrap(),
        Some(3)
    );
    let standing = queue.standing(&run()).await.unwrap();
    assert_eq!((standing.count("jobs"), standing.count("letters")), (3, 3));
}

#[tokio::test]
async fn a_cancelled_run_leaves_the_queue_and_its_workers_notice() {
    let server = Server::start();
    let (_redis, queue) = queue(&server).await;
    let other = RunId::parse("1763947200001-0").unwrap();
    enqueue(&queue, &run(), Lane::Low, &["a", "b"]).await;
    enqueue(&queue, &other, Lane::Low, &["c"]).await;
    let lease = take(&queue, "w", LEASE).await.unwrap();
    assert_eq!(queue.cancel(&run()).await.unwrap(), 2);

    assert_ne!(queue.renew("w", &lease).await.unwrap(), Renewal::Held);
    assert!(
        !queue
            .settle("w", &lease, &Outcome::Done(vec![("users", 5)]))
            .await
            .unwrap()
    );
    assert_eq!(queue.standing(&run()).await.unwrap().count("users"), 0);
    let late = queue.enqueue(&run(), Lane::Low, 0, &jobs(&["d"])).await;
    assert_eq!(late.unwrap(), Enqueued::Cancelled);
    assert_eq!(
        take(&queue, "w", NO_LEASE).await.unwrap().job,
        "c",
        "other runs go on"
    );
}

#[tokio::test]
async fn an_entry_that_is_no_job_goes_to_the_dead_letters() {
    let server = Server::start();
    let (redis, queue) = queue(&server).await;
    let keys = redis.keys().partition(Kind::Extract, 0);
    let _: String = redis
        .commands()
        .xadd(keys.lane(Lane::Low), "*", &[("hello", "world")])
        .await
        .unwrap();
    assert_eq!(take(&queue, "w", LEASE).await, None);
    let dead: u64 = redis.commands().xlen(keys.dead()).await.unwrap();
    let left: u64 = redis.commands().xlen(keys.lane(Lane::Low)).await.unwrap();
    assert_eq!((dead, left), (1, 0));
}

#[tokio::test]
async fn a_run_does_not_wait_for_a_job_that_no_build_of_this_version_can_do() {
    let server = Server::start();
    let (redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let keys = redis.keys().partition(Kind::Extract, 0);
    // As a build would write it that counts otherwise.
    let mut connection = redis.commands();
    let () = connection.del(keys.lane(Lane::Low)).await.unwrap();
    let run_id = run();
    let fields = [("job", "a"), ("run", run_id.as_str()), ("tries", "1")];
    let _: String = connection
        .xadd(keys.lane(Lane::Low), "*", &fields)
        .await
        .unwrap();
    assert_eq!(take(&queue, "w", LEASE).await, None);
    let standing = queue.standing(&run()).await.unwrap();
    assert_eq!((standing.pending, standing.count("dead")), (0, 1));
    let letters: redis::streams::StreamRangeReply =
        connection.xrange_all(keys.dead()).await.unwrap();
    let letter = &letters.ids[0];
    assert_eq!(letter.get::<String>("tries").as_deref(), Some("1"));
    assert!(letter.get::<String>("error").unwrap().contains("payload"));
}

#[tokio::test]
async fn a_long_queue_is_cancelled_in_slices_and_nothing_of_the_run_is_left() {
    let server = Server::start();
    let (redis, queue) = queue(&server).await;
    let other = RunId::parse("1763947200001-0").unwrap();
    for slice in 0..7 {
        let ids: Vec<String> = (0..200).map(|n| format!("{slice}-{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let run = if slice == 3 { other.clone() } else { run() };
        enqueue(&queue, &run, Lane::Low, &ids).await;
    }
    let held = take(&queue, "w", LEASE).await.unwrap();
    let put_off = take(&queue, "w", LEASE).await.unwrap();
    let later = Outcome::Retry {
        after: Duration::from_secs(600),
        error: "busy".into(),
    };
    assert!(queue.settle("w", &put_off, &later).await.unwrap());
    assert_eq!(queue.cancel(&run()).await.unwrap(), 1200);
    assert_eq!(queue.depth(Lane::Low, 0).await.unwrap(), 200);
    let retry = redis.keys().partition(Kind::Extract, 0).retry(Lane::Low);
    let waiting: u64 = redis.commands().zcard(retry).await.unwrap();
    assert_eq!(waiting, 0);
    assert_ne!(queue.renew("w", &held).await.unwrap(), Renewal::Held);
    assert_eq!(queue.standing(&other).await.unwrap().pending, 200);
}

#[tokio::test]
async fn a_worker_that_stops_is_forgotten_unless_it_still_holds_a_job() {
    let server = Server::start();
    let (redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a", "b"]).await;
    let done = Outcome::Done(vec![]);
    assert!(take(&queue, "holds", LEASE).await.is_some());
    let lease = take(&queue, "idle", LEASE).await.unwrap();
    assert!(queue.settle("idle", &lease, &done).await.unwrap());
    assert_eq!(consumers(&redis).await, ["holds", "idle"]);
    assert_eq!(queue.retire("idle").await.unwrap(), 1);
    assert_eq!(queue.retire("holds").await.unwrap(), 0);
    assert_eq!(consumers(&redis).await, ["holds"]);

    // It was killed. Its job is taken over, and then it is forgotten like everybody else.
    let lease = take(&queue, "other", NO_LEASE).await.unwrap();
    assert!(queue.settle("other", &lease, &done).await.unwrap());
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(queue.forget_idle_workers(day).await.unwrap(), 0);
    assert_eq!(queue.forget_idle_workers(NO_LEASE).await.unwrap(), 2);
    assert!(consumers(&redis).await.is_empty());
}

/// Who is known in the low lane.
async fn consumers(redis: &Redis) -> Vec<String> {
    let lane = redis.keys().partition(Kind::Extract, 0).lane(Lane::Low);
    let reply: redis::streams::StreamInfoConsumersReply = redis
        .commands()
        .xinfo_consumers(lane, "workers")
        .await
        .unwrap();
    reply.consumers.into_iter().map(|of| of.name).collect()
}

#[tokio::test]
async fn a_server_without_memory_still_lets_jobs_be_taken_ended_and_cancelled() {
    let server = Server::start();
    let (redis, queue) = queue(&server).await;
    let ids = ["a", "b", "c", "d"];
    enqueue(&queue, &run(), Lane::Low, &ids).await;
    let put_off = take(&queue, "w", LEASE).await.unwrap();
    let at_once = Outcome::Retry {
        after: Duration::ZERO,
        error: "busy".into(),
    };
    assert!(queue.settle("w", &put_off, &at_once).await.unwrap());
    let () = redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .query_async(&mut redis.commands())
        .await
        .unwrap();
    assert!(
        queue
            .enqueue(&run(), Lane::Low, 0, &jobs(&["e"]))
            .await
            .is_err(),
        "there is no memory"
    );

    let done = Outcome::Done(vec![("users", 1)]);
    let lease = take(&queue, "w", LEASE).await.unwrap();
    assert!(queue.settle("w", &lease, &done).await.unwrap());
    let lease = take(&queue, "w", LEASE).await.unwrap();
    assert!(queue.settle("w", &lease, &at_once).await.unwrap());
    assert_eq!(queue.cancel(&run()).await.unwrap(), 3);
    assert_eq!(queue.standing(&run()).await.unwrap().count("users"), 1);
}

#[tokio::test]
async fn waiting_ends_with_the_job_that_arrives() {
    let server = Server::start();
    let (_redis, queue) = queue(&server).await;
    // Makes the groups.
    for lane in Lane::ALL {
        assert_eq!(take_from(&queue, lane, "w", LEASE).await, None);
    }
    let waiting = queue.wait("w", 0, Duration::from_secs(2));
    let arriving = queue.clone();
    let run = run();
    let jobs = jobs(&["a"]);
    let (taken, _) = tokio::join!(waiting, arriving.enqueue(&run, Lane::Low, 0, &jobs));
    assert_eq!(taken.unwrap()[0].job, "a");
}

#[tokio::test]
async fn a_job_that_follows_from_another_is_queued_once_in_a_run() {
    let server = Server::start();
    let (_redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let lease = take(&queue, "w", LEASE).await.unwrap();
    let done = Outcome::Done(vec![]);
    assert!(queue.settle("w", &lease, &done).await.unwrap());
    // As a worker does that wakes up, or that does the other job again.
    enqueue(&queue, &run(), Lane::Low, &["a", "b"]).await;
    let standing = queue.standing(&run()).await.unwrap();
    let counts = (standing.count("jobs"), standing.count("letters"));
    assert_eq!((standing.pending, counts), (1, (2, 2)));
    assert_eq!(take(&queue, "w", LEASE).await.unwrap().job, "b");
}

#[tokio::test]
async fn a_run_is_closed_when_nothing_of_it_is_pending_and_takes_no_more() {
    let server = Server::start();
    let (mut redis, queue) = {
        let (redis, queue) = queue(&server).await;
        (redis.commands(), queue)
    };
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    assert!(!queue.close(&run()).await.unwrap());
    let lease = take(&queue, "w", LEASE).await.unwrap();
    let done = Outcome::Done(vec![("users", 7)]);
    assert!(queue.settle("w", &lease, &done).await.unwrap());
    assert!(queue.close(&run()).await.unwrap());
    assert!(queue.close(&run()).await.unwrap(), "doing it again is safe");

    let late = queue.enqueue(&run(), Lane::Low, 0, &jobs(&["b"])).await;
    assert_eq!(late.unwrap(), Enqueued::Over);
    let standing = queue.standing(&run()).await.unwrap();
    assert_eq!((standing.pending, standing.count("users")), (0, 7));
    let left: Vec<String> = redis.keys("*:queued").await.unwrap();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_whose_server_was_restarted_before_it_was_done_is_done_again() {
    let mut server = Server::start_with(&["--appendfsync", "always"]);
    let (_redis, queue) = queue(&server).await;
    enqueue(&queue, &run(), Lane::Low, &["a"]).await;
    let first = take(&queue, "w", LEASE).await.unwrap();
    server.kill();
    server.restart();

    let done = Outcome::Done(vec![("users", 7)]);
    // The first commands may still find the connection that broke.
    let settled = support::wait_for_async("the server", async || {
        queue.settle("w", &first, &done).await.ok()
    });
    assert!(!settled.await);
    let again = take(&queue, "w", LEASE).await.unwrap();
    assert_eq!((again.attempt(), again.failures, again.crashes), (2, 0, 0));
    assert!(queue.settle("w", &again, &done).await.unwrap());
    assert_eq!(queue.standing(&run()).await.unwrap().count("users"), 7);
}
