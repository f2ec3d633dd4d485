//! `sojourn backfill`, `recompute`, `repair`, `runs` and `run`

use std::io::Read;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use sojourn::naming::{Exhausted, Money};
use sojourn::queue::{Lane, Queues};
use sojourn::run::RunId;
use sojourn::settings::RedisArgs;
use sojourn_scheduler::cli::{LocalArgs, RunArgs, ScopeArgs};
use sojourn_scheduler::code::CommandError;
use sojourn_scheduler::local::{LocalDeployment, LocalOptions};
use sojourn_scheduler::record::{PausedLane, RunRecord, RunState, RunStatus};
use sojourn_scheduler::register::{self, Register};
use sojourn_scheduler::trigger::{Request, RunKind, Scope, parse_time};
use sojourn_scheduler::{cohort, inbox, progress};

use super::session::Session;
use super::{Done, Output, usage};

/// Workers of a run on this machine. One extraction worker uses all cores.
const LOCAL: LocalOptions = LocalOptions {
    extraction_workers: 1,
    naming_workers: 1,
};

pub async fn backfill(
    redis: &RedisArgs,
    dataset: String,
    args: RunArgs,
    output: Output,
) -> Result<Done> {
    let request = request(RunKind::Backfill, &dataset, Scope::All, &args)?;
    let session = Session::open(redis, Some(Path::new(&dataset))).await?;
    run(session, request, args.watch, output).await
}

pub async fn recompute(
    redis: &RedisArgs,
    dataset: String,
    scope: ScopeArgs,
    args: RunArgs,
    output: Output,
) -> Result<Done> {
    let listed = scope.users.as_deref().map(read_users).transpose()?;
    let scope = match (&listed, scope.cohort, scope.active_since) {
        (None, None, Some(time)) => Scope::ActiveSince(parse_time(&time)?),
        // The command line wants exactly one; the name of a list is known once it is uploaded.
        (_, cohort, _) => Scope::Cohort(cohort.unwrap_or_default()),
    };
    let mut request = request(RunKind::Recompute, &dataset, scope, &args)?;
    let session = Session::open(redis, Some(Path::new(&dataset))).await?;
    if let Some(listed) = listed {
        let users: Vec<&str> = listed.iter().map(String::as_str).collect();
        request.scope = Scope::Cohort(cohort::upload(&session.redis, &users).await?);
    }
    run(session, request, args.watch, output).await
}

fn request(kind: RunKind, dataset: &str, scope: Scope, args: &RunArgs) -> Result<Request> {
    let parameters = args.method.parameters();
    parameters.validate()?;
    // The scheduler and the workers have working folders of their own.
    let dataset = match std::fs::canonicalize(dataset) {
        Ok(path) => path.display().to_string(),
        Err(_) if dataset.contains("://") => dataset.to_owned(),
        Err(error) => {
            return Err(usage(format!(
                "dataset {dataset}: {error}; make one with `sojourn ingest --out {dataset}`"
            )));
        }
    };
    Ok(Request {
        kind,
        dataset,
        scope,
        lane: if kind == RunKind::Backfill {
            Lane::Low
        } else {
            Lane::High
        },
        parameters,
        ttl_seconds: args.ttl_days.map(|days| u64::from(days.get()) * 24 * 3600),
        budget: args.budget,
    })
}

/// The user ids in a file, one a line.
fn read_users(file: &Path) -> Result<Vec<String>> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = read.map_err(|error| usage(format!("--users {}: {error}", file.display())))?;
    let users: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    if users.is_empty() {
        let file = file.display();
        return Err(usage(format!(
            "--users {file} names no user; write one user id a line"
        )));
    }
    Ok(users)
}

/// Asks for a run, and follows it where that was asked for or nobody else would work on it.
async fn run(session: Session, request: Request, watch: bool, output: Output) -> Result<Done> {
    let id = inbox::submit(&session.redis, &request).await?;
    work_on(session, id, watch, output).await
}

/// Repairs a run, and follows it likewise.
pub async fn repair(
    redis: &RedisArgs,
    local: &LocalArgs,
    id: &RunId,
    watch: bool,
    output: Output,
) -> Result<Done> {
    let session = Session::open(redis, local.dataset.as_deref()).await?;
    Register::new(&session.redis).repair(id).await?;
    work_on(session, id.clone(), watch, output).await
}

