//! Letters in the queue, on a real server.

use std::time::{Duration, SystemTime};

use redis::AsyncCommands;
use sojourn::queue::{KeptCounts, Kind, Lane, NewJob, Outcome, Queue, Renewal, Replayed};

use crate::support::{Server, wait_for_async};
use crate::{LEASE, NO_LEASE, enqueue, give_up, letters, queue, run, take};

/// Pending, jobs, done, dead and replayed jobs of the run.
async fn counts(queue: &Queue) -> [u64; 5] {
    let standing = queue.standing(&run()).await.unwrap();
    let count = |name: &str| standing.count(name);
    [
        standing.pending,
        count("jobs"),
        count("done"),
        count("dead"),
        count("replayed"),
    ]
}

#[tokio::test]
async fn a_letter_says_what_became_of_its_job_with_failures_and_crashes_apart() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    enqueue(&queue, &run(), "a").await;
    let at_once = Outcome::Retry {
        after: Duration::ZERO,
        error: "busy".into(),
    };
    for worker in ["w1", "w2"] {
        let lease = take(&queue, worker, LEASE).await.unwrap();
        assert!(queue.settle(worker, &lease, &at_once).await.unwrap());
    }
    for crashing in ["w3", "w4", "w5"] {
        assert!(take(&queue, crashing, NO_LEASE).await.is_some());
    }
    let last = take(&queue, "last", NO_LEASE).await.unwrap();
    assert_eq!((last.failures, last.crashes, last.attempt()), (2, 3, 6));
    let quarantined = Outcome::Quarantined {
        error: "3 workers died".into(),
    };
    assert!(queue.settle("last", &last, &quarantined).await.unwrap());

    let letter = letters(&queue).await.pop().unwrap();
    assert_eq!(letter.error, "3 workers died");
    assert_eq!((letter.failures, letter.crashes), (Some(2), Some(3)));
    assert_eq!((letter.attempts, letter.worker.as_str()), (Some(6), "last"));
    assert_eq!((letter.run, letter.job), (Some(run()), Some("a".into())));
    assert_eq!((letter.lane, letter.is_foreign), (Some(Lane::Low), false));
    assert_eq!(letter.payload.as_deref(), Some(&b"a"[..]));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let age = now.unwrap().as_millis() as i64 - letter.id.buried_ms() as i64;
    assert!(age.abs() < 60_000, "{age}");
}

#[tokio::test]
async fn a_job_is_replayed_once_with_a_clean_record_and_all_its_attempts() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    enqueue(&queue, &run(), "a").await;
    let former = take(&queue, "asleep", LEASE).await.unwrap();
    let lease = take(&queue, "w", NO_LEASE).await.unwrap();
    let dead = Outcome::Dead { error: "e".into() };
    assert!(queue.settle("w", &lease, &dead).await.unwrap());
    let letter = letters(&queue).await.pop().unwrap();
    assert_eq!(counts(&queue).await, [0, 1, 0, 1, 0]);

    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Replayed);
    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Gone);
    assert_eq!(counts(&queue).await, [1, 1, 0, 0, 1]);
    assert_eq!(letters(&queue).await, []);
    assert_eq!(queue.depth(Lane::Low, 0).await.unwrap(), 1);
    let again = take(&queue, "w", LEASE).await.unwrap();
    assert_eq!((again.failures, again.crashes, again.attempt()), (0, 0, 3));
    assert_eq!(again.payload, b"a");
    // Who held it once stays behind.
    assert_eq!(queue.renew("asleep", &former).await.unwrap(), Renewal::Lost);
    let done = Outcome::Done(vec![]);
    assert!(!queue.settle("asleep", &former, &done).await.unwrap());
    assert!(queue.settle("w", &again, &done).await.unwrap());
    assert_eq!(counts(&queue).await, [0, 1, 1, 0, 1]);
}

