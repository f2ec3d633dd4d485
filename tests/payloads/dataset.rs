//! The dataset that such jobs are about.

use std::collections::BTreeMap;

use sojourn::dataset::{Manifest, ShardIndex};
use sojourn::run::Epoch;
use sojourn_scheduler::plan::Plan;
use sojourn_scheduler::trigger::{Request, Scope};

use crate::support::{root, run::backfill};

/// The manifest of six users, u0 to u5, two in each shard, as it was written in format 1.
async fn of_format_1() -> Manifest {
    let folder = root().join("tests/payloads/format1");
    Manifest::load(&folder.display().to_string()).await.unwrap()
}

fn users() -> Vec<String> {
    (0..6).map(|user| format!("u{user}")).collect()
}

#[tokio::test]
async fn users_of_a_dataset_of_format_1_are_found_in_its_shards() {
    let manifest = of_format_1().await;
    let mut found: BTreeMap<u32, usize> = BTreeMap::new();
    for user in users() {
        let ShardIndex(shard) = manifest.shard_of(&user).expect("a shard");
        *found.entry(shard).or_default() += 1;
    }
    assert_eq!(found, BTreeMap::from([(0, 2), (1, 2), (2, 2)]));
}

/// A partition remembers how many jobs of the plan it has been given.
#[tokio::test]
async fn a_run_over_a_dataset_of_format_1_goes_on_in_the_order_in_which_it_was_begun() {
    let manifest = of_format_1().await;
    let jobs = |manifest: &Manifest, scope: Scope, users: &[String]| {
        let request = Request {
            scope,
            ..backfill("dataset".as_ref())
        };
        let plan = Plan::new(manifest, &request, users, Epoch(1), 1).unwrap();
        let ids = plan.partitions[0].iter().map(|job| job.id.clone());
        ids.collect::<Vec<_>>()
    };
    let everybody = jobs(&manifest, Scope::All, &[]);
    assert_eq!(everybody, ["00000", "00001", "00002"]);
    let cohort = jobs(&manifest, Scope::Cohort("all".into()), &users());
    assert_eq!(cohort, ["00000.0", "00001.0", "00002.0"]);
    let mut newer = manifest;
    newer.format = 2;
    let everybody = jobs(&newer, Scope::All, &[]);
    assert_eq!(everybody, ["00000", "00002", "00001"]);
}
