//! Runs that may not cost more than somebody wants to pay, through the real programs.

use std::process::{Command, Output};

use redis::AsyncCommands;
use serde_json::Value;
use sojourn::naming::Ledger;
use sojourn::run::RunId;

use crate::llm::{Endpoint, answers};
use crate::support::{self, Running, Server, command, said, small_dataset, wait_for};

/// Of the tokens of an answer, of which each of the endpoint's has 5.
const PRICE: u64 = 1_000_000;

/// An answer about 8 journeys may have 360 tokens, so three are made, and then none that might have 360.
const BUDGET: u64 = 370;

struct Deployment {
    server: Server,
    endpoint: Endpoint,
    dataset: String,
    _folder: tempfile::TempDir,
    _processes: [Running; 2],
}

fn deployment() -> Deployment {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    Deployment {
        dataset: small_dataset(folder.path(), 40, 4).display().to_string(),
        endpoint: Endpoint::start(answers),
        _processes: [
            Running::start("sojourn", &["serve"], &server),
            Running::start("sojourn-worker", &["extract"], &server),
        ],
        _folder: folder,
        server,
    }
}

impl Deployment {
    fn naming_worker(&self, more: &[&str]) -> Running {
        let url = self.endpoint.url();
        let model = ["name", "--endpoint", &url, "--model", "fake"];
        // All users have the same journeys, and each is to be paid for.
        let unshared = ["--cache-days", "0"];
        // So much that the money is for a few calls.
        let packed = ["--journeys-per-call", "8"];
        let arguments = [&model[..], &unshared, &packed, more].concat();
        Running::start("sojourn-worker", &arguments, &self.server)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut program = command("sojourn");
        program.args(arguments);
        program.env("SOJOURN_REDIS", self.server.url());
        program
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).arg("--json").output().unwrap()
    }

    /// What people read.
    fn words(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.output(arguments);
        assert!(output.status.success(), "{}", said(&output));
        support::json(&output)
    }

    fn backfill(&self, budget: &str) -> String {
        let asked = self.ask(&["backfill", &self.dataset, "--budget", budget]);
        asked["run"].as_str().unwrap().to_owned()
    }

    /// Waits until a run is in a state, and returns all that is known of it.
    fn wait_for(&self, run: &str, state: &str) -> Value {
        wait_for(state, || {
            let output = self.output(&["run", run]);
            // It is unknown until a scheduler has read the request.
            let status = output.status.success().then(|| support::json(&output))?;
            (status["state"] == state).then_some(status)
        })
    }
}

const PRICES: [&str; 4] = ["--price-input", "0", "--price-output", "1000000"];