#[tokio::test]
async fn a_job_that_dies_again_is_a_letter_again() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    enqueue(&queue, &run(), "a").await;
    for replays in 0..3 {
        give_up(&queue, "e").await;
        assert_eq!(counts(&queue).await, [0, 1, 0, 1, replays]);
        let letter = letters(&queue).await.pop().unwrap();
        assert_eq!(letter.attempts, Some(replays as u32 + 1));
        assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Replayed);
    }
}

#[tokio::test]
async fn what_is_cancelled_forgotten_or_queued_again_is_not_replayed_and_the_letter_stays() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Name);
    enqueue(&queue, &run(), "a").await;
    give_up(&queue, "e").await;
    let letter = letters(&queue).await.pop().unwrap();

    // A Redis that has lost how far the run was planned is given the job again.
    let again = NewJob {
        id: "a".into(),
        payload: b"a".to_vec(),
        size: None,
    };
    let planned = queue
        .enqueue_planned(&run(), Lane::Low, 0, 0, &[again])
        .await;
    assert_eq!(planned.unwrap(), Some(1));
    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Queued);
    let lease = take(&queue, "w", LEASE).await.unwrap();
    let done = Outcome::Done(vec![]);
    assert!(queue.settle("w", &lease, &done).await.unwrap());
    assert_eq!(counts(&queue).await, [0, 2, 1, 1, 0]);

    let before = letters(&queue).await;
    let keys = redis.keys().partition(Kind::Name, 0);
    queue.cancel(&run()).await.unwrap();
    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Cancelled);
    // Its time was up, or it began anew.
    let () = redis.commands().del(keys.run(&run())).await.unwrap();
    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Forgotten);
    let () = redis
        .commands()
        .hset(keys.run(&run()), "jobs", 1)
        .await
        .unwrap();
    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Forgotten);
    let () = redis
        .commands()
        .hset(keys.run(&run()), "state", "paused")
        .await
        .unwrap();
    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Paused);
    assert_eq!(letters(&queue).await, before);
    assert_eq!(queue.depth(Lane::Low, 0).await.unwrap(), 0);
}

#[tokio::test]
async fn a_letter_of_before_the_run_restarted_is_not_replayed_whoever_died_since() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    enqueue(&queue, &run(), "a").await;
    give_up(&queue, "e").await;
    let before = letters(&queue).await.pop().unwrap();
    let nothing = KeptCounts::default();
    let begun = queue.restart(&run(), Lane::Low, 1, nothing).await;
    begun.unwrap();
    enqueue(&queue, &run(), "b").await;
    give_up(&queue, "e").await;
    let since = letters(&queue).await.into_iter().next().unwrap();
    assert_eq!(since.job.as_deref(), Some("b"));

    assert_eq!(queue.replay(&before).await.unwrap(), Replayed::Forgotten);
    assert_eq!(queue.replay(&since).await.unwrap(), Replayed::Replayed);
    assert_eq!(counts(&queue).await, [1, 1, 0, 0, 1]);
}

#[tokio::test]
async fn a_run_that_was_over_goes_on_where_a_job_is_replayed() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Name);
    enqueue(&queue, &run(), "a").await;
    give_up(&queue, "e").await;
    assert!(queue.close(&run()).await.unwrap());
    let letter = letters(&queue).await.pop().unwrap();
    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Replayed);
    // What follows from other jobs may be queued again.
    enqueue(&queue, &run(), "b").await;
    assert_eq!(counts(&queue).await, [2, 2, 0, 0, 1]);
}

#[tokio::test]
async fn the_second_entry_of_a_job_that_has_ended_leaves_no_letter() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    enqueue(&queue, &run(), "a").await;
    let keys = redis.keys().partition(Kind::Extract, 0);
    let lane = keys.lane(Lane::Low);
    let mut connection = redis.commands();
    let entries: redis::streams::StreamRangeReply = connection.xrange_all(&lane).await.unwrap();
    let fields: Vec<(String, Vec<u8>)> = entries.ids[0]
        .map
        .keys()
        .map(|name| (name.clone(), entries.ids[0].get(name).unwrap()))
        .collect();
    let _: String = connection.xadd(&lane, "*", &fields).await.unwrap();
    for _ in 0..2 {
        give_up(&queue, "e").await;
    }
    assert_eq!(counts(&queue).await, [0, 1, 0, 1, 0]);
    assert_eq!(letters(&queue).await.len(), 1);
}

