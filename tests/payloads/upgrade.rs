//! Old workers, jobs of old and new builds, then new workers.

use std::process::Stdio;

use serde_json::Value;
use sojourn::job::UserToName;
use sojourn::journey::JourneyParams;
use sojourn::queue::{Enqueued, Lane, NewJob, Outcome, Queue, Queues};
use sojourn::run::RunId;
use sojourn::store::{JourneyWriter, Meta, UserResult, Written};
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::register::Register;
use sojourn_scheduler::trigger::{Request, RunKind, Scope};

use crate::support::{
    Running, Server, command, json, said, small_dataset, sojourn, wait_for_async,
};
use crate::{DATASET, DATASET_ID, LATEST, extractions, naming, recorded};

fn run() -> RunId {
    RunId::parse("1763947200000-0").unwrap()
}

async fn enqueue(queue: &Queue, id: &str, payload: Vec<u8>) {
    let job = NewJob {
        id: id.into(),
        payload,
        size: None,
    };
    let enqueued = queue.enqueue(&run(), Lane::Low, 0, &[job]).await;
    assert_eq!(enqueued.unwrap(), Enqueued::Queued);
}

/// The same job as a build would write it whose layout has changed.
fn of_a_newer_build(mut payload: Vec<u8>) -> Vec<u8> {
    payload[0] = LATEST + 1;
    payload.push(7);
    payload
}

fn cut(mut payload: Vec<u8>) -> Vec<u8> {
    payload.truncate(payload.len() / 2);
    payload
}

/// A worker of this build, where relative paths lead to the dataset.
fn worker(kind: &str, server: &Server, folder: &std::path::Path) -> Running {
    let child = command("sojourn-worker")
        .arg(kind)
        .current_dir(folder)
        .env("SOJOURN_REDIS", server.url())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(child.expect("the program runs"))
}

fn ask(server: &Server, arguments: &[&str]) -> Value {
    let url = server.url();
    let output = sojourn(&[arguments, &["--json", "--redis", &url]].concat());
    assert!(output.status.success(), "{}", said(&output));
    json(&output)
}

