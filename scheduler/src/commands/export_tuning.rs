//! `sojourn export-tuning`

use anyhow::Result;
use serde_json::json;
use sojourn::naming::{self, TuningCounts, TuningOptions};
use sojourn::terms::SalienceParams;
use sojourn_scheduler::cli::TuningArgs;

use super::{Done, Output};

pub async fn export_tuning(args: TuningArgs, output: Output) -> Result<Done> {
    let mut salience = SalienceParams::default();
    if let Some(language) = args.language {
        salience.language = language;
    }
    let options = TuningOptions {
        collections: args.collections,
        journeys_per_call: args.journeys_per_call,
        salience,
        template: args.prompt.template()?,
    };
    let out = args.out.clone();
    let work = move || naming::export_tuning(&options, &args.out);
    let counts = tokio::task::spawn_blocking(work).await??;
    let TuningCounts {
        collections,
        questions,
        names,
        without_terms,
        refused,
    } = &counts;
    let out = out.display();
    if output.json {
        println!("{}", json!({"out": out.to_string(), "counts": counts}));
    } else if !output.quiet {
        println!("{out}: {names} names of {collections} collections in {questions} questions");
        if *without_terms > 0 {
            println!("  left out  {without_terms}: no item has a term");
        }
        for (reason, count) in refused {
            println!("  left out  {count}: {reason}");
        }
    }
    Ok(Done::Well)
}
