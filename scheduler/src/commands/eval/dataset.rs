//! `sojourn eval users` and `sojourn eval next`

use anyhow::Result;
use serde::Serialize;
use sojourn::dataset::Dataset;
use sojourn::evaluation::{Folder, NextItem, NextOptions, UserFigures, UserOptions};
use sojourn::history::{HELD_OUT, History, LEAST_TO_HOLD_OUT};
use sojourn::journey::JourneyParams;
use sojourn_scheduler::cli::{EvalDatasetArgs, EvalNextArgs, EvalUsersArgs};
use sojourn_scheduler::progress;

use crate::commands::{Done, Output};

/// What is evaluated, in memory.
struct Loaded {
    dataset: Dataset,
    histories: Vec<History>,
    parameters: JourneyParams,
}

impl Loaded {
    async fn load(args: &EvalDatasetArgs, output: Output) -> Result<Loaded> {
        let parameters = args.method.parameters();
        parameters.validate()?;
        let dataset = Dataset::open(&args.dataset, &args.cache.cache).await?;
        let shards = &dataset.manifest().shards;
        let bar = progress::bar(shards.len() as u64, "shards", output.quiet || output.json);
        let mut histories = Vec::new();
        for shard in shards {
            histories.extend(dataset.read_shard(shard.index).await?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(Loaded {
            dataset,
            histories,
            parameters,
        })
    }
}

pub async fn users(args: EvalUsersArgs, output: Output) -> Result<Done> {
    let loaded = Loaded::load(&args.dataset, output).await?;
    let options = UserOptions {
        least_items: args.least_items,
        seed: args.dataset.seed,
        ..UserOptions::default()
    };
    let work = move || {
        let as_of = loaded.dataset.manifest().counts.last_timestamp;
        let (catalogue, parameters) = (loaded.dataset.catalogue(), loaded.parameters);
        UserFigures::of(&loaded.histories, catalogue, parameters, as_of, &options)
    };
    let figures = tokio::task::spawn_blocking(work).await?;
    keep(&args.dataset, "users", &figures, output)?;
    if !output.json && !output.quiet {
        println!(
            "{}: {} users of {} items or more; {:.0} journeys in the median, {:.0} % have 1 to 8",
            args.dataset.name,
            figures.users,
            args.least_items,
            figures.journeys.p50,
            100.0 * figures.with_1_to_8
        );
    }
    Ok(Done::Well)
}

pub async fn next(args: EvalNextArgs, output: Output) -> Result<Done> {
    let loaded = Loaded::load(&args.dataset, output).await?;
    let options = NextOptions {
        least_items: args.least_items,
        held_out: args.held_out.get(),
        candidates: args.candidates.get(),
        seed: args.dataset.seed,
    };
    let learned = loaded.dataset.manifest().relevance.is_some();
    let knows_them = options.held_out > HELD_OUT.get() || options.least_items < LEAST_TO_HOLD_OUT;
    if learned && knows_them {
        tracing::warn!(
            "what terms weigh was learned from some of the items that are held out: the last \
             {HELD_OUT} of histories of {LEAST_TO_HOLD_OUT} or more were left out of that; ingest with \
             --salience formula to hold out others"
        );
    }
    let work = move || {
        let catalogue = loaded.dataset.catalogue();
        NextItem::of(&loaded.histories, catalogue, loaded.parameters, &options)
    };
    let figures = tokio::task::spawn_blocking(work).await?;
    keep(&args.dataset, "next", &figures, output)?;
    if !output.json && !output.quiet {
        println!("{}: {} users", args.dataset.name, figures.users);
        for ranking in &figures.rankings {
            let (by, recall) = (ranking.by.as_str(), ranking.recall_at_10);
            println!(
                "  by {by}: recall@10 {:.3} ± {:.3}",
                recall.mean, recall.half_width
            );
        }
    }
    Ok(Done::Well)
}

/// Writes figures into the folder of the evaluation, and prints them for machines.
fn keep(
    args: &EvalDatasetArgs,
    kind: &str,
    figures: &impl Serialize,
    output: Output,
) -> Result<()> {
    Folder::new(&args.out).write(&format!("{kind}/{}.json", args.name), figures)?;
    if output.json {
        println!("{}", serde_json::to_string(figures)?);
    }
    Ok(())
}
