//! Runs whose dead jobs are done after all.

use std::time::Duration;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::journey::JourneyParams;
use sojourn::queue::{Kind, Lane, Outcome, Queues};
use sojourn::run::RunId;
use sojourn_scheduler::inbox;
use sojourn_scheduler::letters::{Choice, Filter, Letters};
use sojourn_scheduler::record::{RunState, RunStatus};
use sojourn_scheduler::register::Register;
use sojourn_scheduler::scheduler::{Scheduler, SchedulerOptions};
use sojourn_scheduler::trigger::{Request, RunKind, Scope};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{Server, small_dataset, wait_for_async};
use crate::{LEASE, enqueue, run, take};

/// A scheduler in this process that runs until the guard is dropped.
pub async fn start_scheduler(redis: &Redis) -> DropGuard {
    let options = SchedulerOptions {
        poll: Duration::from_millis(10),
        ..SchedulerOptions::default()
    };
    start_scheduler_with(redis, options).await
}

pub async fn start_scheduler_with(redis: &Redis, options: SchedulerOptions) -> DropGuard {
    let stop = CancellationToken::new();
    let scheduler = Scheduler::new(redis, options).await.unwrap();
    tokio::spawn(scheduler.run(stop.clone()));
    stop.drop_guard()
}

fn request(dataset: &str, scope: Scope) -> Request {
    Request {
        kind: match scope {
            Scope::All => RunKind::Backfill,
            Scope::Cohort(_) | Scope::ActiveSince(_) => RunKind::Recompute,
        },
        dataset: dataset.into(),
        scope,
        lane: Lane::Low,
        parameters: JourneyParams::default(),
        ttl_seconds: None,
    }
}

async fn wait_for_status(
    redis: &Redis,
    run: &RunId,
    wanted: impl Fn(&RunStatus) -> bool,
) -> RunStatus {
    let (register, queues) = (Register::new(redis), Queues::open(redis).await.unwrap());
    wait_for_async("a state of a run", async || {
        let status = register.status(run, &queues).await.ok()?;
        wanted(&status).then_some(status)
    })
    .await
}

/// Ends every extraction job in the low lane.
async fn settle_all(redis: &Redis, outcome: &Outcome) -> u64 {
    let extract = Queues::open(redis).await.unwrap().extract;
    let mut settled = 0;
    for partition in 0..extract.partitions() {
        while let Some(lease) = extract
            .take("w", Lane::Low, partition, LEASE)
            .await
            .unwrap()
        {
            assert!(extract.settle("w", &lease, outcome).await.unwrap());
            settled += 1;
        }
    }
    settled
}

pub fn of(run: &RunId) -> Choice {
    Choice::Like(Filter {
        run: Some(run.clone()),
        ..Filter::default()
    })
}

