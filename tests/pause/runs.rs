//! Runs that are paused, in the queue.

use redis::AsyncCommands;
use sojourn::queue::{Enqueued, Lane, Outcome, Queue, Renewal};

use crate::support::Server;
use crate::{enqueue, jobs, later, other, queue, run, take, take_all};

async fn plan(queue: &Queue) -> Option<u64> {
    let (run, jobs) = (run(), jobs(&["planned"]));
    let planned = queue.enqueue_planned(&run, Lane::Low, 0, 0, &jobs).await;
    planned.unwrap()
}

#[tokio::test]
async fn a_paused_run_gives_nothing_out_finishes_what_is_held_and_goes_on_in_order() {
    let server = Server::start();
    let (_redis, queue, _) = queue(&server).await;
    enqueue(&queue, &run(), &["a", "b"]).await;
    enqueue(&queue, &other(), &["c"]).await;
    enqueue(&queue, &run(), &["d"]).await;
    let held = take(&queue).await.unwrap();
    queue.pause(&run(), Lane::Low).await.unwrap();
    assert_eq!(take_all(&queue).await, ["c"], "other runs go on");
    assert!(queue.standing(&run()).await.unwrap().paused);

    assert_eq!(queue.renew("w", &held).await.unwrap(), Renewal::Held);
    let done = Outcome::Done(vec![("users", 7)]);
    assert!(queue.settle("w", &held, &done).await.unwrap());
    let standing = queue.standing(&run()).await.unwrap();
    assert_eq!((standing.pending, standing.count("users")), (2, 7));

    // As whoever resumes a run may do that was cut short.
    for _ in 0..2 {
        queue.resume(&run(), Lane::Low).await.unwrap();
    }
    assert!(!queue.standing(&run()).await.unwrap().paused);
    assert_eq!(take_all(&queue).await, ["b", "d"]);
}

#[tokio::test]
async fn what_fails_follows_or_waits_while_its_run_is_paused_comes_when_it_goes_on() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    enqueue(&queue, &run(), &["waits", "fails", "returned"]).await;
    let [waits, fails, returned] = [(); 3].map(|()| take(&queue));
    let (waits, fails, returned) = (waits.await.unwrap(), fails.await, returned.await);
    assert!(queue.settle("w", &waits, &later()).await.unwrap());
    queue.pause(&run(), Lane::Low).await.unwrap();
    assert!(queue.settle("w", &fails.unwrap(), &later()).await.unwrap());
    let returned = returned.unwrap();
    let settled = queue.settle("w", &returned, &Outcome::Release).await;
    assert!(settled.unwrap());
    enqueue(&queue, &run(), &["follows"]).await;
    assert_eq!(plan(&queue).await, None, "the scheduler tries later");

    let mut connection = redis.commands();
    let waiting: u64 = connection.zcard(keys.retry(Lane::Low)).await.unwrap();
    assert_eq!((waiting, queue.depth(Lane::Low, 0).await.unwrap()), (0, 0));
    let ttl: i64 = connection.ttl(keys.parked(&run())).await.unwrap();
    assert!(ttl > 0, "nothing stays for ever");
    assert_eq!(queue.standing(&run()).await.unwrap().pending, 4);
    assert_eq!(queue.missing(&[run()]).await.unwrap().len(), 0);

    queue.resume(&run(), Lane::Low).await.unwrap();
    let mut taken = take_all(&queue).await;
    taken.sort();
    assert_eq!(taken, ["fails", "follows", "returned", "waits"]);
    assert_eq!(plan(&queue).await, Some(1));
    let parked: bool = connection.exists(keys.parked(&run())).await.unwrap();
    assert!(!parked);
}