/// Follows a run where that was asked for, or where there are no workers unless this starts some.
async fn work_on(session: Session, id: RunId, watch: bool, output: Output) -> Result<Done> {
    let mut deployment = match session.logs() {
        Some(logs) => Some(session.deploy(&logs, LOCAL, |_| {})?),
        None => None,
    };
    let done = if watch || session.is_private() {
        follow(&session, &id, deployment.as_mut(), output).await
    } else {
        if output.json {
            println!("{}", serde_json::json!({"run": id}));
        } else {
            println!("run {id}: asked for; `sojourn run {id} --watch` follows it");
        }
        Ok(Done::Well)
    };
    if let Some(deployment) = deployment {
        deployment.stop().await;
    }
    session.close().await;
    done
}

async fn follow(
    session: &Session,
    id: &RunId,
    deployment: Option<&mut LocalDeployment>,
    output: Output,
) -> Result<Done> {
    let status = watch(session, id, deployment, output.quiet).await?;
    print_status(&status, output)?;
    Ok(ending(&status))
}

/// Follows a run until it is over, or the user interrupts.
pub async fn watch(
    session: &Session,
    id: &RunId,
    mut deployment: Option<&mut LocalDeployment>,
    quiet: bool,
) -> Result<RunStatus> {
    let queues = Queues::open(&session.redis).await?;
    let check = || match deployment.as_mut() {
        Some(deployment) => deployment.check().map_err(anyhow::Error::from),
        None => Ok(()),
    };
    tokio::select! {
        status = progress::watch(&session.redis, &queues, id, quiet, check) => status,
        _ = tokio::signal::ctrl_c() => {
            let goes_on = match session.is_private() {
                true => "with the next run on this dataset".to_owned(),
                false => format!("where its workers are, `sojourn cancel {id}` ends it"),
            };
            let text = format!("interrupted; the run {id} goes on {goes_on}");
            Err(CommandError::Interrupted(text).into())
        }
    }
}

pub async fn list(
    redis: &RedisArgs,
    local: &LocalArgs,
    limit: usize,
    output: Output,
) -> Result<Done> {
    let session = Session::open(redis, local.dataset.as_deref()).await?;
    let runs = Register::new(&session.redis).runs(limit).await?;
    let paused = register::paused_lanes(&Queues::open(&session.redis).await?).await?;
    if output.json {
        let runs: Vec<Listed> = runs
            .iter()
            .map(|record| Listed {
                record,
                paused_lanes: lanes_of(record, &paused),
            })
            .collect();
        println!("{}", serde_json::to_string(&runs)?);
    } else if runs.is_empty() {
        println!("no runs yet; `sojourn backfill DATASET` asks for one");
    } else {
        println!(
            "{:<20} {:<10} {:<10} {:>9} {:>6}  dataset",
            "run", "kind", "state", "users", "jobs"
        );
        for run in runs {
            let kind = run
                .request
                .as_ref()
                .map_or("-", |request| kind(request.kind));
            let dataset = run
                .request
                .as_ref()
                .map_or("-", |request| request.dataset.as_str());
            println!(
                "{:<20} {kind:<10} {:<10} {:>9} {:>6}  {dataset}",
                run.id.as_str(),
                run.state.as_str(),
                run.users,
                run.jobs
            );
        }
    }
    if !output.json && !paused.is_empty() {
        let lanes: Vec<String> = paused.iter().map(ToString::to_string).collect();
        let lanes = lanes.join(", ");
        println!("paused lanes: {lanes}; `sojourn resume --all` lets them go on");
    }
    session.close().await;
    Ok(Done::Well)
}

/// A run as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    record: &'a RunRecord,
    paused_lanes: Vec<PausedLane>,
}

/// Those of the paused lanes that the jobs of a run are in.
fn lanes_of(record: &RunRecord, paused: &[PausedLane]) -> Vec<PausedLane> {
    let lane = record.lane_to_go();
    let ours = paused.iter().filter(|paused| Some(paused.lane) == lane);
    ours.copied().collect()
}

pub async fn show(
    redis: &RedisArgs,
    local: &LocalArgs,
    id: &RunId,
    follow_it: bool,
    output: Output,
) -> Result<Done> {
    let session = Session::open(redis, local.dataset.as_deref()).await?;
    let done = if follow_it {
        follow(&session, id, None, output).await
    } else {
        let queues = Queues::open(&session.redis).await?;
        let status = Register::new(&session.redis).status(id, &queues).await?;
        print_status(&status, output)?;
        Ok(ending(&status))
    };
    session.close().await;
    done
}

fn ending(status: &RunStatus) -> Done {
    let well = match status.record.state {
        RunState::Planning | RunState::Running | RunState::Budget | RunState::Paused => true,
        RunState::Done => status.dead() == 0 && status.lost == 0,
        RunState::Failed | RunState::Cancelled => false,
    };
    if well {
        Done::Well
    } else {
        Done::RunEndedBadly
    }
}

