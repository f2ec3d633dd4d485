//! Runs that restart because somebody asked for it.

use std::path::Path;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::journey::Journey;
use sojourn::queue::Queues;
use sojourn::run::RunId;
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::register::{Register, RegisterError};
use sojourn_scheduler::trigger::{Request, Scope};

use crate::support::Server;
use crate::support::run::backfill;
use crate::{JOURNEYS, MANY, Trial, extract, name};

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_writes_results_that_are_gone_and_asks_for_no_name_that_is_there() {
    let server = Server::start();
    let (trial, _worker) = Trial::extracted(&server, 40).await;
    let _naming = name(&server);
    let first = trial.assert_whole().await;
    let before = trial.results().await;
    let keys = trial.redis.keys();
    let gone = ["u7", "u23"].map(|user| [keys.names(user), keys.journeys(user)]);
    let () = trial
        .redis
        .commands()
        .del(gone.as_flattened())
        .await
        .unwrap();

    trial.repair().await;
    let second = trial.wait_until_over().await;
    assert_eq!(second.record.restarts, 1);
    let after = trial.results().await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.journeys, after.journeys);
        assert_eq!(before.meta.epoch, after.meta.epoch, "it is the same run");
    }
    let counts = ["jobs", "done"].map(|name| second.count(name));
    assert_eq!(counts, [8, 8], "{second:?}");
    let named = first.count("named") + 2 * JOURNEYS;
    let counts = ["journeys_to_name", "named"].map(|name| second.count(name));
    assert_eq!(
        counts, [named; 2],
        "only what was gone is named again: {second:?}"
    );
    assert!(second.count("naming_jobs") <= 2, "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_of_a_run_that_is_under_way_restarts_it_and_counts_nothing_twice() {
    let server = Server::start();
    let trial = Trial::begin(&server, MANY, 1).await;
    let _workers = (extract(&server), name(&server));
    trial.wait(|status| status.count("done") >= 100).await;
    trial.repair().await;
    let done = trial.wait_until_over().await;
    assert_eq!(
        (done.record.state, done.record.restarts),
        (RunState::Done, 1)
    );
    let counts = ["jobs", "planned", "done", "users"].map(|name| done.count(name));
    assert_eq!(counts, [MANY as u64; 4], "{done:?}");
    assert_eq!(
        done.count("journeys_to_name"),
        done.count("named"),
        "{done:?}"
    );
    assert_eq!((done.dead(), done.lost), (0, 0), "{done:?}");
    for user in trial.results().await {
        let named = |journey: &Journey| !journey.wants_name();
        assert!(user.journeys.iter().all(named), "{user:?}");
    }
}

/// Why a run cannot be repaired.
async fn refusal(register: &Register, run: &RunId) -> String {
    match register.repair(run).await {
        Err(RegisterError::BeyondRepair { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn of_cohort() -> Request {
    let mut request = backfill(Path::new("/d"));
    request.scope = Scope::Cohort("new".into());
    request
}

async fn register(server: &Server) -> (Redis, Register) {
    let redis = server.connect().await;
    let register = Register::new(&redis);
    (redis, register)
}

#[tokio::test]
async fn a_run_that_cannot_be_repaired_says_why() {
    let server = Server::start();
    let (redis, register) = register(&server).await;
    let queues = Queues::open(&redis).await.unwrap();
    let ids = ["1-0", "2-0", "3-0"].map(|id| RunId::parse(id).unwrap());
    let [first, second, third] = &ids;
    let planned = Ok(backfill(Path::new("/d")));
    register.create(first, &planned).await.unwrap();
    assert!(refusal(&register, first).await.contains("not planned"));
    register.pause(first, &queues).await.unwrap();
    assert!(
        refusal(&register, first)
            .await
            .contains("sojourn resume 1-0")
    );
    register.cancel(first, &queues).await.unwrap();
    assert!(refusal(&register, first).await.contains("cancelled"));
    register.create(second, &Err("no".into())).await.unwrap();
    assert!(refusal(&register, second).await.contains("failed"));
    register.create(third, &Ok(of_cohort())).await.unwrap();
    register.end(third, RunState::Done, None).await.unwrap();
    assert!(refusal(&register, third).await.contains("recompute"));
    let unknown = RunId::parse("9-0").unwrap();
    let unknown = register.repair(&unknown).await;
    assert!(matches!(unknown, Err(RegisterError::UnknownRun(_))));
}

#[tokio::test]
async fn a_run_of_a_cohort_that_was_reopened_cannot_be_repaired_and_goes_on() {
    let server = Server::start();
    let (redis, register) = register(&server).await;
    let run = RunId::parse("1-0").unwrap();
    register.create(&run, &Ok(of_cohort())).await.unwrap();
    let users = redis.keys().run_users(&run);
    let () = redis.commands().sadd(users, "ann").await.unwrap();
    assert!(register.start(&run, "d", 1, 1, 0).await.unwrap());
    assert!(register.end(&run, RunState::Done, None).await.unwrap());
    assert!(register.reopen(&run).await.unwrap());
    // Who was in it went when it was done.
    let before = register.run(&run).await.unwrap();
    assert!(refusal(&register, &run).await.contains("recompute"));
    let after = register.run(&run).await.unwrap();
    assert_eq!(after, before);
    assert_eq!((after.state, after.queued), (RunState::Running, true));
}
