//! `sojourn ingest`

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use serde_json::json;
use sojourn::dataset::Manifest;
use sojourn::ingest::{FieldMap, IngestError, IngestOptions, IngestProgress, Phase, ingest as run};
use sojourn::settings;
use sojourn::terms::SalienceMethod;
use sojourn_scheduler::cli::{IngestArgs, read_toml};
use sojourn_scheduler::progress;

use super::{Done, Output};

/// Between two looks at the progress.
const POLL: Duration = Duration::from_millis(100);

pub async fn ingest(args: IngestArgs, output: Output) -> Result<Done> {
    let options = options(args)?;
    let out = options.out.clone();
    let progress = Arc::new(IngestProgress::until(settings::stop_signal(false)));
    let mut work = std::pin::pin!(run(options, progress.clone()));
    let mut display = Display::new(output.quiet || output.json);
    let manifest = loop {
        tokio::select! {
            manifest = &mut work => break manifest,
            () = tokio::time::sleep(POLL) => display.show(&progress),
        }
    };
    display.clear();
    print(&manifest?, &out, output);
    Ok(Done::Well)
}

fn options(args: IngestArgs) -> Result<IngestOptions, IngestError> {
    let fields = match (&args.map, &args.mapping) {
        (Some(map), _) => FieldMap::parse(map)?,
        (None, Some(path)) => read_toml(path).map_err(IngestError::Mapping)?,
        (None, None) => FieldMap::default(),
    };
    let salience = args.salience.parameters()?;
    let options = IngestOptions {
        items: args.items,
        interactions: args.interactions,
        fields,
        out: args.out,
        force: args.force,
        scratch: args.scratch,
        memory: args.memory.0,
        users_per_shard: args.users_per_shard,
        interactions_per_shard: args.interactions_per_shard,
        max_rejects: args.max_rejects,
        window: args.window,
        salience,
    };
    match &args.movielens {
        Some(folder) => Ok(options.movielens(folder)?),
        None => Ok(options),
    }
}

/// A bar for the phase at hand.
struct Display {
    bar: ProgressBar,
    phase: Option<Phase>,
    quiet: bool,
}

impl Display {
    fn new(quiet: bool) -> Display {
        Display {
            bar: ProgressBar::hidden(),
            phase: None,
            quiet,
        }
    }

    fn show(&mut self, progress: &IngestProgress) {
        let phase = progress.phase();
        let (done, total) = progress.position(phase);
        if self.phase != Some(phase) {
            self.clear();
            self.phase = Some(phase);
            self.bar = progress::bar(total, phase.unit(), self.quiet);
            self.bar.set_prefix(title(phase));
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(format!("({} rows)", progress.rows()));
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn title(phase: Phase) -> &'static str {
    match phase {
        Phase::Items => "reading items",
        Phase::Terms => "counting terms",
        Phase::Places => "numbering items",
        Phase::Catalogue => "finding the terms of items",
        Phase::Related => "adding related terms",
        Phase::Interactions => "reading interactions",
        Phase::Windows => "cutting windows",
        Phase::Shards => "writing shards",
        Phase::Salience => "learning which terms are relevant",
        Phase::Upload => "uploading",
    }
}

fn print(manifest: &Manifest, out: &str, output: Output) {
    let counts = &manifest.counts;
    if output.json {
        let shards = manifest.shards.len();
        println!(
            "{}",
            json!({"dataset": out, "id": manifest.id, "counts": counts, "shards": shards,
                   "salience_learned": manifest.relevance.is_some()})
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
    let weights = match (manifest.salience.method, &manifest.relevance) {
        (SalienceMethod::Learned, Some(_)) => "by what was learned",
        (SalienceMethod::Learned, None) => "by the formula, as there was too little to learn from",
        (SalienceMethod::Formula, _) => "by the formula",
    };
    println!("  terms weighed {weights}");
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
    let file = manifest.rejects.as_ref().map_or("", |file| &file.name);
    println!(
        "  rejected      {rejects}, of {} rows; see {out}/{file}",
        counts.rows
    );
}
