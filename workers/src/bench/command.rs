//! The command line of `sojourn-worker bench`.

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use sojourn::journey::JourneyParams;

use super::{Kernel, KernelFigures, Shape};

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Clustering, of histories that lie in memory
    Kernel(KernelArgs),
}

/// Which histories, and for how long.
#[derive(Args, Debug)]
pub struct KernelArgs {
    /// Items of a user, one measurement for each
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "20,200,2000,20000",
        value_name = "N,..."
    )]
    items_per_user: Vec<u32>,
    /// Terms of an item, likewise
    #[arg(long, value_delimiter = ',', default_value = "12", value_name = "N,...",
          value_parser = clap::value_parser!(u32).range(1..=60))]
    terms_per_item: Vec<u32>,
    /// Threads that do the same
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,
    /// For how long each is measured, at least
    #[arg(long, default_value = "1", value_parser = time, value_name = "SECONDS")]
    seconds: Duration,
    /// Of the histories
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

impl BenchCommand {
    /// Measures, and prints each figure as it is known.
    ///
    /// # Errors
    /// When nobody reads what is printed.
    pub fn run(&self, as_json: bool, mut to: impl Write) -> io::Result<()> {
        let BenchCommand::Kernel(args) = self;
        if !as_json {
            writeln!(
                to,
                "clustering, {} threads, seed {}",
                args.threads.max(1),
                args.seed
            )?;
            writeln!(
                to,
                "{:>10} {:>10} {:>14} {:>12} {:>14} {:>10} {:>12}",
                "items/user",
                "terms/item",
                "walk items/s",
                "ns/posting",
                "all items/s",
                "ns/item",
                "journeys"
            )?;
        }
        for &items in &args.items_per_user {
            for &terms in &args.terms_per_item {
                let shape = Shape {
                    items: items.max(1) as usize,
                    terms: terms as usize,
                };
                let (walk, all) = measure(args, shape);
                print(&walk, &all, as_json, &mut to)?;
            }
        }
        Ok(())
    }
}

/// The walk alone, and everything that the default parameters ask for.
fn measure(args: &KernelArgs, shape: Shape) -> (KernelFigures, KernelFigures) {
    let walk = Kernel {
        shape,
        params: JourneyParams::default(),
        only_walk: true,
        threads: args.threads,
        time: args.seconds,
        seed: args.seed,
    };
    let all = Kernel {
        only_walk: false,
        ..walk
    };
    let histories = walk.histories();
    (walk.measure(&histories), all.measure(&histories))
}

fn print(
    walk: &KernelFigures,
    all: &KernelFigures,
    as_json: bool,
    mut to: impl Write,
) -> io::Result<()> {
    if as_json {
        return writeln!(to, "{}", json!({"kernel": {"walk": walk, "all": all}}));
    }
    let per_posting = walk.nanoseconds_per_item() / walk.postings_per_item.max(1.0);
    writeln!(
        to,
        "{:>10} {:>10} {:>14.0} {:>12.1} {:>14.0} {:>10.0} {:>12.1}",
        walk.items_per_user,
        walk.terms_per_item,
        walk.items_per_second,
        per_posting,
        all.items_per_second,
        all.nanoseconds_per_item(),
        walk.journeys_per_user
    )
}

fn time(text: &str) -> Result<Duration, String> {
    sojourn::settings::seconds(text, 0.01..=3600.0)
}