fn print_status(status: &RunStatus, output: Output) -> Result<()> {
    if output.json {
        println!("{}", serde_json::to_string(status)?);
        return Ok(());
    }
    let record = &status.record;
    println!(
        "run {}: {}, {:.1} s",
        record.id,
        record.state.as_str(),
        progress::seconds(status)
    );
    if let Some(error) = &record.error {
        println!("  error      {error}");
    }
    if let Some(waiting) = &record.waiting {
        println!("  waiting    {waiting}");
    }
    if record.state == RunState::Paused {
        println!("  paused     `sojourn resume {}` lets it go on", record.id);
    }
    if record.state == RunState::Budget {
        println!("  budget     {}", why_it_waits(status));
    }
    if let Some(what) = matches!(record.state, RunState::Planning | RunState::Running)
        .then(|| progress::paused(status))
        .flatten()
    {
        println!("  paused     {what}; `sojourn resume --lane LANE` or `--all` lets it go on");
    }
    if record.restarts > 0 {
        println!(
            "  restarts   {}; counts of jobs are those since",
            record.restarts
        );
    }
    if status.lost > 0 {
        println!(
            "  lost       {} jobs that Redis has lost; `sojourn repair {}` does what is missing",
            status.lost, record.id
        );
    }
    if let Some(request) = &record.request {
        println!("  dataset    {}", request.dataset);
        println!(
            "  parameters {}",
            serde_json::to_string(&request.parameters)?
        );
    }
    let count = |name: &str| status.count(name);
    println!(
        "  shards     {} of {} done, {} retried, {} dead",
        count("done"),
        record.jobs,
        count("retried"),
        count("dead")
    );
    println!(
        "  users      {} of {}, {} with journeys, {} unknown, {} with newer results",
        count("users"),
        record.users,
        count("users_with_journeys"),
        count("users_unknown") + record.users_unknown,
        count("users_newer")
    );
    println!(
        "  items      {}: {} in journeys too small to keep, {} in unsure ones, {} without terms, \
         {} beyond the longest history",
        count("items"),
        count("items_in_small_journeys"),
        count("items_in_unsure_journeys"),
        count("items_without_terms"),
        count("items_beyond_history")
    );
    println!(
        "  journeys   {}, {} to name",
        count("journeys"),
        count("journeys_to_name")
    );
    println!(
        "  names      {} written, {} outdated before they were, {} jobs left, {} dead",
        count("named"),
        count("names_outdated"),
        status.naming_pending,
        count("naming_dead")
    );
    if status.dead() > 0 {
        println!(
            "  dead jobs  `sojourn dead list --run {}` says why",
            record.id
        );
    }
    print_ledger(status);
    Ok(())
}

/// What a model was asked for a run, and what that has cost.
fn print_ledger(status: &RunStatus) {
    let (ledger, count) = (&status.ledger, |name: &str| status.count(name));
    if ledger.calls > 0 {
        println!(
            "  model      {} calls, {} of them again, {} elsewhere; {} tokens in, {} of them cached, {} \
             out",
            ledger.calls,
            ledger.retries,
            ledger.fallback_calls,
            ledger.tokens_in,
            ledger.tokens_cached,
            ledger.tokens_out
        );
        println!(
            "             {} answers cut, {} names rejected",
            count("llm_answers_cut"),
            count("names_rejected")
        );
    }
    let sources = ["names_llm", "names_cached", "names_kept", "names_fallback"].map(count);
    if sources != [0; 4] {
        let [llm, cached, kept, fallback] = sources;
        println!(
            "  sources    {llm} names by the model, {cached} of equal journeys, {kept} earlier ones \
             and {fallback} of terms where no answer would do"
        );
    }
    match status.record.budget {
        Some(budget) => println!("  money      {} of {budget}", ledger.money),
        None if ledger.money > Money::default() => println!("  money      {}", ledger.money),
        None => {}
    }
}

/// Why the names of a run wait for money, and what to do.
fn why_it_waits(status: &RunStatus) -> String {
    let id = &status.record.id;
    match status.ledger.exhausted {
        Some(Exhausted::Day(_)) => {
            "that of the day is spent; the run goes on tomorrow (UTC)".to_owned()
        }
        Some(Exhausted::Unpriced) => format!(
            "a worker does not know what tokens cost: give naming workers --price-input and \
             --price-output, then `sojourn resume {id}`"
        ),
        _ => format!("`sojourn budget {id} AMOUNT` raises it, and the run goes on"),
    }
}

fn kind(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Backfill => "backfill",
        RunKind::Recompute => "recompute",
    }
}
