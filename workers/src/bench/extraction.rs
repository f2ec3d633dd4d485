//! How fast the journeys of a dataset's users are found, step by step.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use sojourn::catalogue::Catalogue;
use sojourn::dataset::{Dataset, DatasetError};
use sojourn::history::{History, Visit};
use sojourn::journey::{Extractor, Icpc, ItemVectors, JourneyParams};

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// Where items are described.
    pub catalogue: Arc<Catalogue>,
    /// Whose journeys are found.
    pub histories: Vec<History>,
    /// How.
    pub params: JourneyParams,
    /// End of the dataset, in milliseconds since 1970.
    pub as_of: i64,
    /// Threads among which the histories are divided.
    pub threads: usize,
}

/// What was measured, in microseconds of one thread's time a user: the best of several rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ExtractionFigures {
    /// Users that were looked at.
    pub users: usize,
    /// Items of each, in the mean.
    pub items_per_user: f64,
    /// Journeys of each, in the mean.
    pub journeys_per_user: f64,
    /// Threads.
    pub threads: usize,
    /// Gathering the terms of the items.
    pub gather: f64,
    /// Clustering them.
    pub cluster: f64,
    /// Everything, from the history to its journeys.
    pub extract: f64,
}

/// Rounds of each measurement.
const ROUNDS: usize = 3;

impl Extraction {
    /// Some users of a dataset, from its first shards on.
    ///
    /// # Errors
    /// When a shard cannot be read.
    pub async fn of(
        dataset: &Dataset,
        users: usize,
        threads: usize,
    ) -> Result<Extraction, DatasetError> {
        let mut histories = Vec::with_capacity(users);
        for shard in &dataset.manifest().shards {
            if histories.len() >= users {
                break;
            }
            histories.extend(dataset.read_shard(shard.index).await?);
        }
        histories.truncate(users);
        Ok(Extraction {
            catalogue: dataset.catalogue().clone(),
            histories,
            params: JourneyParams::default(),
            as_of: dataset.manifest().counts.last_timestamp,
            threads: threads.max(1),
        })
    }

    /// An extractor for these histories.
    pub fn extractor(&self) -> Extractor {
        Extractor::new(self.catalogue.clone(), self.params, self.as_of)
    }

    /// Goes through all histories again and again.
    pub fn measure(&self) -> ExtractionFigures {
        let visits: Vec<Vec<Visit>> = self.histories.iter().map(History::visits).collect();
        let gather = self.best_round(&visits, || {
            let mut vectors = ItemVectors::default();
            move |visits: &Vec<Visit>| {
                vectors.fill(&self.catalogue, visits.iter().map(|visit| visit.item));
                black_box(vectors.len());
            }
        });
        let gather_and_cluster = self.best_round(&visits, || {
            let (mut vectors, mut icpc) = (ItemVectors::default(), Icpc::default());
            move |visits: &Vec<Visit>| {
                vectors.fill(&self.catalogue, visits.iter().map(|visit| visit.item));
                black_box(icpc.cluster(&vectors, &self.params).journeys.len());
            }
        });
        let extract = self.best_round(&self.histories, || {
            let mut extractor = self.extractor();
            move |history: &History| {
                black_box(extractor.extract(history).journeys.len());
            }
        });
        let users = self.histories.len().max(1) as f64;
        let mut extractor = self.extractor();
        let journeys = self
            .histories
            .iter()
            .map(|h| extractor.extract(h).journeys.len());
        ExtractionFigures {
            users: self.histories.len(),
            items_per_user: visits.iter().map(Vec::len).sum::<usize>() as f64 / users,
            journeys_per_user: journeys.sum::<usize>() as f64 / users,
            threads: self.threads,
            gather,
            cluster: gather_and_cluster - gather,
            extract,
        }
    }

    /// Does something to each of these on all threads, each with its own memory.
    fn best_round<T: Sync, W: FnMut(&T)>(&self, what: &[T], work: impl Fn() -> W + Sync) -> f64 {
        let share = what.len().div_ceil(self.threads).max(1);
        let one = |what: &[T]| {
            let mut work = work();
            let begun = Instant::now();
            what.iter().for_each(&mut work);
            begun.elapsed()
        };
        let round = |_| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = what
                    .chunks(share)
                    .map(|share| scope.spawn(|| one(share)))
                    .collect();
                // None panics.
                let times = threads.into_iter().filter_map(|thread| thread.join().ok());
                times.sum::<Duration>()
            })
        };
        let best = (0..ROUNDS).map(round).min().unwrap_or_default();
        best.as_secs_f64() * 1e6 / what.len().max(1) as f64
    }
}