#[tokio::test]
async fn an_entry_that_was_no_job_goes_back_as_it_stood_there() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    enqueue(&queue, &run(), "a").await;
    let mut connection = redis.commands();
    let lane = redis.keys().partition(Kind::Extract, 0).lane(Lane::Low);
    let () = connection.del(&lane).await.unwrap();
    let run_id = run();
    // As a newer build might write it: failures count otherwise there.
    let entry = [
        ("job", "a"),
        ("run", run_id.as_str()),
        ("error", "none yet"),
        ("payload", "\u{1}x"),
        ("attempts", "3"),
        ("tries", "1"),
    ];
    let _: String = connection.xadd(&lane, "*", &entry).await.unwrap();
    assert_eq!(take(&queue, "w", LEASE).await, None);
    let letter = letters(&queue).await.pop().unwrap();
    assert!(
        letter.is_foreign && letter.error.contains("failures"),
        "{letter:?}"
    );
    assert_eq!((letter.worker.as_str(), &letter.run), ("w", &Some(run())));
    assert_eq!(counts(&queue).await, [0, 1, 0, 1, 0]);

    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Replayed);
    assert_eq!(counts(&queue).await, [1, 1, 0, 0, 1]);
    let entries: Vec<(String, Vec<String>)> = redis::cmd("XRANGE")
        .arg(&[&lane, "-", "+"])
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut expected: Vec<&str> = entry.iter().flat_map(|&(n, v)| [n, v]).collect();
    // It was handed out once.
    expected[9] = "4";
    assert_eq!(entries[0].1, expected);
}

#[tokio::test]
async fn an_entry_without_a_run_is_kept_and_goes_back_too() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    let lane = redis.keys().partition(Kind::Extract, 0).lane(Lane::High);
    let hello = [("hello", "world")];
    let _: String = redis.commands().xadd(&lane, "*", &hello).await.unwrap();
    assert_eq!(queue.take("w", Lane::High, 0, LEASE).await.unwrap(), None);
    let letter = letters(&queue).await.pop().unwrap();
    assert_eq!((letter.run.clone(), letter.lane), (None, Some(Lane::High)));
    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Replayed);
    assert_eq!(queue.depth(Lane::High, 0).await.unwrap(), 1);
}

#[tokio::test]
async fn an_entry_of_thousands_of_fields_is_no_trouble() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    let lane = redis.keys().partition(Kind::Extract, 0).lane(Lane::Low);
    let fields: Vec<(String, u32)> = (0..20_000).map(|n| (format!("f{n}"), n)).collect();
    let _: String = redis.commands().xadd(&lane, "*", &fields).await.unwrap();
    assert_eq!(take(&queue, "w", LEASE).await, None);
    let letter = letters(&queue).await.pop().unwrap();
    assert_eq!(letter.fields.len(), 1_000);
    assert_eq!(letter.fields[999], (b"f999".to_vec(), b"999".to_vec()));
    assert_eq!(queue.depth(Lane::Low, 0).await.unwrap(), 0);
}

#[tokio::test]
async fn an_entry_that_another_build_has_taken_over_is_not_buried() {
    let server = Server::start();
    let redis = server.connect().await;
    let keys = redis.keys().partition(Kind::Extract, 0);
    let lane = keys.lane(Lane::Low);
    let mut connection = redis.commands();
    let entry: String = connection
        .xadd(&lane, "*", &[("new", "field")])
        .await
        .unwrap();
    let () = redis::cmd("XGROUP")
        .arg(&["CREATE", &lane, "workers", "0"])
        .query_async(&mut connection)
        .await
        .unwrap();
    // An old worker has read it and stops; a new one takes over, and understands it.
    let read = ["GROUP", "workers", "old", "STREAMS", &lane, ">"];
    let () = redis::cmd("XREADGROUP")
        .arg(&read)
        .query_async(&mut connection)
        .await
        .unwrap();
    let claim = [&lane, "workers", "new", "0", &entry];
    let () = redis::cmd("XCLAIM")
        .arg(&claim)
        .query_async(&mut connection)
        .await
        .unwrap();

    let bury = redis::Script::new(include_str!("../../src/queue/bury.lua"));
    let mut call = bury.key(&lane);
    call.key(keys.dead());
    call.arg("workers")
        .arg("old")
        .arg(&entry)
        .arg(1)
        .arg("low")
        .arg("why")
        .arg("");
    let moved: u8 = call.invoke_async(&mut connection).await.unwrap();
    let left: u64 = connection.xlen(&lane).await.unwrap();
    assert_eq!((moved, left), (0, 1));
}

