//! One naming worker, the real program, with a backlog of jobs.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use sojourn::job::USERS_PER_NAME_JOB;
use sojourn::naming::{Account, LlmNamer, LlmOptions, Namer, Unnamed};
use sojourn::run::RunId;
use sojourn::store::JourneyReader;

use crate::cost::{Cost, Moment};
use crate::faulty::{Faulty, distinct_dataset};
use crate::llm::{Endpoint, answers};
use crate::support::{PATIENCE, Running, Server, command, json, said, wait_for};
use crate::{CONCURRENCY, JOURNEYS_PER_CALL, plain};

/// Users with two journeys each.
const USERS: u64 = 60_000;

/// Users whose questions the plain loop asks, again and again.
const ASKED_PLAINLY: u64 = 800;

/// What is measured: from when the first part of the names is there until little is left.
const FROM: u64 = 2 * USERS / 10;
const UNTIL: u64 = 2 * USERS * 9 / 10;

/// How often the endpoint is asked how far it is: seldom, as its books take a while to read.
const LOOK: Duration = Duration::from_millis(250);

/// What it took, each for the same names.
pub struct Measured {
    pub worker: Cost,
    pub endpoint: Cost,
    pub redis: Cost,
    pub plain: Cost,
}

pub async fn measure() -> Measured {
    let endpoint = Faulty::start(&json!({}));
    let server = Server::start_single_with(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    extract(&server, folder.path());

    let url = endpoint.url();
    let (calls, journeys) = (CONCURRENCY.to_string(), JOURNEYS_PER_CALL.to_string());
    // As many as can be said: more than are made.
    let most = u32::MAX.to_string();
    let arguments = [
        &["name", "--endpoint", &url, "--model", "fake"][..],
        &["--requests-per-minute", &most, "--concurrency", &calls],
        &["--journeys-per-call", &journeys],
    ];
    let worker = Running::start("sojourn-worker", &arguments.concat(), &server);
    let processes = [worker.0.id(), endpoint.pid(), server.nodes[0].pid()];
    let named = async |wanted: u64| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let report = endpoint.report().await;
            let named = report["journeys"]["named"].as_u64().expect("a number");
            if named >= wanted {
                return Moment::of(named, &processes);
            }
            assert!(Instant::now() < deadline, "waited too long for names");
            tokio::time::sleep(LOOK).await;
        }
    };
    let from = named(FROM).await;
    let costs = named(UNTIL).await.since(&from);
    drop(worker);

    let questions = folder.path().join("questions.jsonl");
    write_questions(&server, &questions).await;
    let calls = 2 * USERS as usize / JOURNEYS_PER_CALL;
    let plain = plain::measure(&url, &questions, calls);
    Measured {
        worker: costs[0],
        endpoint: costs[1],
        redis: costs[2],
        plain,
    }
}

/// Leaves jobs of everybody's journeys for a naming worker, and nobody else at work.
fn extract(server: &Server, folder: &Path) {
    let dataset = distinct_dataset(folder, USERS, USERS_PER_NAME_JOB as u64);
    let others = [
        Running::start("sojourn", &["serve", "--naming-backlog", "1000000"], server),
        Running::start("sojourn-worker", &["extract"], server),
    ];
    let ask = |arguments: &[&str]| {
        let mut program = command("sojourn");
        let output = program
            .args(arguments)
            .arg("--json")
            .env("SOJOURN_REDIS", server.url())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", said(&output));
        json(&output)
    };
    let run = ask(&["backfill", &dataset]);
    let run = run["run"].as_str().expect("a run");
    wait_for("journeys", || {
        let status = ask(&["run", run]);
        let is_done = status["counts"]["users"] == USERS;
        is_done.then_some(())
    });
    drop(others);
}

/// Writes the questions that a worker asks about some users, one a line.
async fn write_questions(server: &Server, file: &Path) {
    let endpoint = Endpoint::start(answers);
    let namer = LlmNamer::new(LlmOptions {
        endpoint: endpoint.url(),
        model: "fake".into(),
        api_key: None,
        journeys_per_call: JOURNEYS_PER_CALL,
        requests_per_minute: std::num::NonZeroU32::MAX,
        fallback: None,
    });
    let namer = Namer::Llm(Box::new(namer.expect("a URL")));
    let reader = JourneyReader::connect(&server.url()).await;
    let reader = reader.expect("it answers");
    let users: Vec<String> = (0..ASKED_PLAINLY).map(|user| format!("u{user}")).collect();
    let read = reader.journeys_of_many(&users).await.expect("it answers");
    let stored: Vec<_> = read
        .into_iter()
        .map(|user| user.expect("what was written").expect("somebody"))
        .collect();
    let unnamed = users.iter().zip(&stored).map(|(user, stored)| Unnamed {
        user,
        journeys: stored.journeys.iter().collect(),
        taken: Vec::new(),
    });
    let unnamed: Vec<Unnamed<'_>> = unnamed.collect();
    let account = Account {
        run: RunId::parse("1763947200000-0").expect("an id"),
    };
    namer.name(&unnamed, &account).await.expect("names");
    let questions = endpoint.questions();
    let lines: String = questions
        .iter()
        .map(|asked| format!("{}\n", asked.body))
        .collect();
    std::fs::write(file, lines).expect("room on disk");
}
