//! Workers that fall asleep with a job in hand, and wake when others have done it, and a newer run
//! has been over the same users.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};

use crate::figures::Figures;
use crate::llm::{Endpoint, Question, answers, good_names, says};
use crate::population::Population;
use crate::process::{Process, Role, Site};
use crate::proxy::{Proxy, Weather};
use crate::run::{Counts, Run, query};
use crate::state::{everything, held};
use crate::support::Server;
use crate::wait_long;

/// Silence after which a job is taken over: the shortest that can be set.
const LEASE: [&str; 2] = ["--lease", "1"];

/// Users of the population: enough for a job to take a while.
const USERS: usize = 3_000;

/// Waits until a worker holds a job, and results of its run are there: it is in the middle of it.
fn wait_until_at_work(server: &Server, worker: &Process) {
    wait_long("a job that is begun", || {
        let users: u64 = query(server, &["DBSIZE"]).ok()?;
        // Some keys are those of queues and runs.
        (held(server, worker)? > 0 && users > 100).then_some(())
    });
}

/// Waits until a worker that does nothing holds nothing any more.
fn wait_until_taken_over(server: &Server, worker: &Process) {
    wait_long("somebody to take the job over", || {
        (held(server, worker)? == 0).then_some(())
    });
}

/// Ends a process that is awake again, and returns how many jobs it says to have lost, which
/// nothing in Redis shows.
fn lost_by(mut worker: Process) -> u64 {
    worker.ask_to_end();
    let (status, _) = worker.wait();
    assert!(status.success(), "{status}: {}", worker.said());
    worker.summary().get("lost")
}

/// What differs between two states, but for accounts: calls that somebody made have been made, and cost
/// what they cost, whoever has the job by now.
fn differing(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let is_account = |key: &&String| key.starts_with("sj:{llm}:");
    let keys = before.keys().chain(after.keys());
    let keys = keys.filter(|key| !is_account(key));
    let mut differing: Vec<String> = keys
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| format!("{key}: {:?} became {:?}", before.get(key), after.get(key)))
        .collect();
    differing.dedup();
    differing
}

/// Shows what a sleeper changed, and asserts that it is nothing.
fn assert_unchanged(
    scenario: &'static str,
    server: &Server,
    before: &BTreeMap<String, String>,
    counts: &[Counts],
    lost: u64,
) {
    let after = everything(server);
    let changed = differing(before, &after);
    let sum = |name: &str| counts.iter().map(|counts| counts.get(name)).sum::<u64>();
    Figures::of(scenario)
        .add("runs", counts.len())
        .add("jobs", sum("done"))
        .add("users", sum("users"))
        .add("journeys named", sum("named"))
        .add("dead", sum("dead") + sum("naming_dead"))
        .add("jobs that the sleeper lost", lost)
        .add("keys", after.len())
        .add("keys that changed", changed.len())
        .show();
    assert!(changed.is_empty(), "{:?}", &changed[..changed.len().min(3)]);
    for counts in counts {
        assert_eq!(counts.get("users"), USERS as u64, "{counts:?}");
        assert_eq!(
            counts.get("dead") + counts.get("naming_dead"),
            0,
            "{counts:?}"
        );
    }
    assert!(lost > 0, "the sleeper was not at work");
}

/// A server with a scheduler and a population, and what of workers there is comes from the test.
struct Scene {
    server: Server,
    population: Population,
    _scheduler: Process,
}

impl Scene {
    fn new(users_per_shard: usize) -> Scene {
        let server = Server::start_single_with(&[]);
        let scheduler = Process::start(Role::Scheduler, &Site::on(&server), &[]);
        Scene {
            population: Population::new(USERS, users_per_shard),
            _scheduler: scheduler,
            server,
        }
    }

    fn worker(&self, role: Role) -> Process {
        Process::start(role, &Site::on(&self.server), &LEASE)
    }

    fn backfill(&self) -> Run<'_> {
        Run::backfill(&self.server, &self.population.dataset)
    }
}

#[test]
fn an_extraction_worker_that_sleeps_past_its_lease_changes_nothing_when_it_wakes() {
    let scene = Scene::new(USERS);
    let sleeper = scene.worker(Role::Extract);
    let first = scene.backfill();
    wait_until_at_work(&scene.server, &sleeper);
    sleeper.stop();
    assert_eq!(held(&scene.server, &sleeper), Some(1), "it had finished");

    let _others = [Role::Extract, Role::Name].map(|role| scene.worker(role));
    let first = first.wait_until_done();
    let second = scene.backfill().wait_until_done();
    let before = everything(&scene.server);
    sleeper.wake();
    let lost = lost_by(sleeper);
    assert_unchanged(
        "sleeping extraction worker",
        &scene.server,
        &before,
        &[first, second],
        lost,
    );
}

/// A model that keeps everybody waiting until it is told to answer.
struct SlowModel {
    may_answer: &'static (Mutex<bool>, Condvar),
    endpoint: Endpoint,
}

