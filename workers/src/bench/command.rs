//! The command line of `sojourn-worker bench`.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;
use sojourn::dataset::Dataset;
use sojourn::journey::JourneyParams;
use sojourn::settings::{CacheArgs, RedisArgs};

use super::{Extraction, Gather, INTERESTS, Kernel, KernelFigures, Shape, Writing};

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Clustering, of made-up histories that lie in memory
    Kernel(KernelArgs),
    /// Opening a dataset's catalogue, and gathering the terms of histories from it
    Catalogue(CatalogueArgs),
    /// Finding the journeys of a dataset's users, step by step
    Extract(ExtractArgs),
    /// Writing the journeys of a dataset's users to Redis
    ///
    /// They go under keys of their own (sj:bench:...), and are removed afterwards.
    Write(WriteArgs),
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

/// Which catalogue, and what of it.
#[derive(Args, Debug)]
pub struct CatalogueArgs {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Items of a history, any of the catalogue's
    #[arg(long, default_value = "100", value_name = "N")]
    items_per_user: NonZeroUsize,
    /// For how long each is measured, at least
    #[arg(long, default_value = "1", value_parser = time, value_name = "SECONDS")]
    seconds: Duration,
    /// Of the items
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

/// Whose journeys, and how.
#[derive(Args, Debug)]
pub struct ExtractArgs {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Users, from the first shards on
    #[arg(long, default_value = "10000", value_name = "N")]
    users: NonZeroUsize,
    /// Threads that share them
    #[arg(long, default_value = "1", value_name = "N")]
    threads: NonZeroUsize,
}

/// Whose journeys.
#[derive(Args, Debug)]
pub struct WriteArgs {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Users, from the first shards on
    #[arg(long, default_value = "20000", value_name = "N")]
    users: NonZeroUsize,
}

/// A dataset.
#[derive(Args, Debug)]
struct DatasetArgs {
    /// Dataset folder or object-store URL, made by `sojourn ingest`
    #[arg(value_name = "DATASET")]
    location: String,
    #[command(flatten)]
    cache: CacheArgs,
}

impl DatasetArgs {
    async fn open(&self) -> Result<Dataset> {
        Ok(Dataset::open(&self.location, &self.cache.cache).await?)
    }
}

impl BenchCommand {
    /// Measures, and prints each figure as it is known.
    ///
    /// # Errors
    /// When the dataset or Redis fails, or nobody reads what is printed.
    pub async fn run(self, redis: &RedisArgs, as_json: bool, to: impl Write) -> Result<()> {
        match self {
            BenchCommand::Kernel(args) => tokio::task::block_in_place(|| args.run(as_json, to)),
            BenchCommand::Catalogue(args) => args.run(as_json, to).await,
            BenchCommand::Extract(args) => args.run(as_json, to).await,
            BenchCommand::Write(args) => args.run(redis, as_json, to).await,
        }
    }
}

impl CatalogueArgs {
    async fn run(&self, as_json: bool, mut to: impl Write) -> Result<()> {
        let begun = Instant::now();
        let dataset = self.dataset.open().await?;
        let (seconds, bytes) = (
            begun.elapsed().as_secs_f64(),
            dataset.manifest().catalogue.bytes,
        );
        let gather = Gather {
            items_per_user: self.items_per_user.get(),
            time: self.seconds,
            seed: self.seed,
        };
        let found = tokio::task::block_in_place(|| gather.measure(dataset.catalogue()));
        if as_json {
            let open = json!({"seconds": seconds, "bytes": bytes});
            writeln!(
                to,
                "{}",
                json!({"catalogue": {"open": open, "gather": found}})
            )?;
            return Ok(());
        }
        writeln!(
            to,
            "catalogue of {} items, {} MB",
            found.items,
            bytes / 1_000_000
        )?;
        writeln!(
            to,
            "  opened and checked in {seconds:.2} s, {:.0} MB/s",
            bytes as f64 / 1e6 / seconds
        )?;
        writeln!(
            to,
            "  terms of {} items, ns an item: {:.0} of different histories, {:.0} of the same again",
            self.items_per_user, found.cold, found.warm
        )?;
        Ok(())
    }
}

impl ExtractArgs {
    async fn run(&self, as_json: bool, mut to: impl Write) -> Result<()> {
        let dataset = self.dataset.open().await?;
        let extraction = Extraction::of(&dataset, self.users.get(), self.threads.get()).await?;
        let found = tokio::task::block_in_place(|| extraction.measure());
        if as_json {
            writeln!(to, "{}", json!({ "extract": found }))?;
            return Ok(());
        }
        writeln!(
            to,
            "{} users, {:.0} items and {:.1} journeys each, {} threads; us a user on one thread:",
            found.users, found.items_per_user, found.journeys_per_user, found.threads
        )?;
        for (step, time) in [
            ("gather", found.gather),
            ("cluster", found.cluster),
            ("extract, all of it", found.extract),
        ] {
            writeln!(to, "  {step:<20} {time:>8.1}")?;
        }
        Ok(())
    }
}

impl WriteArgs {
    async fn run(&self, redis: &RedisArgs, as_json: bool, mut to: impl Write) -> Result<()> {
        let dataset = self.dataset.open().await?;
        // Not where real results stand.
        let redis = RedisArgs {
            key_prefix: format!("{}:bench", redis.key_prefix),
            ..redis.clone()
        };
        let redis = redis.connect().await?;
        let extraction = Extraction::of(&dataset, self.users.get(), 1).await?;
        let writing = tokio::task::block_in_place(|| Writing::of(&dataset, &extraction))?;
        let found = writing.measure(&redis).await?;
        if as_json {
            writeln!(to, "{}", json!({ "write": found }))?;
            return Ok(());
        }
        writeln!(
            to,
            "results of {} users, {:.1} journeys and {:.0} bytes each: {:.0} users/s, {:.1} MB/s",
            found.users,
            found.journeys_per_user,
            found.bytes_per_user,
            found.users_per_second,
            found.users_per_second * found.bytes_per_user / 1e6
        )?;
        Ok(())
    }
}

impl KernelArgs {
    fn run(&self, as_json: bool, mut to: impl Write) -> Result<()> {
        if !as_json {
            writeln!(
                to,
                "clustering, {} threads, seed {}",
                self.threads.max(1),
                self.seed
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
        for &items in &self.items_per_user {
            for &terms in &self.terms_per_item {
                let shape = Shape {
                    items: items.max(1) as usize,
                    terms: terms as usize,
                    interests: INTERESTS,
                };
                let (walk, all) = measure(self, shape);
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
