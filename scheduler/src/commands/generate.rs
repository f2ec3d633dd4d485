//! `sojourn generate`

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::ProgressBar;
use serde_json::json;
use sojourn::settings;
use sojourn_scheduler::cli::GenerateArgs;
use sojourn_scheduler::generate::{GenerateProgress, Parameters, Summary, generate as run};
use sojourn_scheduler::progress;

use super::{Done, Output};

/// Between two looks at the progress.
const POLL: Duration = Duration::from_millis(100);

pub async fn generate(args: GenerateArgs, output: Output) -> Result<Done> {
    let begun = Instant::now();
    let parameters = args.parameters();
    let progress = Arc::new(GenerateProgress::until(settings::stop_signal(false)));
    let (out, counters) = (args.out.clone(), progress.clone());
    let mut work =
        tokio::task::spawn_blocking(move || run(parameters, &out, args.force, &counters));
    let display = Display::new(&parameters, output.quiet || output.json);
    let summary = loop {
        tokio::select! {
            summary = &mut work => break summary,
            () = tokio::time::sleep(POLL) => display.show(&progress),
        }
    };
    display.clear();
    let summary = summary??;
    print(&summary, &args, begun.elapsed(), output);
    Ok(Done::Well)
}

/// A bar for items, and one for interactions.
struct Display {
    items: ProgressBar,
    interactions: ProgressBar,
}

impl Display {
    fn new(parameters: &Parameters, quiet: bool) -> Display {
        // What the histories have in the mean, they have together.
        let interactions = u64::from(parameters.users) * u64::from(parameters.items_per_user);
        let bar = |total, unit| {
            let bar = progress::bar(total, unit, quiet);
            bar.set_prefix("writing");
            bar
        };
        Display {
            items: bar(parameters.items.into(), "items"),
            interactions: bar(interactions, "interactions"),
        }
    }

    fn show(&self, progress: &GenerateProgress) {
        if progress.interactions() == 0 {
            self.items.set_position(progress.items());
            return;
        }
        if !self.items.is_finished() {
            self.items.finish_and_clear();
            self.interactions.reset();
        }
        self.interactions.set_position(progress.interactions());
    }

    fn clear(&self) {
        self.items.finish_and_clear();
        self.interactions.finish_and_clear();
    }
}

fn print(summary: &Summary, args: &GenerateArgs, took: Duration, output: Output) {
    let out = args.out.display();
    let Summary {
        parameters,
        topics,
        interactions,
    } = summary;
    let seconds = took.as_secs_f64();
    if output.json {
        println!(
            "{}",
            json!({"population": out.to_string(), "parameters": parameters, "topics": topics,
                   "interactions": interactions, "seconds": (seconds * 100.0).round() / 100.0})
        );
        return;
    }
    if output.quiet {
        return;
    }
    println!("population {out}, seed {}", parameters.seed);
    println!("  items         {} of {topics} topics", parameters.items);
    println!(
        "  interactions  {interactions} of {} users, {:.1} each, in {seconds:.1} s",
        parameters.users,
        *interactions as f64 / f64::from(parameters.users)
    );
}
