//! What Redis has lost is noticed and done again: a scheduler in this process that looks often, real
//! workers, and a Redis that somebody damages.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::journey::NameSource;
use sojourn::keys::PartitionKeys;
use sojourn::naming::Namer;
use sojourn::queue::{Kind, Lane, Outcome, Queues, Renewal, Work};
use sojourn::run::RunId;
use sojourn::store::{JourneyReader, UserJourneys};
use sojourn_scheduler::inbox;
use sojourn_scheduler::record::{RunState, RunStatus};
use sojourn_scheduler::register::{Register, RegisterError};
use sojourn_scheduler::scheduler::{Scheduler, SchedulerOptions};
use sojourn_scheduler::trigger::Scope;
use sojourn_workers::naming::NamingWorker;
use support::run::{backfill, status, wait_for_status};
use support::{Running, Server, command, said, small_dataset, wait_for_async};
use tokio_util::sync::{CancellationToken, DropGuard};

const PARTITIONS: u32 = 4;

/// Journeys that each user of the dataset has.
const JOURNEYS: u64 = 2;

/// A scheduler that looks for what was lost all the time, until the guard is dropped.
async fn schedule(redis: &Redis) -> DropGuard {
    schedule_with_depth(redis, SchedulerOptions::default().queue_depth).await
}

async fn schedule_with_depth(redis: &Redis, queue_depth: u64) -> DropGuard {
    let options = SchedulerOptions {
        queue_depth,
        poll: Duration::from_millis(20),
        reconcile: Duration::from_millis(50),
        ..SchedulerOptions::default()
    };
    let stop = CancellationToken::new();
    let scheduler = Scheduler::new(redis, options).await.unwrap();
    tokio::spawn(scheduler.run(stop.clone()));
    stop.drop_guard()
}

fn extract(server: &Server) -> Running {
    Running::start("sojourn-worker", &["extract", "--lease", "2"], server)
}

fn name(server: &Server) -> Running {
    Running::start("sojourn-worker", &["name", "--lease", "2"], server)
}

async fn wait_until_over(redis: &Redis, run: &RunId) -> RunStatus {
    wait_for_status(redis, run, |status| status.record.state.is_over()).await
}

fn partitions(redis: &Redis, kind: Kind) -> Vec<PartitionKeys> {
    let keys = redis.keys();
    (0..PARTITIONS).map(|n| keys.partition(kind, n)).collect()
}

async fn results(redis: &Redis, users: usize) -> Vec<UserJourneys> {
    let ids: Vec<String> = (0..users).map(|user| format!("u{user}")).collect();
    let found = JourneyReader::new(redis).journeys_of_many(&ids).await;
    let found = found.unwrap().into_iter().zip(ids);
    found
        .map(|(found, id)| {
            found
                .unwrap()
                .unwrap_or_else(|| panic!("{id} has no results"))
        })
        .collect()
}

/// Checks that a run is done, with everybody's journeys and names, and that its counts say so.
async fn assert_whole(redis: &Redis, status: &RunStatus, users: usize) {
    assert_eq!(status.record.state, RunState::Done, "{status:?}");
    for user in results(redis, users).await {
        assert_eq!(user.journeys.len() as u64, JOURNEYS);
        let named = |source| matches!(source, NameSource::Terms | NameSource::Llm);
        assert!(
            user.journeys.iter().all(|j| named(j.name_source)),
            "{user:?}"
        );
    }
    let jobs = status.record.jobs;
    let counts = ["jobs", "planned", "done"].map(|name| status.count(name));
    assert_eq!(counts, [jobs; 3], "{status:?}");
    assert_eq!(status.count("users"), users as u64, "{status:?}");
    let journeys = JOURNEYS * users as u64;
    let counts = ["journeys", "journeys_to_name", "named"].map(|name| status.count(name));
    assert_eq!(counts, [journeys; 3], "{status:?}");
    assert_eq!(
        status.count("naming_jobs"),
        status.count("naming_done"),
        "{status:?}"
    );
    assert_eq!((status.dead(), status.lost), (0, 0), "{status:?}");
}

