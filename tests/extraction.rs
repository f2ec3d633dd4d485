//! Journeys depend on the history, the catalogue and the parameters, and on nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use sojourn::dataset::Dataset;
use sojourn::history::History;
use sojourn::ingest::{IngestOptions, IngestProgress, ingest};
use sojourn::journey::{Extraction, Extractor, JourneyParams};
use sojourn_scheduler::demo::Population;

/// The demo's population as a dataset, and all of its histories.
async fn population(folder: &Path) -> (Dataset, Vec<History>) {
    Population::generate(150, 3).write(folder).unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn neither_threads_nor_the_order_of_users_change_a_journey() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, mut histories) = population(folder.path()).await;
    for params in [JourneyParams::default(), JourneyParams::plain()] {
        let expected = extract(&dataset, &histories, 1, params);
        assert_eq!(expected.len(), 150);
        assert!(
            expected
                .values()
                .any(|extraction| !extraction.journeys.is_empty())
        );
        for threads in [2, 7] {
            histories.reverse();
            histories.rotate_left(41);
            assert_eq!(extract(&dataset, &histories, threads, params), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_of_a_history_is_in_a_journey_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, histories) = population(folder.path()).await;
    let short = JourneyParams {
        max_history: 20,
        ..JourneyParams::default()
    };
    for params in [JourneyParams::default(), short] {
        for extraction in extract(&dataset, &histories, 2, params).values() {
            let in_journeys: u64 = extraction.journeys.iter().map(|j| u64::from(j.size)).sum();
            let accounted = in_journeys
                + extraction.items_in_small_journeys
                + extraction.items_without_terms
                + extraction.items_beyond_history;
            assert_eq!(accounted, extraction.items);
        }
    }
}