fn dead(error: &str) -> Outcome {
    Outcome::Dead {
        error: error.into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_done_goes_on_without_its_dataset_and_cohort_and_ends_again() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 20, 10);
    let redis = server.connect().await;
    let mut connection = redis.commands();
    let cohort = redis.keys().cohort("new");
    let users: Vec<String> = (0..20).map(|user| format!("u{user}")).collect();
    let () = connection.sadd(&cohort, &users).await.unwrap();
    let scheduler = start_scheduler(&redis).await;
    let scope = Scope::Cohort("new".into());
    let request = request(&dataset.display().to_string(), scope);
    let run = inbox::submit(&redis, &request).await.unwrap();
    wait_for_status(&redis, &run, |status| status.pending == 2).await;
    assert_eq!(settle_all(&redis, &dead("no disk")).await, 2);
    let is_done = |status: &RunStatus| status.record.state == RunState::Done;
    let ended = wait_for_status(&redis, &run, is_done).await;
    assert_eq!(ended.dead(), 2);
    // Nothing that it was planned from is left.
    let () = connection.del(&cohort).await.unwrap();
    std::fs::remove_dir_all(&dataset).unwrap();

    let letters = Letters::open(&redis).await.unwrap();
    let replay = letters.replay(&of(&run)).await.unwrap();
    assert_eq!((replay.replayed, replay.left.len()), (2, 0));
    assert_eq!(
        (&replay.runs, &replay.reopened),
        (&vec![run.clone()], &vec![run.clone()])
    );
    let is_running = |status: &RunStatus| status.record.state == RunState::Running;
    let status = wait_for_status(&redis, &run, is_running).await;
    assert_eq!((status.pending, status.dead()), (2, 0));
    assert_eq!(
        (status.record.finished, status.count("replayed")),
        (None, 2)
    );
    let key = redis.keys().run(&run);
    let ttl: i64 = connection.ttl(&key).await.unwrap();
    assert_eq!(ttl, -1, "a run that goes on does not expire");

    // A scheduler that has just begun knows no more than the register.
    drop(scheduler);
    let _scheduler = start_scheduler(&redis).await;
    let done = Outcome::Done(vec![("users", 10)]);
    assert_eq!(settle_all(&redis, &done).await, 2);
    let ended = wait_for_status(&redis, &run, is_done).await;
    assert_eq!(
        (ended.dead(), ended.count("done"), ended.count("users")),
        (0, 2, 20)
    );
    assert_eq!(ended.record.error, None);
    assert!(connection.ttl::<_, i64>(&key).await.unwrap() > 0);
    let nothing = letters.replay(&of(&run)).await.unwrap();
    assert_eq!((nothing.replayed, nothing.runs.len()), (0, 0));
}

/// Enters a run into the register by hand, without a scheduler.
pub async fn enter(redis: &Redis, run: &RunId) -> Register {
    let register = Register::new(redis);
    let request = Ok(request("/d", Scope::All));
    register.create(run, &request).await.unwrap();
    assert!(register.start(run, "id", 1, 1, 0).await.unwrap());
    register
}

#[tokio::test]
async fn a_scheduler_that_saw_nothing_pending_before_a_replay_does_not_end_the_run_after_it() {
    let server = Server::start();
    let redis = server.connect().await;
    let queues = Queues::open(&redis).await.unwrap();
    let register = enter(&redis, &run()).await;
    enqueue(&queues.extract, &run(), "a").await;
    crate::give_up(&queues.extract, "no disk").await;

    let seen = register.run(&run()).await.unwrap();
    assert_eq!(queues.extract.standing(&run()).await.unwrap().pending, 0);
    // Now, between the look of the scheduler and the end that it decides on.
    let letters = Letters::open(&redis).await.unwrap();
    let replay = letters.replay(&of(&run())).await.unwrap();
    assert_eq!((replay.replayed, replay.reopened.len()), (1, 0));
    assert!(!register.finish(&seen).await.unwrap());
    let seen = register.run(&run()).await.unwrap();
    assert_eq!((seen.state, seen.reopened), (RunState::Running, 1));

    let lease = take(&queues.extract, "w", LEASE).await.unwrap();
    let done = Outcome::Done(vec![]);
    assert!(queues.extract.settle("w", &lease, &done).await.unwrap());
    assert!(register.finish(&seen).await.unwrap());
    assert_eq!(register.run(&run()).await.unwrap().state, RunState::Done);
}