/// Entries of a lane, the oldest first.
async fn entries(redis: &Redis, lane: &str) -> Vec<String> {
    let found: redis::streams::StreamRangeReply = redis.commands().xrange_all(lane).await.unwrap();
    found.ids.into_iter().map(|entry| entry.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_whose_entries_were_deleted_are_done_and_counted_once() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 40, 1);
    let redis = server.connect().await;
    let mut connection = redis.commands();
    let _scheduler = schedule(&redis).await;
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    wait_for_status(&redis, &run, |status| status.pending == 40).await;

    let lanes: Vec<String> = partitions(&redis, Kind::Extract)
        .iter()
        .map(|keys| keys.lane(Lane::Low))
        .collect();
    let queue = Queues::open(&redis).await.unwrap().extract;
    let lease = Duration::from_secs(600);
    let held = queue.take("w", Lane::Low, 0, lease).await.unwrap().unwrap();
    let silent = queue.take("w", Lane::Low, 0, lease).await.unwrap().unwrap();
    // Two that are leased and one that is ready, a whole lane, and a group with a leased job.
    let of_first = entries(&redis, &lanes[0]).await;
    let () = connection.xdel(&lanes[0], &of_first[..3]).await.unwrap();
    let () = connection.del(&lanes[1]).await.unwrap();
    assert!(
        queue
            .take("w", Lane::Low, 2, lease)
            .await
            .unwrap()
            .is_some()
    );
    let () = connection
        .xgroup_destroy(&lanes[2], "workers")
        .await
        .unwrap();
    wait_for_status(&redis, &run, |status| status.count("requeued") >= 13).await;

    assert_eq!(queue.renew("w", &silent).await.unwrap(), Renewal::Lost);
    let done = Outcome::Done(vec![("users", 1)]);
    assert!(
        !queue.settle("w", &held, &done).await.unwrap(),
        "its entry is gone, and another has the job"
    );
    let _workers = (extract(&server), name(&server));
    let done = wait_until_over(&redis, &run).await;
    assert_whole(&redis, &done, 40).await;
    assert_eq!(
        done.count("requeued"),
        13,
        "nothing that was there was queued again"
    );

    // Whatever attempt wrote a result, those of a run that begins again are later ones.
    Register::new(&redis).repair(&run).await.unwrap();
    let repaired = wait_until_over(&redis, &run).await;
    assert_eq!(repaired.count("retried"), 0, "{repaired:?}");
    assert_whole(&redis, &repaired, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_forgot_everything_is_planned_again() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 40, 1);
    let redis = server.connect().await;
    let _scheduler = schedule(&redis).await;
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    wait_for_status(&redis, &run, |status| status.pending == 40).await;
    let keys = &partitions(&redis, Kind::Extract)[3];
    let forgotten = [keys.lane(Lane::Low), keys.run(&run), keys.pending(&run)];
    let () = redis.commands().del(&forgotten).await.unwrap();
    wait_for_status(&redis, &run, |status| status.pending == 40).await;
    let _workers = (extract(&server), name(&server));
    assert_whole(&redis, &wait_until_over(&redis, &run).await, 40).await;
}

/// More jobs than are done between two looks at them.
const MANY: usize = 800;

/// Copies the append-only files of a server.
fn copy_data(server: &Server, to: &Path) {
    let from = server.folder.path().join("appendonlydir");
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_goes_back_in_time_ends_its_run_with_every_result() {
    let mut server = Server::start_single_with(&["--appendfsync", "always"]);
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), MANY, 1);
    let redis = server.connect().await;
    let _scheduler = schedule(&redis).await;
    let _workers = (extract(&server), name(&server));
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    wait_for_status(&redis, &run, |status| status.count("named") >= 100).await;
    let earlier: PathBuf = folder.path().join("earlier");
    copy_data(&server, &earlier);
    let later = wait_for_status(&redis, &run, |status| status.count("done") >= 350).await;
    assert!(later.count("done") < MANY as u64);
    server.kill();
    let data = server.folder.path().join("appendonlydir");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&earlier, &data).unwrap();
    server.restart();
    let back = wait_for_async("an earlier state", async || status(&redis, &run).await).await;
    assert!(back.count("done") < later.count("done"), "{back:?}");
    assert_whole(&redis, &wait_until_over(&redis, &run).await, MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_end_before_a_redis_that_went_back_in_time_has_all_of_its_jobs() {
    let mut server = Server::start_single_with(&["--appendfsync", "always"]);
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 40, 1);
    let redis = server.connect().await;
    let _scheduler = schedule_with_depth(&redis, 5).await;
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    wait_for_status(&redis, &run, |status| status.count("planned") == 20).await;
    let names = Queues::open(&redis).await.unwrap().name;
    names.pause_lane(Lane::Low).await.unwrap();
    let earlier: PathBuf = folder.path().join("earlier");
    copy_data(&server, &earlier);
    let _workers = (extract(&server), name(&server));
    // Everything was queued and nothing of it is pending; only names keep the run from its end.
    wait_for_status(&redis, &run, |status| status.count("done") == 40).await;
    server.kill();
    let data = server.folder.path().join("appendonlydir");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&earlier, &data).unwrap();
    server.restart();
    wait_for_async("an open lane", async || {
        names.resume_lane(Lane::Low).await.ok()
    })
    .await;
    assert_whole(&redis, &wait_until_over(&redis, &run).await, 40).await;
}