#[tokio::test]
async fn a_letter_that_cannot_be_replayed_for_want_of_memory_stays() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    enqueue(&queue, &run(), "a").await;
    give_up(&queue, "e").await;
    let letter = letters(&queue).await.pop().unwrap();
    let set_memory = async |bytes: &str| {
        let set = ["SET", "maxmemory", bytes];
        let () = redis::cmd("CONFIG")
            .arg(&set)
            .query_async(&mut redis.commands())
            .await
            .unwrap();
    };
    set_memory("1").await;
    let refused = queue.replay(&letter).await.unwrap_err().to_string();
    assert!(refused.contains("OOM"), "{refused}");
    assert_eq!(counts(&queue).await, [0, 1, 0, 1, 0]);
    assert_eq!(letters(&queue).await, std::slice::from_ref(&letter));
    set_memory("0").await;
    assert_eq!(queue.replay(&letter).await.unwrap(), Replayed::Replayed);
}

#[tokio::test]
async fn letters_are_dropped_by_name_and_the_counts_stay() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    for id in ["a", "b"] {
        enqueue(&queue, &run(), id).await;
        give_up(&queue, id).await;
    }
    let all = letters(&queue).await;
    assert_eq!(
        queue.letter(all[1].id).await.unwrap().as_ref(),
        Some(&all[1])
    );
    assert_eq!(
        queue.drop_letters(&[all[1].id, all[1].id]).await.unwrap(),
        1
    );
    assert_eq!(queue.letter(all[1].id).await.unwrap(), None);
    assert_eq!(letters(&queue).await, [all[0].clone()]);
    let elsewhere = "name:0:1-0".parse().unwrap();
    assert_eq!(queue.drop_letters(&[elsewhere]).await.unwrap(), 0);
    assert_eq!(counts(&queue).await, [0, 2, 0, 2, 0]);
}

#[tokio::test]
async fn letters_are_forgotten_after_their_time_and_not_before() {
    let server = Server::start();
    let redis = server.connect().await;
    let queue = queue(&redis, Kind::Extract);
    let day = Duration::from_secs(24 * 3600);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let dead = redis.keys().partition(Kind::Extract, 0).dead();
    for days in [31, 29] {
        let id = format!("{}-0", (now - days * day).as_millis());
        let letter = [("error", "e"), ("worker", "w"), ("lane", "low")];
        let _: String = redis.commands().xadd(&dead, id, &letter).await.unwrap();
    }
    enqueue(&queue, &run(), "a").await;
    give_up(&queue, "e").await;
    assert_eq!(queue.forget_letters(30 * day).await.unwrap(), 1);
    assert_eq!(queue.forget_letters(30 * day).await.unwrap(), 0);
    assert_eq!(letters(&queue).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leading_scheduler_forgets_old_letters() {
    let server = Server::start();
    let redis = server.connect().await;
    let dead = redis.keys().partition(Kind::Name, 3).dead();
    let old = [("error", "e"), ("worker", "w"), ("lane", "low")];
    let _: String = redis
        .commands()
        .xadd(&dead, "1763947200-0", &old)
        .await
        .unwrap();
    let _scheduler = crate::runs::start_scheduler(&redis).await;
    wait_for_async("the letter to go", async || {
        let left: u64 = redis.commands().xlen(&dead).await.unwrap();
        (left == 0).then_some(())
    })
    .await;
}