#[tokio::test]
async fn letters_of_runs_that_are_cancelled_failed_unknown_or_unreadable_are_left_and_counted() {
    let server = Server::start();
    let redis = server.connect().await;
    let queues = Queues::open(&redis).await.unwrap();
    let runs: Vec<RunId> = (0..5)
        .map(|n| RunId::parse(&format!("1763947200000-{n}")).unwrap())
        .collect();
    let mut register = Register::new(&redis);
    for run in &runs {
        if run != &runs[3] {
            register = enter(&redis, run).await;
        }
        enqueue(&queues.name, run, "a").await;
        crate::give_up(&queues.name, "e").await;
    }
    assert!(register.cancel(&runs[0], &queues).await.unwrap());
    let failed = register.end(&runs[1], RunState::Failed, Some("why")).await;
    assert!(failed.unwrap());
    assert!(register.end(&runs[2], RunState::Done, None).await.unwrap());

    let newest = redis.keys().run(&runs[4]);
    let () = redis
        .commands()
        .hset(newest, "state", "resting")
        .await
        .unwrap();

    let letters = Letters::open(&redis).await.unwrap();
    let all = Choice::Like(Filter::default());
    let replay = letters.replay(&all).await.unwrap();
    assert_eq!(
        (replay.replayed, &replay.reopened),
        (1, &vec![runs[2].clone()])
    );
    let left: Vec<_> = replay.left.into_iter().collect();
    let expected = [
        ("of a cancelled run", 1),
        ("of a failed run", 1),
        ("of a run of another version", 1),
        ("of a run that is forgotten", 1),
    ];
    assert_eq!(left, expected);
    for (run, state) in runs.iter().zip([RunState::Cancelled, RunState::Failed]) {
        assert!(!register.reopen(run).await.unwrap());
        assert_eq!(register.run(run).await.unwrap().state, state);
    }
    assert!(!register.reopen(&runs[3]).await.unwrap());
    let exists: bool = redis
        .commands()
        .exists(redis.keys().run(&runs[3]))
        .await
        .unwrap();
    assert!(!exists, "an unknown run stays unknown");
}

#[tokio::test]
async fn letters_of_both_kinds_and_all_partitions_are_listed_newest_first_and_counted() {
    let server = Server::start();
    let redis = server.connect().await;
    let queues = Queues::open(&redis).await.unwrap();
    let other = RunId::parse("1763947200001-0").unwrap();
    // More than fit two pages.
    for number in 0..150 {
        let run = if number % 3 == 0 { &other } else { &run() };
        enqueue(&queues.extract, run, &number.to_string()).await;
        crate::give_up(&queues.extract, &format!("error {}", number % 2)).await;
    }
    for number in 0..3 {
        enqueue(&queues.name, &other, &number.to_string()).await;
        crate::give_up(&queues.name, "of names").await;
    }
    let letters = Letters::open(&redis).await.unwrap();
    let everything = letters.list(Filter::default(), 10).await.unwrap();
    assert_eq!((everything.total, everything.letters.len()), (153, 10));
    assert!(
        everything
            .letters
            .is_sorted_by(|a, b| a.id.buried_ms() >= b.id.buried_ms())
    );
    // Two streams may have letters of the same millisecond.
    let mut jobs: Vec<_> = everything
        .letters
        .iter()
        .flat_map(|letter| &letter.job)
        .collect();
    jobs.sort();
    assert_eq!(
        jobs,
        [
            "0", "1", "143", "144", "145", "146", "147", "148", "149", "2"
        ]
    );
    let errors: Vec<(&str, u64)> = everything
        .errors
        .iter()
        .map(|(e, n)| (e.as_str(), *n))
        .collect();
    assert_eq!(errors, [("error 0", 75), ("error 1", 75), ("of names", 3)]);

    let total = async |filter: Filter| letters.list(filter, 0).await.unwrap().total;
    let none = Filter::default;
    let kind = Some(Kind::Name);
    assert_eq!(total(Filter { kind, ..none() }).await, 3);
    let run = Some(other);
    assert_eq!(
        total(Filter {
            run: run.clone(),
            ..none()
        })
        .await,
        53
    );
    let error = Some("or 1".to_owned());
    assert_eq!(
        total(Filter {
            error: error.clone(),
            ..none()
        })
        .await,
        75
    );
    assert_eq!(total(Filter { run, error, kind }).await, 0);

    let odd = Choice::Like(Filter {
        error: Some("error 1".into()),
        ..none()
    });
    assert_eq!(letters.drop(&odd).await.unwrap(), 75);
    assert_eq!(letters.drop(&odd).await.unwrap(), 0);
    assert_eq!(total(none()).await, 78);
}
