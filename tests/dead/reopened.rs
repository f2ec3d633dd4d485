//! Runs that are reopened at the worst moments.

use std::time::Duration;

use sojourn::connection::{Redis, RedisOptions};
use sojourn::queue::{Enqueued, Lane, Outcome, Queues, Replayed};
use sojourn_scheduler::letters::Letters;
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::register::Register;
use sojourn_scheduler::scheduler::SchedulerOptions;

use crate::proxy::{Proxy, Weather};
use crate::runs::{enter, of, start_scheduler, start_scheduler_with};
use crate::support::{Server, wait_for_async};
use crate::{LEASE, enqueue, give_up, jobs, letters, run, take};

/// A run that is done, and whose one job is a dead letter.
async fn done_with_a_letter(redis: &Redis) -> (Register, Queues) {
    let queues = Queues::open(redis).await.unwrap();
    let register = enter(redis, &run()).await;
    enqueue(&queues.extract, &run(), "a").await;
    give_up(&queues.extract, "no disk").await;
    let ended = register.end(&run(), RunState::Done, None).await;
    assert!(ended.unwrap() && queues.name.close(&run()).await.unwrap());
    (register, queues)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_was_cut_short_before_its_run_is_mended_by_saying_it_again() {
    let server = Server::start();
    let redis = server.connect().await;
    let (register, queues) = done_with_a_letter(&redis).await;
    // As by somebody who died in the middle, and by a scheduler that opened the queue of names.
    let letter = letters(&queues.extract).await.pop().unwrap();
    let replayed = queues.extract.replay(&letter).await.unwrap();
    assert_eq!(replayed, Replayed::Replayed);
    queues.name.reopen(&run()).await.unwrap();
    let _scheduler = start_scheduler(&redis).await;
    let state = async || register.run(&run()).await.unwrap().state;
    assert_eq!(state().await, RunState::Done);

    let again = Letters::open(&redis).await.unwrap();
    let replay = again.replay(&of(&run())).await.unwrap();
    assert_eq!((replay.replayed, replay.reopened), (0, vec![run()]));
    assert_eq!(state().await, RunState::Running);
    enqueue(&queues.name, &run(), "of a").await;
    for queue in [&queues.extract, &queues.name] {
        let lease = take(queue, "w", LEASE).await.unwrap();
        let done = Outcome::Done(vec![]);
        assert!(queue.settle("w", &lease, &done).await.unwrap());
    }
    wait_for_async("the end of the run", async || {
        let over = queues.name.enqueue(&run(), Lane::Low, 0, &jobs(&[])).await;
        (state().await == RunState::Done && over.unwrap() == Enqueued::Over).then_some(())
    })
    .await;
    let replay = again.replay(&of(&run())).await.unwrap();
    assert_eq!((replay.replayed, replay.runs), (0, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_reopened_while_it_ends_finds_the_queue_of_names_open() {
    let server = Server::start_single_with(&[]);
    let redis = server.connect().await;
    let (register, queues) = done_with_a_letter(&redis).await;
    // It goes on, and there is nothing to do: a scheduler ends it.
    assert!(register.reopen(&run()).await.unwrap());
    queues.name.reopen(&run()).await.unwrap();
    let proxy = Proxy::before(&server.nodes[0].socket());
    // The first text is in the call that ends a run, the second in the next look for requests.
    let (ending, next_turn) = ("finished", "XREADGROUP");
    let through = RedisOptions::new(proxy.url());
    let through = Redis::connect(&through).await.unwrap();
    proxy.set(Weather::HeldFrom(ending));
    let options = SchedulerOptions {
        lead: Duration::from_secs(600),
        ..SchedulerOptions::default()
    };
    let _scheduler = start_scheduler_with(&through, options).await;
    let held = async || (proxy.weather() == Weather::Held).then_some(());
    wait_for_async("the end of the run", held).await;

    let letters = Letters::open(&redis).await.unwrap();
    assert_eq!(letters.replay(&of(&run())).await.unwrap().replayed, 1);
    proxy.set(Weather::HeldFrom(next_turn));
    wait_for_async("the next turn", held).await;
    let record = register.run(&run()).await.unwrap();
    assert_eq!(record.state, RunState::Running);
    enqueue(&queues.name, &run(), "of a").await;
    proxy.set(Weather::Clear);
}
