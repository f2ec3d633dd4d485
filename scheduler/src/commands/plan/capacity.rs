//! What a population takes: machines, Redis, network, storage, and naming.

use anyhow::Result;
use serde_json::{Value, json};
use sojourn::naming::LimitOptions;
use sojourn::settings::RedisArgs;
use sojourn_scheduler::capacity::simulation::{Crew, Outcome, Placement, Scenario};
use sojourn_scheduler::capacity::{Assumption, Figures, Plan, asked_by};
use sojourn_scheduler::cli::PlanArgs;
use sojourn_scheduler::outlook::Outlook;

use super::naming::{self, Sample, duration, outlook_lines};
use crate::commands::{Done, Output};

/// What naming takes.
struct Names {
    /// As it was asked for.
    outlook: Outlook,
    /// If no names were shared, where that is reckoned and makes a difference.
    unshared: Option<Outlook>,
}

/// Assumptions, and which of them are not the usual ones.
struct Assumed<'a> {
    figures: Figures,
    of_dataset: Vec<&'static str>,
    given: &'a [Assumption],
}

pub(super) async fn plan(
    redis: &RedisArgs,
    args: &PlanArgs,
    dataset: Option<&str>,
    users: u64,
    output: Output,
) -> Result<Done> {
    let limits = args.limits.options()?;
    let sample = match dataset {
        Some(dataset) => Some(naming::look(redis, args, dataset).await?),
        None => None,
    };
    let assumed = Assumed::of(sample.as_ref(), &args.assume);
    let names = match &sample {
        Some(sample) => Names::of_sample(sample, users, &limits),
        None => Names::assumed(users, &assumed.figures, args, &limits),
    };
    let played = args.simulate;
    let played = played.map(|crew| (crew, play(crew, &assumed.figures, args.seed)));
    let report = Report {
        plan: Plan::of(users, &assumed.figures, args.sharing.options().is_some()),
        assumed,
        names,
        sample,
        played,
    };
    match output.json {
        true => println!("{}", report.json(dataset)?),
        false => report.print(args),
    }
    Ok(Done::Well)
}

/// Everything that is said of a population.
struct Report<'a> {
    plan: Plan,
    assumed: Assumed<'a>,
    names: Names,
    sample: Option<Sample>,
    played: Option<(Crew, Vec<Played>)>,
}

impl Report<'_> {
    fn json(&self, dataset: Option<&str>) -> Result<Value> {
        let mut json = serde_json::to_value(&self.plan)?;
        json["assumptions"] = self.assumed.json();
        json["naming"]["outlook"] = json!(self.names.outlook);
        json["naming"]["outlook_unshared"] = json!(self.names.unshared);
        if let Some((dataset, sample)) = dataset.zip(self.sample.as_ref()) {
            json["dataset"] = json!(dataset);
            sample.say(&mut json);
        }
        if let Some((_, played)) = &self.played {
            let figures = &self.assumed.figures;
            json["simulation"] = played.iter().map(|case| case.json(figures)).collect();
        }
        Ok(json)
    }

    fn print(&self, args: &PlanArgs) {
        println!("{} users", self.plan.users);
        self.assumed.print();
        print(&self.plan);
        println!();
        println!("to name their journeys by a model");
        outlook_lines(args, &self.names.outlook, self.sample.as_ref());
        if let Some(unshared) = &self.names.unshared {
            let money = unshared.money.map(|money| format!(", money {money}"));
            println!(
                "  unshared   {} calls{}, {}",
                unshared.calls,
                money.unwrap_or_default(),
                duration(unshared.minutes)
            );
        }
        if let Some((crew, played)) = &self.played {
            println!();
            print_played(*crew, played, &self.assumed.figures);
        }
    }
}

