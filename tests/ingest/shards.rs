//! How users are cut into shards and windows.

use std::collections::BTreeMap;

use sojourn::dataset::user_hash;

use crate::population::{self, events_csv, items_csv};
use crate::workspace::{Workspace, all_histories, block_on, events, open, run};

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write("log.csv", events_csv());
    workspace
}

#[test]
fn shards_hold_as_many_users_as_asked_and_every_user_is_found_in_theirs() {
    let workspace = workspace();
    let mut options = workspace.options("items.csv", "log.csv");
    options.users_per_shard = 3;
    let manifest = run(options).unwrap();
    assert_eq!(manifest.shards.len(), population::USERS.div_ceil(3));
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let mut last = None;
    for shard in &manifest.shards {
        let histories = block_on(dataset.read_shard(shard.index)).unwrap();
        assert!(histories.len() <= 3);
        assert_eq!(histories.len() as u64, shard.users);
        let count: usize = histories
            .iter()
            .map(|history| history.interactions.len())
            .sum();
        assert_eq!(count as u64, shard.interactions);
        for history in &histories {
            assert_eq!(manifest.shard_of(&history.user), Some(shard.index));
            let key = |i: &sojourn::history::Interaction| (i.timestamp, i.item);
            assert!(history.interactions.is_sorted_by(|a, b| key(a) < key(b)));
        }
        let hashes = || histories.iter().map(|history| user_hash(&history.user));
        assert!(hashes().is_sorted());
        assert_eq!(hashes().next(), Some(shard.first_hash));
        assert_eq!(hashes().next_back(), Some(shard.last_hash));
        assert!(last < Some(shard.first_hash), "ranges overlap");
        last = Some(shard.last_hash);
        let latest = histories
            .iter()
            .flat_map(|h| &h.interactions)
            .map(|i| i.timestamp)
            .max();
        assert_eq!(latest, Some(shard.latest));
    }
    assert_eq!(all_histories(&dataset).len(), population::USERS);
}

#[test]
fn interactions_of_one_moment_are_in_the_order_of_their_item_ids() {
    let workspace = Workspace::new();
    workspace.write("items.csv", "item_id,title\nb,B\na,A\nc,C\n");
    let log = "user_id,item_id,timestamp\nann,c,7\nann,b,7\nann,a,8\nann,a,7\n";
    workspace.write("log.csv", log);
    run(workspace.options("items.csv", "log.csv")).unwrap();
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let found: Vec<(String, i64)> = events(&dataset)["ann"]
        .iter()
        .map(|(item, time, _)| (item.clone(), *time))
        .collect();
    let expected = [("a", 7), ("b", 7), ("c", 7), ("a", 8)];
    assert_eq!(
        found,
        expected.map(|(item, time)| (item.to_owned(), time * 1000))
    );
}

#[test]
fn a_shard_holds_no_more_interactions_than_asked_unless_one_user_has_more() {
    const MOST: usize = 10;
    const LONG: usize = 57;
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    let mut log = String::from("user_id,item_id,timestamp\n");
    for user in 0..30 {
        let count = if user % 10 == 3 { LONG } else { user % 6 + 1 };
        for step in (0..count).rev() {
            log += &format!("u{user},i{:02},{step}\n", step % 12);
        }
    }
    workspace.write("log.csv", log);
    let mut options = workspace.options("items.csv", "log.csv");
    options.interactions_per_shard = MOST;
    let manifest = run(options).unwrap();
    let over: Vec<_> = manifest
        .shards
        .iter()
        .filter(|s| s.interactions > MOST as u64)
        .collect();
    assert_eq!(over.len(), 3);
    assert!(
        over.iter()
            .all(|shard| shard.users == 1 && shard.interactions == LONG as u64)
    );
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    block_on(dataset.verify()).unwrap();
    let users = events(&dataset);
    assert_eq!(users.len(), 30);
    assert_eq!(manifest.counts.users, 30);
    let times: Vec<i64> = users["u3"].iter().map(|event| event.1).collect();
    assert_eq!(
        times,
        (0..LONG as i64).map(|step| step * 1000).collect::<Vec<_>>()
    );
}

#[test]
fn a_user_that_is_not_there_is_in_no_shard() {
    let workspace = workspace();
    let mut options = workspace.options("items.csv", "log.csv");
    options.users_per_shard = 1;
    let manifest = run(options).unwrap();
    assert_eq!(manifest.shard_of("nobody"), None);
}

#[test]
fn windows_are_cut_in_the_order_of_time_and_each_is_a_user() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    // In reverse, with one row twice: a window is cut from what is kept.
    let rows: String = (0..25)
        .rev()
        .map(|t| format!("u,i{:02},{t}\n", t % 12))
        .collect();
    let log = format!("user_id,item_id,timestamp\n{rows}u,i03,3\nv,i00,7\n");
    workspace.write("log.csv", log);
    let mut options = workspace.options("items.csv", "log.csv");
    options.window = Some(10);
    options.max_rejects = 0.1;
    let manifest = run(options).unwrap();
    assert_eq!(manifest.counts.users, 4);
    assert_eq!(manifest.counts.rejects["duplicate_interaction"], 1);
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let times: BTreeMap<String, Vec<i64>> = events(&dataset)
        .into_iter()
        .map(|(user, events)| (user, events.iter().map(|event| event.1 / 1000).collect()))
        .collect();
    let expected = [
        ("u/0", (0..10).collect::<Vec<i64>>()),
        ("u/1", (10..20).collect()),
        ("u/2", (20..25).collect()),
        ("v/0", vec![7]),
    ];
    assert_eq!(
        times,
        expected
            .map(|(user, times)| (user.to_owned(), times))
            .into()
    );
}
