//! Journeys depend on the history, the catalogue and the parameters, and on nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use sojourn::dataset::Dataset;
use sojourn::history::History;
use sojourn::ingest::{IngestOptions, IngestProgress, ingest};
use sojourn::journey::{Assign, Extraction, Extractor, JourneyParams};
use sojourn_scheduler::demo::Population;

/// A population like the demo's as a dataset, and all of its histories.
async fn population(users: usize, seed: u64, folder: &Path) -> (Dataset, Vec<History>) {
    Population::generate(users, seed).write(folder).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let (items, interactions, out) = (path("items.csv"), path("interactions.csv"), path("dataset"));
    let options = IngestOptions::new(&items, &interactions, &out);
    ingest(options, Arc::new(IngestProgress::default()))
        .await
        .unwrap();
    let dataset = Dataset::open(&out, folder).await.unwrap();
    let mut histories = Vec::new();
    for shard in &dataset.manifest().shards {
        histories.extend(dataset.read_shard(shard.index).await.unwrap());
    }
    (dataset, histories)
}

/// Journeys by user, found by so many threads in the order in which the histories are given.
fn extract(
    dataset: &Dataset,
    histories: &[History],
    threads: usize,
    params: JourneyParams,
) -> BTreeMap<String, Extraction> {
    let extractor = || Extractor::new(dataset.catalogue().clone(), params, 1_770_000_000_000);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| {
        histories
            .par_iter()
            .map_init(extractor, |extractor, history| {
                (history.user.clone(), extractor.extract(history))
            })
            .collect()
    })
}

/// An order of `length` things, decided by `seed`.
fn shuffled(length: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    order
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

proptest! {
    // Each case writes and ingests a population of its own.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn neither_threads_nor_the_order_of_users_change_a_journey(
        seed in any::<u64>(),
        order in any::<u64>(),
        threads in 2usize..9,
        users in 1usize..13,
        plain in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, histories) = runtime().block_on(population(users, seed, folder.path()));
        let params = if plain { JourneyParams::plain() } else { JourneyParams::default() };
        let expected = extract(&dataset, &histories, 1, params);
        prop_assert_eq!(expected.len(), users);
        prop_assert!(expected.values().any(|extraction| !extraction.journeys.is_empty()));
        let order = shuffled(users, order);
        let permuted: Vec<History> = order.iter().map(|&at| histories[at].clone()).collect();
        prop_assert_eq!(extract(&dataset, &permuted, threads, params), expected);
    }
}

/// Members of the journeys of one user, an item in several of them once.
fn distinct_members(extraction: &Extraction) -> u64 {
    let items = extraction
        .journeys
        .iter()
        .flat_map(|journey| &journey.items);
    items.map(|(id, _)| id).collect::<BTreeSet<_>>().len() as u64
}

#[test]
fn every_item_of_a_history_is_in_a_journey_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, histories) = runtime().block_on(population(60, 3, folder.path()));
    for assign in [Assign::Nearest, Assign::Every] {
        for params in [JourneyParams::default(), JourneyParams::plain()] {
            for max_history in [20, 20_000] {
                let params = JourneyParams {
                    assign,
                    max_history,
                    ..params
                };
                let mut shared = 0;
                for extraction in extract(&dataset, &histories, 2, params).values() {
                    let listed: usize = extraction.journeys.iter().map(|j| j.items.len()).sum();
                    shared += listed as u64 - distinct_members(extraction);
                    let accounted = distinct_members(extraction)
                        + extraction.items_in_small_journeys
                        + extraction.items_in_unsure_journeys
                        + extraction.items_without_terms
                        + extraction.items_beyond_history;
                    assert_eq!(accounted, extraction.items);
                }
                assert_eq!(shared > 0, assign == Assign::Every, "{params:?}");
            }
        }
    }
}
