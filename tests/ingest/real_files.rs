//! Files that nobody made for us, with the mappings that a user would write.

use std::path::Path;

use sojourn::ingest::{FieldMap, IngestOptions};

use crate::support::shared_data;
use crate::workspace::{Workspace, block_on, open, run};

fn options(workspace: &Workspace, folder: &Path, items: &str, log: &str) -> IngestOptions {
    let at = |name: &str| folder.join(name).display().to_string();
    IngestOptions::new(&at(items), &at(log), &workspace.location("dataset"))
}

#[test]
fn film_ratings_are_read_with_their_genres_and_descriptions() {
    let Some(folder) = shared_data("movietweetings") else {
        return;
    };
    let workspace = Workspace::new();
    let mut options = options(&workspace, &folder, "items.jsonl.gz", "interactions.csv.gz");
    options.fields = FieldMap::parse("tags=genres+wiki_genres,weight=rating").unwrap();
    let manifest = run(options).unwrap();
    let counts = &manifest.counts;
    assert_eq!(
        (counts.items, counts.users, counts.interactions),
        (12_611, 21_081, 141_695)
    );
    assert!(counts.rejects.is_empty(), "{:?}", counts.rejects);
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    block_on(dataset.verify()).unwrap();
}

#[test]
fn purchases_are_read_and_what_one_basket_has_twice_is_accounted_for() {
    let Some(folder) = shared_data("online_retail") else {
        return;
    };
    let workspace = Workspace::new();
    let mut options = options(&workspace, &folder, "items.csv.gz", "interactions.csv.gz");
    options.fields = FieldMap::parse("weight=quantity").unwrap();
    let counts = run(options).unwrap().counts;
    assert_eq!((counts.items, counts.users), (3_659, 4_334));
    let rejected: u64 = counts.rejects.values().sum();
    assert_eq!(counts.interactions + rejected, 386_326);
    assert!(
        counts
            .rejects
            .keys()
            .all(|reason| reason == "duplicate_interaction")
    );
}

#[test]
fn one_long_history_is_cut_into_windows_and_is_its_own_catalogue() {
    let Some(folder) = shared_data("everything_i_know") else {
        return;
    };
    let workspace = Workspace::new();
    let mut options = options(&workspace, &folder, "history.jsonl.gz", "history.jsonl.gz");
    options.window = Some(200);
    let manifest = run(options).unwrap();
    let counts = &manifest.counts;
    assert_eq!((counts.items, counts.interactions), (105_156, 105_156));
    assert_eq!(counts.users, 105_156_u64.div_ceil(200));
    assert!(manifest.shard_of("nv/0").is_some() && manifest.shard_of("nv/525").is_some());
}