impl Assumed<'_> {
    /// The usual figures, then those of a dataset, then what was given.
    fn of<'a>(sample: Option<&Sample>, given: &'a [Assumption]) -> Assumed<'a> {
        let mut assumed = Assumed {
            figures: Figures::default(),
            of_dataset: Vec::new(),
            given,
        };
        if let Some(sample) = sample {
            assumed.measure(sample);
        }
        for assumption in given {
            assumed.figures.assume(*assumption);
        }
        assumed
    }

    /// Takes what a dataset and a sample of it say. Of nothing, nothing can be said.
    fn measure(&mut self, sample: &Sample) {
        let manifest = sample.dataset.manifest();
        let (counts, forecast) = (&manifest.counts, sample.forecaster.forecast());
        let bytes = manifest.shards.iter().map(|shard| shard.file.bytes);
        let mut take = |name, figure: &mut f64, all: u64, of: u64| {
            if all > 0 && of > 0 {
                *figure = all as f64 / of as f64;
                self.of_dataset.push(name);
            }
        };
        let figures = &mut self.figures;
        take(
            "items_per_user",
            &mut figures.items_per_user,
            counts.interactions,
            counts.users,
        );
        take(
            "journeys_per_user",
            &mut figures.journeys_per_user,
            sample.journeys,
            sample.users,
        );
        take(
            "catalogue_items",
            &mut figures.catalogue_items,
            counts.items,
            1,
        );
        take(
            "shared_names",
            &mut figures.shared_names,
            forecast.shared,
            forecast.journeys,
        );
        take(
            "shard_bytes",
            &mut figures.shard_bytes,
            bytes.sum(),
            counts.interactions,
        );
        take(
            "catalogue_bytes",
            &mut figures.catalogue_bytes,
            manifest.catalogue.bytes,
            counts.items,
        );
    }

    fn source(&self, name: &str, usual: &'static str) -> &'static str {
        let is_given = self.given.iter().any(|given| given.name() == name);
        let is_of_dataset = self.of_dataset.contains(&name);
        match (is_given, is_of_dataset) {
            (true, _) => "given",
            (false, true) => "of the dataset",
            (false, false) => usual,
        }
    }

    fn json(&self) -> Value {
        let figures = Figures::ALL.iter().map(|figure| {
            let source = self.source(figure.name, figure.source);
            let value = figure.value(&self.figures);
            let figure_json = json!({"value": value, "meaning": figure.meaning, "source": source});
            (figure.name.to_owned(), figure_json)
        });
        Value::Object(figures.collect())
    }

    fn print(&self) {
        println!("assuming");
        for figure in Figures::ALL {
            let value = (figure.value(&self.figures) * 1e3).round() / 1e3;
            let source = self.source(figure.name, figure.source);
            println!(
                "  {:<20}{value:>9}  {} ({source})",
                figure.name, figure.meaning
            );
        }
    }
}

impl Names {
    /// As a sample of a dataset says.
    fn of_sample(sample: &Sample, users: u64, limits: &LimitOptions) -> Names {
        let forecast = sample.forecaster.forecast();
        Names {
            outlook: Outlook::of(forecast, sample.users, users, limits),
            unshared: None,
        }
    }

    /// As is assumed.
    fn assumed(users: u64, figures: &Figures, args: &PlanArgs, limits: &LimitOptions) -> Names {
        let outlook = |is_shared| {
            let asked = &args.questions;
            let (together, samples) = (asked.journeys_per_call, asked.samples);
            let forecast = asked_by(users, figures, together, samples, is_shared);
            Outlook::of(forecast, 1, 1, limits)
        };
        let is_shared = args.sharing.options().is_some() && figures.shared_names > 0.0;
        Names {
            outlook: outlook(is_shared),
            unshared: is_shared.then(|| outlook(false)),
        }
    }
}