#[test]
fn a_run_waits_when_its_budget_is_spent_and_goes_on_when_it_is_raised() {
    let deployment = deployment();
    let _worker = deployment.naming_worker(&PRICES);
    let run = deployment.backfill(&BUDGET.to_string());
    let status = deployment.wait_for(&run, "budget");
    let calls = status["ledger"]["calls"].as_u64().unwrap();
    assert!((1..=3).contains(&calls), "{status}");
    assert_eq!(deployment.endpoint.questions().len() as u64, calls);
    // What it has cost, and nothing that it might have.
    let spent = 5 * calls * PRICE / 1_000_000;
    assert_eq!(status["ledger"]["money"], format!("{spent}.00"));
    assert_eq!(status["budget"], format!("{BUDGET}.00"));
    let words = deployment.words(&["run", &run]);
    let remedy = format!("`sojourn budget {run} AMOUNT` raises it");
    assert!(words.contains(&remedy), "{words}");
    // Extraction goes on all the same.
    wait_for("the extraction", || {
        let status = deployment.ask(&["run", &run]);
        (status["pending"] == 0 && status["counts"]["done"] == status["jobs"]).then_some(())
    });
    // Not enough for another call.
    deployment.ask(&["budget", &run, &format!("{}", BUDGET - 1)]);
    deployment.wait_for(&run, "budget");
    assert_eq!(deployment.endpoint.questions().len() as u64, calls);

    let raised = deployment.ask(&["budget", &run, "10000"]);
    assert_eq!(raised["budget"], "10000.00");
    let done = deployment.wait_for(&run, "done");
    let count = |name: &str| done["counts"][name].as_u64().unwrap_or(0);
    assert_eq!((count("named"), count("naming_dead")), (80, 0), "{done}");
    let calls = deployment.endpoint.questions().len() as u64;
    assert_eq!(done["ledger"]["calls"], calls, "{done}");
    assert_eq!(done["ledger"]["money"], format!("{}.00", 5 * calls));
    // Those of jobs that were put off for want of money as well.
    let sources = ["names_llm", "names_cached", "names_kept", "names_fallback"].map(count);
    assert_eq!(sources.iter().sum::<u64>(), 80, "{done}");

    let words = deployment.words(&["run", &run]);
    let tokens = |kind: &str| done["ledger"][kind].as_u64().unwrap();
    let [tokens_in, cached, out] = ["tokens_in", "tokens_cached", "tokens_out"].map(tokens);
    let [llm, equal, kept, fallback] = sources;
    for line in [
        format!(
            "  model      {calls} calls, 0 of them again, 0 elsewhere; {tokens_in} tokens in, {cached} \
             of them cached, {out} out\n             0 answers cut, {} names rejected\n",
            count("names_rejected")
        ),
        format!(
            "  sources    {llm} names by the model, {equal} of equal journeys, {kept} earlier ones and \
             {fallback} of terms where no answer would do\n"
        ),
        format!("  money      {}.00 of 10000.00\n", 5 * calls),
    ] {
        assert!(words.contains(&line), "{line}{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_the_money_of_a_day_goes_on_by_itself_on_the_next() {
    let deployment = deployment();
    let worker = deployment.naming_worker(&PRICES);
    let run = deployment.backfill(&BUDGET.to_string());
    deployment.wait_for(&run, "budget");
    // Nobody is there who would find again that it is too little.
    drop(worker);
    let redis = deployment.server.connect().await;
    let today = Ledger::new(&redis).today().await.unwrap();
    let key = redis.keys().ledger(&RunId::parse(&run).unwrap());
    let exhausted = async |day: u64| -> () {
        let why = format!("day:{day}");
        let mut connection = redis.commands();
        connection.hset(&key, "exhausted", why).await.unwrap()
    };
    exhausted(today + 1).await;
    deployment.ask(&["run", &run]);
    deployment.wait_for(&run, "budget");
    exhausted(today - 1).await;
    deployment.wait_for(&run, "running");
}

#[test]
fn a_run_that_waits_for_money_can_be_paused_resumed_and_cancelled() {
    let deployment = deployment();
    let _worker = deployment.naming_worker(&PRICES);
    let run = deployment.backfill(&BUDGET.to_string());
    deployment.wait_for(&run, "budget");
    deployment.ask(&["pause", &run]);
    deployment.wait_for(&run, "paused");
    deployment.ask(&["resume", &run]);
    deployment.wait_for(&run, "budget");
    // That it is tried again changes nothing.
    deployment.ask(&["resume", &run]);
    deployment.wait_for(&run, "budget");
    let cancelled = deployment.ask(&["cancel", &run]);
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
}

#[test]
fn a_run_with_a_budget_waits_for_a_worker_that_knows_what_tokens_cost() {
    let deployment = deployment();
    let worker = deployment.naming_worker(&[]);
    let run = deployment.backfill("10000");
    let status = deployment.wait_for(&run, "budget");
    assert_eq!(status["ledger"]["exhausted"], "unpriced", "{status}");
    assert!(deployment.endpoint.questions().is_empty());
    drop(worker);
    let _worker = deployment.naming_worker(&PRICES);
    deployment.ask(&["resume", &run]);
    let done = deployment.wait_for(&run, "done");
    assert_eq!(done["counts"]["named"], 80, "{done}");
}

#[test]
fn what_a_day_may_cost_is_what_all_its_runs_may_cost() {
    let deployment = deployment();
    let per_day = [&PRICES[..], &["--money-per-day", "370"]].concat();
    let worker = deployment.naming_worker(&per_day);
    let run = deployment.backfill("10000");
    let status = deployment.wait_for(&run, "budget");
    assert!(status["ledger"]["exhausted"]["day"].is_u64(), "{status}");
    drop(worker);
    let _worker = deployment.naming_worker(&PRICES);
    deployment.ask(&["resume", &run]);
    deployment.wait_for(&run, "done");
}