#[tokio::test]
async fn a_long_queue_is_paused_and_resumed_in_slices_and_each_job_is_there_once() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    let mut all = Vec::new();
    for slice in 0..7 {
        let ids: Vec<String> = (0..200).map(|n| format!("{slice}-{n:03}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let of = if slice == 3 { other() } else { run() };
        enqueue(&queue, &of, &ids).await;
        if slice != 3 {
            all.extend(ids.iter().map(|&id| id.to_owned()));
        }
    }
    // So many that they are read in slices, too.
    for _ in 0..600 {
        let lease = take(&queue).await.unwrap();
        assert!(queue.settle("w", &lease, &later()).await.unwrap());
    }
    for _ in 0..2 {
        queue.pause(&run(), Lane::Low).await.unwrap();
    }
    assert_eq!(queue.depth(Lane::Low, 0).await.unwrap(), 200);
    let mut connection = redis.commands();
    let waiting: u64 = connection.zcard(keys.retry(Lane::Low)).await.unwrap();
    let parked: u64 = connection.xlen(keys.parked(&run())).await.unwrap();
    assert_eq!((waiting, parked), (0, 1200));
    queue.resume(&run(), Lane::Low).await.unwrap();
    let mut taken = take_all(&queue).await;
    taken.retain(|id| !id.starts_with("3-"));
    taken.sort();
    assert_eq!(taken, all);
}

#[tokio::test]
async fn a_paused_run_can_be_cancelled_and_a_cancelled_one_does_not_go_on() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    enqueue(&queue, &run(), &["a", "b"]).await;
    let held = take(&queue).await.unwrap();
    queue.pause(&run(), Lane::Low).await.unwrap();
    assert_eq!(queue.cancel(&run()).await.unwrap(), 2);
    let parked: bool = redis.commands().exists(keys.parked(&run())).await.unwrap();
    assert!(!parked);
    assert_ne!(queue.renew("w", &held).await.unwrap(), Renewal::Held);
    for _ in 0..2 {
        queue.resume(&run(), Lane::Low).await.unwrap();
        queue.pause(&run(), Lane::Low).await.unwrap();
    }
    assert!(!queue.standing(&run()).await.unwrap().paused);
    let queued = queue.enqueue(&run(), Lane::Low, 0, &jobs(&["c"])).await;
    assert_eq!(queued.unwrap(), Enqueued::Cancelled, "for ever");
    assert_eq!(take_all(&queue).await, [""; 0]);
}

#[tokio::test]
async fn a_run_that_is_over_is_not_opened_by_a_resume() {
    let server = Server::start();
    let (_redis, queue, _) = queue(&server).await;
    assert!(queue.close(&run()).await.unwrap());
    queue.resume(&run(), Lane::Low).await.unwrap();
    let late = queue.enqueue(&run(), Lane::Low, 0, &jobs(&["a"])).await;
    assert_eq!(late.unwrap(), Enqueued::Over);
}

#[tokio::test]
async fn a_run_that_is_cancelled_or_paused_stays_so_when_it_is_closed_and_reopened() {
    let server = Server::start();
    let (_redis, queue, _) = queue(&server).await;
    queue.pause(&run(), Lane::Low).await.unwrap();
    queue.cancel(&other()).await.unwrap();
    for run in [run(), other()] {
        assert!(!queue.close(&run).await.unwrap());
        queue.reopen(&run).await.unwrap();
    }
    assert_eq!(plan(&queue).await, None);
    assert!(queue.standing(&run()).await.unwrap().paused);
    let late = queue.enqueue(&other(), Lane::Low, 0, &jobs(&["a"])).await;
    assert_eq!(late.unwrap(), Enqueued::Cancelled);
}

#[tokio::test]
async fn a_job_that_was_held_when_its_run_was_cancelled_is_not_tried_again() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    enqueue(&queue, &run(), &["a"]).await;
    let held = take(&queue).await.unwrap();
    // Between the first and the second step of a cancel.
    let state = ("state", "cancelled");
    let mut connection = redis.commands();
    let () = connection
        .hset(keys.run(&run()), state.0, state.1)
        .await
        .unwrap();
    assert!(queue.settle("w", &held, &later()).await.unwrap());
    let waiting: u64 = connection.zcard(keys.retry(Lane::Low)).await.unwrap();
    assert_eq!((waiting, queue.depth(Lane::Low, 0).await.unwrap()), (0, 0));
}
