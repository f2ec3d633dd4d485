//! `sojourn ingest`

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde_json::json;
use sojourn::dataset::Manifest;
use sojourn::ingest::{FieldMap, IngestError, IngestOptions, IngestProgress, Phase, ingest as run};
use sojourn::terms::SalienceParams;
use sojourn_scheduler::cli::IngestArgs;
use sojourn_scheduler::progress;

use super::{Done, Output};

/// Between two looks at the progress.
const POLL: Duration = Duration::from_millis(100);

pub async fn ingest(args: IngestArgs, output: Output) -> Result<Done> {
    let options = options(args)?;
    let out = options.out.clone();
    let progress = Arc::new(IngestProgress::default());
    let bar = progress::bar(0, "bytes", output.quiet || output.json);
    let mut work = std::pin::pin!(run(options, progress.clone()));
    let manifest = loop {
        tokio::select! {
            manifest = &mut work => break manifest,
            () = tokio::time::sleep(POLL) => show(&bar, &progress),
        }
    };
    bar.finish_and_clear();
    print(&manifest?, &out, output);
    Ok(Done::Well)
}

fn options(args: IngestArgs) -> Result<IngestOptions> {
    let fields = match (&args.map, &args.mapping) {
        (Some(map), _) => FieldMap::parse(map)?,
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let map: FieldMap = toml::from_str(&text)
                .map_err(|error| IngestError::Mapping(format!("{}: {error}", path.display())))?;
            map.check()?
        }
        (None, None) => FieldMap::default(),
    };
    let options = IngestOptions {
        items: args.items,
        interactions: args.interactions,
        fields,
        out: args.out,
        force: args.force,
        memory: args.memory,
        users_per_shard: args.users_per_shard,
        interactions_per_shard: args.interactions_per_shard,
        max_rejects: args.max_rejects,
        window: args.window,
        salience: SalienceParams::default(),
    };
    match &args.movielens {
        Some(folder) => Ok(options.movielens(folder)?),
        None => Ok(options),
    }
}

fn show(bar: &ProgressBar, progress: &IngestProgress) {
    let phase = match progress.phase() {
        Phase::Items => "reading items",
        Phase::Terms => "counting terms",
        Phase::Catalogue => "writing the catalogue",
        Phase::Interactions => "reading interactions",
        Phase::Shards => "writing shards",
    };
    if bar.prefix() != phase {
        bar.reset();
        bar.set_prefix(phase);
    }
    let (done, total) = progress.position();
    bar.set_length(total);
    bar.set_position(done);
    bar.set_message(format!("({} rows)", progress.rows()));
}

fn print(manifest: &Manifest, out: &str, output: Output) {
    let counts = &manifest.counts;
    if output.json {
        let shards = manifest.shards.len();
        println!(
            "{}",
            json!({"dataset": out, "id": manifest.id, "counts": counts, "shards": shards})
        );
        return;
    }
    if output.quiet {
        return;
    }
    println!("dataset {out}, id {}", manifest.id);
    println!(
        "  items         {}, {} of them without terms, {} terms",
        counts.items, counts.items_without_terms, counts.terms
    );
    println!(
        "  interactions  {} of {} users in {} shards, {} out of order (sorted now)",
        counts.interactions,
        counts.users,
        manifest.shards.len(),
        counts.out_of_order
    );
    let rejects: Vec<String> = counts
        .rejects
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let rejects = if rejects.is_empty() {
        "none".into()
    } else {
        rejects.join(", ")
    };
    println!(
        "  rejected      {rejects}, of {} rows; see {out}/rejects.jsonl",
        counts.rows
    );
}
