//! What goes wrong has its code, wherever an operator meets it.

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::AsyncCommands;
use serde_json::Value;
use sojourn::code::{Code, Coded};
use sojourn::connection::Redis;
use sojourn::queue::{Enqueued, Kind, Lane, NewJob, Queue, QueueError};
use sojourn::run::RunId;
use support::{Running, Server, command, said, small_dataset, wait_for_async};

/// What became of a write by a script, the way in which most writes are done.
async fn write(queue: &Queue) -> Result<Enqueued, QueueError> {
    let run = RunId::parse("1763947200000-0").expect("an id");
    // One that is pending is not written again.
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let job = NewJob {
        id: NUMBER.fetch_add(1, Ordering::Relaxed).to_string(),
        payload: vec![1],
        size: None,
    };
    queue.enqueue(&run, Lane::Low, 0, &[job]).await
}

/// The code of a write that has to fail.
async fn code_of_a_write(queue: &Queue) -> Code {
    write(queue).await.expect_err("a refusal").code()
}

/// Tells the server something.
async fn tell(redis: &Redis, words: &[&str]) {
    let told = redis::cmd(words[0])
        .arg(&words[1..])
        .exec_async(&mut redis.commands())
        .await;
    told.expect("the server does it");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_which_a_real_redis_refuses_a_write_has_its_code() {
    let mut server = Server::start_single_with(&[]);
    let redis = server.connect().await;
    let queue = Queue::new(redis.clone(), Kind::Extract, 1);

    tell(&redis, &["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(code_of_a_write(&queue).await, Code::OutOfMemory);
    tell(&redis, &["CONFIG", "SET", "maxmemory", "0"]).await;

    tell(&redis, &["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_eq!(code_of_a_write(&queue).await, Code::ReadOnly);
    tell(&redis, &["REPLICAOF", "NO", "ONE"]).await;

    tell(&redis, &["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    assert_eq!(code_of_a_write(&queue).await, Code::NotReady);
    tell(&redis, &["CONFIG", "SET", "min-replicas-to-write", "0"]).await;

    // A snapshot cannot take the place of a folder.
    std::fs::create_dir(server.folder.path().join("dump.rdb")).expect("room on disk");
    tell(&redis, &["CONFIG", "SET", "save", "3600 1"]).await;
    tell(&redis, &["BGSAVE"]).await;
    wait_for_async("a snapshot that fails", async || {
        let code = write(&queue).await.err()?.code();
        (code == Code::NotSaving).then_some(())
    })
    .await;
    tell(&redis, &["CONFIG", "SET", "save", ""]).await;

    tell(&redis, &["ACL", "SETUSER", "default", "-xadd"]).await;
    assert_eq!(code_of_a_write(&queue).await, Code::Unauthorized);
    tell(&redis, &["ACL", "SETUSER", "default", "+xadd"]).await;

    let () = redis
        .commands()
        .set("sj:{extract:0}:low", 1)
        .await
        .expect("a key");
    assert_eq!(code_of_a_write(&queue).await, Code::CommandFailed);
    let () = redis
        .commands()
        .del("sj:{extract:0}:low")
        .await
        .expect("a key");
    assert!(write(&queue).await.is_ok());

    server.kill();
    assert_eq!(code_of_a_write(&queue).await, Code::Unreachable);
}

/// A run to its end by real processes.
fn run(server: &Server, dataset: &Path) -> Value {
    let output = command("sojourn")
        .arg("backfill")
        .arg(dataset)
        .args(["--watch", "--json"])
        .env("SOJOURN_REDIS", server.url())
        .output()
        .expect("sojourn runs");
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    support::json(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_says_why_it_is_dead_and_then_what_went_wrong() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dataset = small_dataset(folder.path(), 20, 20);
    std::fs::write(dataset.join("shards/00000.parquet"), "no longer").expect("room on disk");
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
    ];
    let ended = run(&server, &dataset);
    assert_eq!(ended["counts"]["dead"], 1, "{ended}");
    let redis = server.connect().await;
    let letters: redis::streams::StreamRangeReply = redis
        .commands()
        .xrange_all("sj:{extract:0}:dead")
        .await
        .expect("a stream");
    let error: String = letters.ids[0].get("error").expect("an error");
    assert!(error.starts_with("SJ402: SJ303: dataset "), "{error}");
}

#[test]
fn a_run_that_cannot_be_planned_says_under_which_code() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let ended = run(&server, folder.path());
    assert_eq!(ended["state"], "failed", "{ended}");
    let error = ended["error"].as_str().expect("an error");
    assert!(error.starts_with("SJ301: dataset "), "{error}");
}
