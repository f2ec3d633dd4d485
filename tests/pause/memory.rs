//! A server without memory refuses what needs some, and a run must be stopped all the same.

use std::path::Path;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::queue::{Lane, Queues};
use sojourn::run::RunId;
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::register::Register;

use crate::support::Server;
use crate::support::run::backfill;
use crate::{enqueue, later, other, queue, run, take, take_all};

async fn take_memory(redis: &Redis) {
    let mut connection = redis.commands();
    let () = redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .query_async(&mut connection)
        .await
        .unwrap();
    let refused: Result<(), _> = connection.set("x", "y").await;
    assert!(refused.unwrap_err().to_string().contains("OOM"));
}

#[tokio::test]
async fn a_server_without_memory_still_lets_a_run_be_paused_and_resumed() {
    let server = Server::start();
    let (redis, queue, _) = queue(&server).await;
    enqueue(&queue, &run(), &["a", "b", "c"]).await;
    let put_off = take(&queue).await.unwrap();
    assert!(queue.settle("w", &put_off, &later()).await.unwrap());
    take_memory(&redis).await;
    queue.pause(&run(), Lane::Low).await.unwrap();
    assert_eq!(take_all(&queue).await, [""; 0]);
    queue.resume(&run(), Lane::Low).await.unwrap();
    assert_eq!(take_all(&queue).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_server_without_memory_still_lets_the_register_pause_resume_end_and_cancel_runs() {
    let server = Server::start();
    let redis = server.connect().await;
    let queues = Queues::open(&redis).await.unwrap();
    let register = Register::new(&redis);
    for run in [run(), other()] {
        let request = Ok(backfill(Path::new("/d")));
        register.create(&run, &request).await.unwrap();
        assert!(register.start(&run, "id", 1, 1, 0).await.unwrap());
    }
    take_memory(&redis).await;
    let state = async |run: RunId| register.run(&run).await.unwrap().state;
    assert!(register.pause(&run(), &queues).await.unwrap());
    assert_eq!(state(run()).await, RunState::Paused);
    assert!(register.resume(&run(), &queues).await.unwrap());
    assert_eq!(state(run()).await, RunState::Running);
    assert!(register.cancel(&run(), &queues).await.unwrap());
    assert_eq!(state(run()).await, RunState::Cancelled);
    let seen = register.run(&other()).await.unwrap();
    assert!(register.finish(&seen).await.unwrap());
    assert_eq!(state(other()).await, RunState::Done);
}