/// Takes what is in the queue, asserts that it is this payload, and settles it as done.
async fn do_as_a_newer_build(queue: &Queue, payload: &[u8]) {
    let lease = std::time::Duration::from_secs(600);
    let lease = queue
        .take("newer", Lane::Low, 0, lease)
        .await
        .unwrap()
        .expect("a job");
    assert_eq!(lease.payload, payload);
    assert_eq!((lease.failures, lease.crashes, lease.attempt()), (0, 0, 2));
    let settled = queue.settle("newer", &lease, &Outcome::Done(vec![])).await;
    assert!(settled.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_workers_do_old_jobs_and_put_newer_ones_aside_for_those_that_understand_them() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), 40, 20);
    assert!(dataset.ends_with(DATASET));
    let manifest = sojourn::dataset::Manifest::load(&dataset.display().to_string())
        .await
        .unwrap();
    assert_eq!(manifest.id.len(), DATASET_ID.len());
    let with_id = |mut payload: Vec<u8>| {
        let id = DATASET_ID.as_bytes();
        let at = payload
            .windows(id.len())
            .position(|bytes| bytes == id)
            .unwrap();
        payload[at..at + id.len()].copy_from_slice(manifest.id.as_bytes());
        payload
    };

    let redis = server.connect().await;
    let queues = Queues::open(&redis).await.unwrap();
    let register = Register::new(&redis);
    let request = Request {
        kind: RunKind::Backfill,
        dataset: DATASET.into(),
        scope: Scope::All,
        lane: Lane::Low,
        parameters: JourneyParams::default(),
        ttl_seconds: None,
        budget: None,
    };
    register.create(&run(), &Ok(request)).await.unwrap();
    assert!(
        register
            .start(&run(), &manifest.id, 6, 40, 0)
            .await
            .unwrap()
    );

    let old = extractions().map(|(name, _)| (name, with_id(recorded(1, name))));
    for (name, payload) in &old {
        enqueue(&queues.extract, name, payload.clone()).await;
    }
    // What the extraction has left behind from which the recorded naming followed.
    for UserToName { user, .. } in naming().users {
        let meta = Meta {
            epoch: naming().epoch,
            attempt: 1,
            revision: 1,
            run: run(),
            dataset: manifest.id.clone(),
            parameters: String::new(),
            merge_threshold: None,
            exploration: None,
            written_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let result = UserResult {
            user: &user,
            meta,
            journeys: (&[]).into(),
            replaces_foreign: false,
        };
        let written = JourneyWriter::new(&redis).write(&[result], None).await;
        assert_eq!(written.unwrap(), [Written::Written]);
    }
    enqueue(&queues.name, "name", recorded(1, "name")).await;
    let newer = of_a_newer_build(old[0].1.clone());
    let newer_name = of_a_newer_build(recorded(1, "name"));
    enqueue(&queues.extract, "newer", newer.clone()).await;
    enqueue(&queues.extract, "corrupt", cut(old[1].1.clone())).await;
    enqueue(&queues.name, "newer", newer_name.clone()).await;
    enqueue(&queues.name, "corrupt", cut(recorded(1, "name"))).await;

    let workers = ["extract", "name"].map(|kind| worker(kind, &server, folder.path()));
    let status = wait_for_async("the jobs", async || {
        let status = register.status(&run(), &queues).await.unwrap();
        (status.pending == 0 && status.naming_pending == 0).then_some(status)
    })
    .await;
    let count = |name: &str| status.count(name);
    assert_eq!(
        (count("done"), count("dead"), count("naming_dead")),
        (4, 2, 2),
        "{status:?}"
    );
    // The shard has 20 users: all of them twice, once more because all were active, and of three by
    // name those that are in it.
    assert_eq!(
        count("users"),
        3 * 20 + 3 - count("users_unknown"),
        "{status:?}"
    );
    assert!((1..=3).contains(&count("users_unknown")), "{status:?}");
    // Those that follow from the extractions, and the recorded one.
    assert!(count("naming_done") >= 2, "{status:?}");
    let reasons =
        |of: &str, kind: &str| ask(&server, &["dead", "list", "--kind", kind, "--error", of]);
    for kind in ["extract", "name"] {
        let listed = reasons(&format!("newer version {}", LATEST + 1), kind);
        assert_eq!(listed["total"], 1, "{listed}");
        let letter = &listed["letters"][0];
        assert_eq!(
            (&letter["job"], &letter["attempts"]),
            (&"newer".into(), &1.into())
        );
        let reason = letter["unreadable"].as_str().unwrap();
        assert!(reason.contains("upgrade"), "{reason}");
        let listed = reasons("corrupt", kind);
        assert_eq!(
            (&listed["total"], &listed["letters"][0]["job"]),
            (&1.into(), &"corrupt".into())
        );
    }
    assert!(register.end(&run(), RunState::Done, None).await.unwrap());

    // The upgrade: workers first, then what was put aside, then the scheduler.
    for mut worker in workers {
        assert!(worker.terminate().success());
    }
    let replayed = ask(&server, &["dead", "replay", "--error", "newer version"]);
    assert_eq!(
        (&replayed["replayed"], &replayed["reopened"][0]),
        (&2.into(), &run().as_str().into())
    );
    do_as_a_newer_build(&queues.extract, &newer).await;
    do_as_a_newer_build(&queues.name, &newer_name).await;
    let _scheduler = Running::start("sojourn", &["serve"], &server);
    let status = wait_for_async("the end of the run", async || {
        let status = register.status(&run(), &queues).await.unwrap();
        status.record.state.is_over().then_some(status)
    })
    .await;
    assert_eq!(status.record.state, RunState::Done);
    assert_eq!(
        (status.count("done"), status.count("dead")),
        (5, 1),
        "{status:?}"
    );
    assert_eq!(status.count("naming_dead"), 1, "{status:?}");
}
