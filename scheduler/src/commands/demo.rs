//! `sojourn demo`: the main job from nothing, through real processes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;
use sojourn::queue::Lane;
use sojourn::settings::RedisArgs;
use sojourn::store::{JourneyReader, UserJourneys};
use sojourn_scheduler::demo::{Population, SimulatedUser, recovery};
use sojourn_scheduler::inbox;
use sojourn_scheduler::local::{LocalOptions, beside_this_program};
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::trigger::{Request, RunKind, Scope};

use tokio::process::Command;

use super::runs::watch;
use super::session::Session;
use super::show::print_user;
use super::{Done, Output, usage};

/// Users whose results are read in one round trip.
const USERS_PER_READ: usize = 500;

/// Users that are shown.
const SAMPLES: usize = 3;

/// Few users a shard, so that a small population is many jobs and both workers get some.
const USERS_PER_SHARD: usize = 100;

/// Two extraction workers, as on two machines, and one that names.
const PROCESSES: LocalOptions = LocalOptions {
    extraction_workers: 2,
    naming_workers: 1,
};

pub async fn demo(
    redis: &RedisArgs,
    users: usize,
    seed: u64,
    keep: Option<PathBuf>,
    output: Output,
) -> Result<Done> {
    if users == 0 {
        return Err(usage("--users must be at least 1"));
    }
    let begun = Instant::now();
    let say = |text: &str| {
        if !output.json && !output.quiet {
            println!("{text}");
        }
    };
    let scratch = tempfile::Builder::new().prefix("sojourn-demo-").tempdir()?;
    let folder = keep.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;

    let population = Population::generate(users, seed);
    population
        .write(folder)
        .with_context(|| folder.display().to_string())?;
    say(&format!(
        "population: {users} users, {} items of {} interests, {} interactions, seed {seed}",
        population.items(),
        population.interests.len(),
        population.interactions()
    ));

    let dataset = folder.join("dataset");
    ingest(folder, &dataset).await?;
    say(&format!("dataset:    {}", dataset.display()));

    // Results of a demo must not mix with those of real users.
    let mut args = redis.clone();
    args.key_prefix = format!("{}-demo", args.key_prefix);
    let session = Session::open(&args, Some(&dataset)).await?;
    let server = session.redis.server().clone();
    let whose = if session.is_private() {
        ", private to this demo"
    } else {
        ""
    };
    say(&format!(
        "redis:      {} {}{whose}",
        server.name, server.version
    ));
    let mut deployment = session.deploy(&folder.join("logs"), PROCESSES, of_terms)?;
    say("processes:  1 scheduler, 2 extraction workers, 1 naming worker");

    let request = Request {
        kind: RunKind::Backfill,
        dataset: dataset.canonicalize()?.display().to_string(),
        scope: Scope::All,
        lane: Lane::Low,
        parameters: Default::default(),
        // Whoever names their own Redis finds nothing of the demo there a day later.
        ttl_seconds: Some(24 * 3600),
        budget: None,
    };
    let run = inbox::submit(&session.redis, &request).await?;
    let quiet = output.quiet || output.json;
    let status = watch(&session, &run, Some(&mut deployment), quiet).await?;
    deployment.stop().await;
    if status.record.state != RunState::Done || status.dead() > 0 {
        bail!(
            "the run is {} with {} dead jobs: {}",
            status.record.state.as_str(),
            status.dead(),
            status
                .record
                .error
                .as_deref()
                .unwrap_or("see the logs with --keep DIR")
        );
    }
    let results = read(&session, &population.users).await?;
    session.close().await;

    let pairs = population.users.iter().zip(&results).map(|(user, found)| {
        (
            user,
            found
                .as_ref()
                .map_or(&[][..], |found| found.journeys.as_slice()),
        )
    });
    let ari = recovery(pairs);
    let seconds = begun.elapsed().as_secs_f64();
    if output.json {
        println!(
            "{}",
            json!({
                "users": status.count("users"),
                "items": population.items(),
                "interactions": population.interactions(),
                "journeys": status.count("journeys"),
                "named": status.count("named"),
                "ari": (ari * 10_000.0).round() / 10_000.0,
                "seconds": (seconds * 100.0).round() / 100.0,
                "redis": format!("{} {}", server.name, server.version),
                "seed": seed,
            })
        );
        return Ok(Done::Well);
    }
    println!();
    for (user, found) in population.users.iter().zip(&results).take(SAMPLES) {
        print_truth(&population, user);
        match found {
            Some(found) => print_user(&user.id, found),
            None => println!("{}: no results", user.id),
        }
        println!();
    }
    println!(
        "{} users, {} journeys, {} named, in {seconds:.1} s. Agreement with the interests that the \
         population was made of: adjusted Rand index {ari:.3} (1 is perfect, 0 is chance), mean \
         over users.",
        status.count("users"),
        status.count("journeys"),
        status.count("named"),
    );
    if keep.is_some() {
        println!(
            "Try: sojourn show user-0001 --dataset {} --key-prefix {}",
            dataset.display(),
            args.key_prefix
        );
    }
    Ok(Done::Well)
}

/// A demo never asks, and pays, a model that was set up for something else.
fn of_terms(process: &mut Command) {
    process.env("SOJOURN_NAMER", "terms");
}

/// Runs `sojourn ingest` as a process of its own.
async fn ingest(folder: &Path, dataset: &Path) -> Result<()> {
    let output = Command::new(beside_this_program("sojourn")?)
        .args(["ingest", "--quiet", "--force", "--items"])
        .arg(folder.join("items.csv"))
        .arg("--interactions")
        .arg(folder.join("interactions.csv"))
        .args(["--users-per-shard", &USERS_PER_SHARD.to_string(), "--out"])
        .arg(dataset)
        .stdin(Stdio::null())
        .output()
        .await?;
    if !output.status.success() {
        bail!(
            "sojourn ingest failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

async fn read(session: &Session, users: &[SimulatedUser]) -> Result<Vec<Option<UserJourneys>>> {
    let reader = JourneyReader::new(&session.redis);
    let mut results = Vec::with_capacity(users.len());
    for users in users.chunks(USERS_PER_READ) {
        let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
        for found in reader.journeys_of_many(&ids).await? {
            results.push(found?);
        }
    }
    Ok(results)
}

/// What the user really pursued.
fn print_truth(population: &Population, user: &SimulatedUser) {
    let mut counts = vec![0; population.interests.len()];
    let mut strays = 0;
    for interaction in &user.history {
        match interaction.interest {
            Some(interest) => counts[interest] += 1,
            None => strays += 1,
        }
    }
    let truth: Vec<String> = counts
        .iter()
        .zip(&population.interests)
        .filter(|(count, _)| **count > 0)
        .map(|(count, interest)| format!("{} ({count})", interest.name))
        .collect();
    println!(
        "{} was made to pursue {}; {strays} stray clicks",
        user.id,
        truth.join(", ")
    );
}