/// A run whose extraction is done, and whose naming jobs wait for a worker.
async fn extracted(server: &Server, redis: &Redis, users: usize) -> (RunId, DropGuard, Running) {
    let folder = tempfile::tempdir().unwrap();
    // The workers read it now only: it is not missed later, and a run that begins again needs it.
    let dataset = small_dataset(folder.path(), users, 5).to_owned();
    let _kept = folder.keep();
    let scheduler = schedule(redis).await;
    let worker = extract(server);
    let run = inbox::submit(redis, &backfill(&dataset)).await.unwrap();
    wait_until_extracted(redis, &run, 0, users as u64 / 5).await;
    (run, scheduler, worker)
}

/// Waits until all extraction jobs are done, and so many naming jobs wait.
async fn wait_until_extracted(redis: &Redis, run: &RunId, restarts: u64, naming: u64) -> RunStatus {
    wait_for_status(redis, run, |status| {
        status.record.restarts == restarts
            && status.record.jobs > 0
            && status.count("done") == status.record.jobs
            && status.naming_pending == naming
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_jobs_that_vanished_with_all_that_was_known_of_them_are_queued_again() {
    let server = Server::start();
    let redis = server.connect().await;
    let (run, _scheduler, _worker) = extracted(&server, &redis, 40).await;
    for keys in partitions(&redis, Kind::Name) {
        let forgotten = [keys.lane(Lane::Low), keys.run(&run), keys.pending(&run)];
        let () = redis.commands().del(&forgotten).await.unwrap();
    }
    wait_until_extracted(&redis, &run, 1, 8).await;
    let _worker = name(&server);
    assert_whole(&redis, &wait_until_over(&redis, &run).await, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_jobs_whose_entries_vanished_are_queued_again_and_names_that_are_there_are_kept() {
    let server = Server::start();
    let redis = server.connect().await;
    let (run, _scheduler, _worker) = extracted(&server, &redis, 60).await;
    let queue = Queues::open(&redis).await.unwrap().name;
    let worker = NamingWorker::new(&redis, Namer::Terms);
    let lease = Duration::from_secs(600);
    let mut connection = redis.commands();
    let mut named = 0;
    for (partition, keys) in (0..).zip(partitions(&redis, Kind::Name)) {
        let lane = keys.lane(Lane::Low);
        // The first is named, and nobody knows of the others any more.
        let first = queue.take("w", Lane::Low, partition, lease).await.unwrap();
        let Some(first) = first else { continue };
        let counts = worker
            .perform(&first, &CancellationToken::new(), support::contact())
            .await;
        let done = Outcome::Done(counts.unwrap());
        assert!(queue.settle("w", &first, &done).await.unwrap());
        named += 1;
        let others = entries(&redis, &lane).await;
        if !others.is_empty() {
            let () = connection.xdel(&lane, &others).await.unwrap();
        }
    }
    assert!(named < 12, "there are jobs to be lost");
    let before = wait_until_extracted(&redis, &run, 1, 12 - named).await;
    assert_eq!(before.count("naming_done"), 0, "{before:?}");
    let _naming = name(&server);
    let done = wait_until_over(&redis, &run).await;
    assert_eq!(done.count("naming_done"), 12 - named, "{done:?}");
    assert_whole(&redis, &done, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_jobs_vanish_every_time_ends_and_says_what_to_do() {
    let server = Server::start();
    let redis = server.connect().await;
    let (run, _scheduler, _worker) = extracted(&server, &redis, 20).await;
    for restarts in 0..=2 {
        wait_until_extracted(&redis, &run, restarts, 4).await;
        for keys in partitions(&redis, Kind::Name) {
            let () = redis.commands().del(keys.lane(Lane::Low)).await.unwrap();
        }
    }
    let done = wait_until_over(&redis, &run).await;
    assert_eq!(
        (done.record.state, done.lost),
        (RunState::Done, 4),
        "{done:?}"
    );
    let output = command("sojourn")
        .args(["run", run.as_str()])
        .env("SOJOURN_REDIS", server.url())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains(&format!("sojourn repair {run}")), "{shown}");

    let _naming = name(&server);
    let repair = command("sojourn")
        .args(["repair", run.as_str(), "--watch"])
        .env("SOJOURN_REDIS", server.url())
        .output()
        .unwrap();
    assert!(repair.status.success(), "{}", said(&repair));
    assert_whole(&redis, &status(&redis, &run).await.unwrap(), 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_writes_results_that_are_gone_and_asks_for_no_name_that_is_there() {
    let server = Server::start();
    let redis = server.connect().await;
    let (run, _scheduler, _worker) = extracted(&server, &redis, 40).await;
    let _naming = name(&server);
    let first = wait_until_over(&redis, &run).await;
    assert_whole(&redis, &first, 40).await;
    let before = results(&redis, 40).await;
    let gone = ["u7", "u23"].map(|user| [redis.keys().names(user), redis.keys().journeys(user)]);
    let () = redis.commands().del(gone.as_flattened()).await.unwrap();

    Register::new(&redis).repair(&run).await.unwrap();
    let second = wait_until_over(&redis, &run).await;
    assert_eq!(second.record.restarts, 1);
    let after = results(&redis, 40).await;
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
async fn a_repair_of_a_run_that_is_under_way_begins_again_and_counts_nothing_twice() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), MANY, 1);
    let redis = server.connect().await;
    let _scheduler = schedule(&redis).await;
    let _workers = (extract(&server), name(&server));
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    wait_for_status(&redis, &run, |status| status.count("done") >= 100).await;
    Register::new(&redis).repair(&run).await.unwrap();
    let done = wait_until_over(&redis, &run).await;
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
    for user in results(&redis, MANY).await {
        let named = |journey: &sojourn::journey::Journey| !journey.wants_name();
        assert!(user.journeys.iter().all(named), "{user:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_repaired_says_why() {
    let server = Server::start();
    let redis = server.connect().await;
    let register = Register::new(&redis);
    let queues = Queues::open(&redis).await.unwrap();
    let refusal = async |run: &RunId| match register.repair(run).await {
        Err(RegisterError::BeyondRepair { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let mut of_cohort = backfill(Path::new("/d"));
    of_cohort.scope = Scope::Cohort("new".into());
    let ids = ["1-0", "2-0", "3-0"].map(|id| RunId::parse(id).unwrap());
    let [first, second, third] = &ids;
    let planned = Ok(backfill(Path::new("/d")));
    register.create(first, &planned).await.unwrap();
    assert!(refusal(first).await.contains("not planned"));
    register.pause(first, &queues).await.unwrap();
    assert!(refusal(first).await.contains("sojourn resume 1-0"));
    register.cancel(first, &queues).await.unwrap();
    assert!(refusal(first).await.contains("cancelled"));
    register.create(second, &Err("no".into())).await.unwrap();
    assert!(refusal(second).await.contains("failed"));
    register.create(third, &Ok(of_cohort)).await.unwrap();
    register.end(third, RunState::Done, None).await.unwrap();
    assert!(refusal(third).await.contains("recompute"));
    let unknown = RunId::parse("9-0").unwrap();
    let unknown = register.repair(&unknown).await;
    assert!(matches!(unknown, Err(RegisterError::UnknownRun(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_stayed_paused_while_its_run_goes_on_is_resumed() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 20, 1);
    let redis = server.connect().await;
    let _scheduler = schedule(&redis).await;
    let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
    wait_for_status(&redis, &run, |status| status.pending == 20).await;
    // As after a pause and a resume at the same moment, of which the resume reached the register last.
    let queues = Queues::open(&redis).await.unwrap();
    queues.extract.pause(&run, Lane::Low).await.unwrap();
    let _workers = (extract(&server), name(&server));
    assert_whole(&redis, &wait_until_over(&redis, &run).await, 20).await;
}
