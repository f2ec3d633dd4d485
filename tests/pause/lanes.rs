//! Lanes that are paused, in the queue.

use std::time::Duration;

use redis::AsyncCommands;
use sojourn::queue::{Lane, Outcome, Renewal};

use crate::support::Server;
use crate::{LEASE, enqueue, jobs, queue, run, take, take_all};

#[tokio::test]
async fn a_paused_lane_gives_nothing_out_and_the_other_lane_goes_on() {
    let server = Server::start();
    let (redis, queue, keys) = queue(&server).await;
    enqueue(&queue, &run(), &["held", "due", "ready"]).await;
    let held = take(&queue).await.unwrap();
    let due = take(&queue).await.unwrap();
    let at_once = Outcome::Retry {
        after: Duration::ZERO,
        error: "busy".into(),
    };
    assert!(queue.settle("w", &due, &at_once).await.unwrap());
    queue.pause_lane(Lane::Low).await.unwrap();
    assert_eq!(queue.paused_lanes().await.unwrap(), [Lane::Low]);
    assert_eq!(take_all(&queue).await, [""; 0]);
    let waiting: u64 = redis.commands().zcard(keys.retry(Lane::Low)).await.unwrap();
    assert_eq!(waiting, 1, "what waits for another attempt goes on waiting");

    // A wait hears of the lane that is open, and not of the other.
    assert_eq!(queue.take("w", Lane::High, 0, LEASE).await.unwrap(), None);
    let waiting = queue.wait("w", 0, Duration::from_secs(2));
    let (run_id, urgent) = (run(), jobs(&["urgent"]));
    let (waited, _) = tokio::join!(waiting, queue.enqueue(&run_id, Lane::High, 0, &urgent));
    let waited: Vec<String> = waited.unwrap().into_iter().map(|lease| lease.job).collect();
    assert_eq!(waited, ["urgent"]);
    queue.pause_lane(Lane::High).await.unwrap();
    let waited = queue.wait("w", 0, Duration::from_millis(1)).await.unwrap();
    assert_eq!(waited, [], "both are paused");

    assert_eq!(queue.renew("w", &held).await.unwrap(), Renewal::Held);
    assert!(
        queue
            .settle("w", &held, &Outcome::Done(vec![]))
            .await
            .unwrap()
    );
    queue.resume_lane(Lane::Low).await.unwrap();
    assert_eq!(take_all(&queue).await, ["ready", "due"]);
}

#[tokio::test]
async fn a_worker_that_waits_at_a_lane_while_it_is_paused_gets_nothing_of_it() {
    let server = Server::start();
    let (_redis, queue, _) = queue(&server).await;
    // Makes the groups.
    for lane in Lane::ALL {
        assert_eq!(queue.take("w", lane, 0, LEASE).await.unwrap(), None);
    }
    let waiting = queue.wait("w", 0, Duration::from_secs(2));
    let pausing = async {
        queue.pause_lane(Lane::Low).await.unwrap();
        enqueue(&queue, &run(), &["a"]).await;
    };
    let (waited, ()) = tokio::join!(waiting, pausing);
    assert_eq!(waited.unwrap(), []);
    queue.resume_lane(Lane::Low).await.unwrap();
    let lease = take(&queue).await.unwrap();
    assert_eq!((lease.job.as_str(), lease.failures), ("a", 0));
    assert_eq!(lease.crashes, 0, "nobody was silent");
}