fn print(plan: &Plan) {
    let Plan {
        extraction,
        redis,
        network,
        storage,
        naming,
        ..
    } = plan;
    println!("they take");
    println!(
        "  storage    {:.1} GB of interactions as they come; dataset {:.1} GB and a catalogue of {:.1} GB, \
         ingested in {:.1} core hours",
        storage.input_gb, storage.shards_gb, storage.catalogue_gb, storage.ingest_core_hours
    );
    println!(
        "  workers    {:.1} core hours: {} cores, {} processes, {} machines with {:.1} GB in use, {:.2} hours",
        extraction.core_hours,
        extraction.cores,
        extraction.processes,
        extraction.machines,
        extraction.machine_gb,
        extraction.hours
    );
    println!(
        "  Redis      {} shards: {} for {:.1} GB, {} for {:.1} core hours; busy for {:.1} %",
        redis.shards,
        redis.shards_by_memory,
        redis.results_gb + redis.names_gb,
        redis.shards_by_cpu,
        redis.core_hours,
        redis.busy * 100.0
    );
    println!(
        "             {:.1} GB of results, {:.1} GB of names to share, {:.2} GB of naming jobs where the queue is",
        redis.results_gb, redis.names_gb, redis.queued_gb
    );
    println!(
        "             {} servers with replicas, {:.1} GB in all",
        redis.servers, redis.memory_gb
    );
    println!(
        "  network    {:.1} GB into Redis, {:.2} Gbit/s: {:.2} out of each machine, {:.2} into each shard",
        network.gb,
        network.gbit_per_second,
        network.gbit_per_second_of_machine,
        network.gbit_per_second_of_shard
    );
    println!(
        "  names      {:.1} core hours of naming workers and {:.1} of Redis, however long a model takes",
        naming.worker_core_hours, naming.redis_core_hours
    );
}

/// A scenario and what came of it.
struct Played {
    scenario: Scenario,
    outcome: Outcome,
}

fn play(crew: Crew, figures: &Figures, seed: u64) -> Vec<Played> {
    let scenarios = Scenario::all(crew, figures).into_iter();
    let play = |scenario: Scenario| Played {
        outcome: scenario.simulate(figures, seed),
        scenario,
    };
    scenarios.map(play).collect()
}

impl Played {
    fn json(&self, figures: &Figures) -> Value {
        json!({
            "scenario": self.scenario,
            "bounds": self.scenario.bounds(figures),
            "outcome": self.outcome,
        })
    }

    /// What is particular about it.
    fn particular(&self) -> String {
        let placement = match self.scenario.placement {
            Placement::Spread => "",
            Placement::InTurns => "in turns, ",
            Placement::InOrder => "in order, ",
        };
        let slow = match self.scenario.speed_of_last < 1.0 {
            true => "one slow, ",
            false => "",
        };
        let round_trip = self.scenario.round_trip.as_secs_f64() * 1e3;
        format!("{placement}{slow}{round_trip} ms")
    }
}

fn print_played(crew: Crew, played: &[Played], figures: &Figures) {
    println!(
        "played through: workers of {} cores on {} shards",
        figures.worker_cores, crew.shards
    );
    println!(
        "  {:<18}{:>8}{:>10}  {:<18}{:>8}{:>8}{:>9}{:>10}{:>10}",
        "", "workers", "users/s", "at most, by", "busy", "shards", "busiest", "delivery", "99 %"
    );
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let milliseconds = |time: std::time::Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    for case in played {
        let Played { scenario, outcome } = case;
        let (bound, by) = scenario.bounds(figures).least();
        println!(
            "  {:<18}{:>8}{:>10.0}  {:<18}{:>8}{:>8}{:>9}{:>10}{:>10}",
            case.particular(),
            scenario.crew.workers,
            outcome.users_per_second,
            format!("{bound:.0}, {by}"),
            percent(outcome.workers_busy),
            percent(outcome.shards_busy),
            percent(outcome.busiest_shard),
            milliseconds(outcome.delivery),
            milliseconds(outcome.slow_delivery),
        );
    }
    let enough = Scenario::plain(crew, figures).enough(figures);
    println!("  Redis decides from {enough} workers on");
}