impl SlowModel {
    fn start() -> SlowModel {
        // Its threads end with the process, and so may this.
        let may_answer: &'static (Mutex<bool>, Condvar) = Box::leak(Box::default());
        let endpoint = Endpoint::start(move |question: &Question| {
            let (told, changed) = may_answer;
            let told = told.lock().expect("no thread panicked");
            let _told = changed.wait_while(told, |told| !*told);
            let late = |(id, name): (String, String)| (id, format!("{name} too late"));
            says(good_names(question).into_iter().map(late).collect())
        });
        SlowModel {
            may_answer,
            endpoint,
        }
    }

    fn answer(&self) {
        *self.may_answer.0.lock().expect("no thread panicked") = true;
        self.may_answer.1.notify_all();
    }
}

/// A naming worker that asks a model.
fn asking(endpoint: &Endpoint, site: &Site) -> Process {
    let url = endpoint.url();
    let model = ["--namer", "llm", "--endpoint", &url, "--model", "fake"];
    let pace = ["--requests-per-minute", "60000"];
    // A good answer may be kept for others whenever it comes.
    let alone = ["--cache-days", "0"];
    Process::start(
        Role::Name,
        site,
        &[&LEASE[..], &model, &pace, &alone].concat(),
    )
}

/// How many journeys of a server bear a name of the slow model.
fn named_too_late(server: &Server) -> usize {
    let state = everything(server);
    state
        .values()
        .filter(|text| text.contains("too late"))
        .count()
}

#[test]
fn a_naming_worker_that_sleeps_past_its_lease_changes_nothing_when_it_wakes() {
    let scene = Scene::new(200);
    let slow = SlowModel::start();
    let quick = Endpoint::start(answers);
    let _extract = scene.worker(Role::Extract);
    let sleeper = asking(&slow.endpoint, &Site::on(&scene.server));
    let first = scene.backfill();
    wait_long("a question", || {
        (!slow.endpoint.questions().is_empty()).then_some(())
    });
    sleeper.stop();
    assert!(held(&scene.server, &sleeper) > Some(0));

    let _namer = asking(&quick, &Site::on(&scene.server));
    let first = first.wait_until_done();
    let second = scene.backfill().wait_until_done();
    let before = everything(&scene.server);
    slow.answer();
    sleeper.wake();
    let lost = lost_by(sleeper);
    assert_unchanged(
        "sleeping naming worker",
        &scene.server,
        &before,
        &[first, second],
        lost,
    );
    assert_eq!(named_too_late(&scene.server), 0);
}

/// Text that only a write of journeys holds: the beginning of `_meta` as a first run writes it.
const WRITE_OF_JOURNEYS: &str = r#"{"epoch":1,"attempt":1,"revision":"#;

#[test]
fn journeys_that_the_network_delivers_late_change_nothing() {
    let scene = Scene::new(USERS);
    let proxy = Proxy::before(&scene.server.nodes[0].socket());
    let site = Site {
        url: proxy.url(),
        ..Site::on(&scene.server)
    };
    proxy.set(Weather::HeldFrom(WRITE_OF_JOURNEYS));
    let late = Process::start(Role::Extract, &site, &LEASE);
    let first = scene.backfill();
    wait_long("a write", || {
        (proxy.weather() == Weather::Held).then_some(())
    });

    let others = [Role::Extract, Role::Name].map(|role| scene.worker(role));
    wait_until_taken_over(&scene.server, &late);
    let first = first.wait_until_done();
    let second = scene.backfill().wait_until_done();
    drop(others);
    let before = everything(&scene.server);
    proxy.set(Weather::Clear);
    let lost = lost_by(late);
    assert_unchanged(
        "late write of journeys",
        &scene.server,
        &before,
        &[first, second],
        lost,
    );
}

/// Text that only a write of names holds, as the slow model makes them.
const WRITE_OF_NAMES: &str = " too late";

#[test]
fn names_that_the_network_delivers_late_change_nothing() {
    let scene = Scene::new(200);
    let proxy = Proxy::before(&scene.server.nodes[0].socket());
    let site = Site {
        url: proxy.url(),
        ..Site::on(&scene.server)
    };
    let slow = SlowModel::start();
    slow.answer();
    proxy.set(Weather::HeldFrom(WRITE_OF_NAMES));
    let _extract = scene.worker(Role::Extract);
    let late = asking(&slow.endpoint, &site);
    let first = scene.backfill();
    wait_long("a write", || {
        (proxy.weather() == Weather::Held).then_some(())
    });

    let quick = Endpoint::start(answers);
    let _namer = asking(&quick, &Site::on(&scene.server));
    wait_until_taken_over(&scene.server, &late);
    let first = first.wait_until_done();
    let second = scene.backfill().wait_until_done();
    let before = everything(&scene.server);
    proxy.set(Weather::Clear);
    let lost = lost_by(late);
    assert_unchanged(
        "late write of names",
        &scene.server,
        &before,
        &[first, second],
        lost,
    );
    assert_eq!(named_too_late(&scene.server), 0);
}
