//! Results on a real server.

mod support;

use std::time::Duration;

use jiff::Timestamp;
use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::dataset::{Dataset, ShardIndex, user_hash};
use sojourn::journey::{Journey, JourneyTerm, NameSource, Stage, StageActivity, StageDuration};
use sojourn::run::{Epoch, RunId};
use sojourn::store::{JourneyReader, JourneyWriter, Meta, NewName, UserResult, Written};
use support::{Node, Server, ingest, said};

fn journey(id: &str, name: &str) -> Journey {
    Journey {
        id: id.into(),
        name: name.into(),
        name_source: NameSource::Provisional,
        signature: "00112233aabbccdd".into(),
        terms: vec![JourneyTerm {
            term: "ukulele".into(),
            weight: 0.9,
        }],
        titles: vec!["\"signature\":\"ffff\" is no field in a title".into()],
        items: vec![("a".into(), 0.5), ("b".into(), 0.4)],
        size: 2,
        strength: 0.5,
        confidence: 1.0,
        rank: 1,
        first: Timestamp::UNIX_EPOCH,
        last: Timestamp::UNIX_EPOCH,
        stage: Stage {
            duration: StageDuration::Situational,
            activity: StageActivity::Ended,
        },
    }
}

fn result(
    user: &str,
    epoch: u64,
    attempt: u32,
    revision: u64,
    journeys: Vec<Journey>,
) -> UserResult<'_> {
    let meta = Meta {
        epoch: Epoch(epoch),
        attempt,
        revision,
        run: RunId::parse("1-0").unwrap(),
        dataset: "d".into(),
        parameters: "p".into(),
        merge_threshold: None,
        exploration: None,
        written_at: Timestamp::UNIX_EPOCH,
    };
    UserResult {
        user,
        meta,
        journeys: journeys.into(),
        replaces_foreign: false,
    }
}

async fn write(redis: &Redis, result: UserResult<'_>) -> Written {
    JourneyWriter::new(redis)
        .write(&[result], None)
        .await
        .unwrap()[0]
}

#[tokio::test]
async fn what_is_written_is_read_one_by_one_and_in_one_go() {
    let server = Server::start();
    let redis = server.connect().await;
    let reader = JourneyReader::connect(&server.url()).await.unwrap();
    let journeys = vec![journey("j1", "Ukulele"), journey("j2", "Zürich 東京")];
    assert_eq!(
        write(&redis, result("ann", 1, 1, 1, journeys.clone())).await,
        Written::Written
    );

    let names = reader.names("ann").await.unwrap();
    assert_eq!(names.get("j2").map(String::as_str), Some("Zürich 東京"));
    let found = reader.journeys("ann").await.unwrap().unwrap();
    assert_eq!((found.journeys, found.meta.epoch), (journeys, Epoch(1)));
    let many = reader.names_of_many(&["ann", "nobody"]).await.unwrap();
    assert_eq!((many[0].len(), many[1].len()), (2, 0));
    assert_eq!(reader.journeys("nobody").await.unwrap(), None);
}

#[tokio::test]
async fn an_older_run_never_overwrites_a_newer_one() {
    let server = Server::start();
    let redis = server.connect().await;
    write(&redis, result("ann", 7, 1, 1, vec![journey("new", "New")])).await;
    let older = result("ann", 6, 9, 2, vec![journey("old", "Old")]);
    assert_eq!(write(&redis, older).await, Written::Stale);
    let names = JourneyReader::new(&redis).names("ann").await.unwrap();
    assert_eq!(names.into_keys().collect::<Vec<_>>(), ["new"]);
}

#[tokio::test]
async fn an_earlier_attempt_never_overwrites_a_later_one() {
    let server = Server::start();
    let redis = server.connect().await;
    write(&redis, result("ann", 7, 2, 1, vec![])).await;
    assert_eq!(
        write(&redis, result("ann", 7, 1, 2, vec![])).await,
        Written::Stale
    );
    assert_eq!(
        write(&redis, result("ann", 7, 2, 2, vec![])).await,
        Written::Written
    );
}

#[tokio::test]
async fn a_writer_that_read_something_older_is_told_to_read_again() {
    let server = Server::start();
    let redis = server.connect().await;
    write(&redis, result("ann", 1, 1, 1, vec![journey("j", "A")])).await;
    assert_eq!(
        write(&redis, result("ann", 2, 1, 1, vec![])).await,
        Written::Changed
    );
    assert_eq!(
        write(&redis, result("ann", 2, 1, 2, vec![])).await,
        Written::Written
    );
}

#[tokio::test]
async fn a_user_who_has_no_journeys_any_more_has_no_names() {
    let server = Server::start();
    let redis = server.connect().await;
    write(&redis, result("ann", 1, 1, 1, vec![journey("j", "A")])).await;
    write(&redis, result("ann", 2, 1, 2, vec![])).await;
    let reader = JourneyReader::new(&redis);
    assert!(reader.names("ann").await.unwrap().is_empty());
    assert_eq!(reader.journeys("ann").await.unwrap().unwrap().journeys, []);
}

#[tokio::test]
async fn names_go_only_to_the_state_of_the_journey_that_was_named() {
    let server = Server::start();
    let redis = server.connect().await;
    let writer = JourneyWriter::new(&redis);
    let before = journey("j", "Ukulele");
    write(&redis, result("ann", 3, 1, 1, vec![before.clone()])).await;
    let named = async |epoch: u64, journey: &Journey, name: &str| {
        let name = NewName {
            journey,
            name,
            source: NameSource::Llm,
        };
        let names = [("ann", Epoch(epoch), vec![name])];
        writer.write_names(&names).await.unwrap()[0]
    };
    assert_eq!(named(2, &before, "Of another run").await, 0);
    let mut other = before.clone();
    other.signature = "ffff".into();
    assert_eq!(named(3, &other, "Of another state").await, 0);
    let mut missing = before.clone();
    missing.id = "gone".into();
    assert_eq!(named(3, &missing, "Of a journey that is gone").await, 0);

    assert_eq!(named(3, &before, "Fingerstyle Ukulele").await, 1);
    assert_eq!(
        named(3, &before, "Twice").await,
        0,
        "it was named in between"
    );
    let reader = JourneyReader::new(&redis);
    assert_eq!(
        reader.names("ann").await.unwrap()["j"],
        "Fingerstyle Ukulele"
    );
    let found = reader.journeys("ann").await.unwrap().unwrap();
    assert_eq!(found.journeys[0].name_source, NameSource::Llm);
    assert_eq!(
        found.meta.revision, 2,
        "an extraction that read before has to read again"
    );
}

#[tokio::test]
async fn results_expire_when_they_are_to() {
    let server = Server::start();
    let redis = server.connect().await;
    let writer = JourneyWriter::new(&redis);
    let results = [result("ann", 1, 1, 1, vec![journey("j", "A")])];
    writer
        .write(&results, Some(Duration::from_secs(3600)))
        .await
        .unwrap();
    for key in [redis.keys().names("ann"), redis.keys().journeys("ann")] {
        let ttl: i64 = redis.commands().ttl(&key).await.unwrap();
        assert!((3500..=3600).contains(&ttl), "{key}: {ttl}");
    }
}

#[tokio::test]
async fn scripts_survive_that_the_server_forgets_them() {
    let server = Server::start();
    let redis = server.connect().await;
    write(&redis, result("ann", 1, 1, 1, vec![])).await;
    let () = redis::cmd("SCRIPT")
        .arg("FLUSH")
        .query_async(&mut redis.commands())
        .await
        .unwrap();
    assert_eq!(
        write(&redis, result("bob", 1, 1, 1, vec![])).await,
        Written::Written
    );
}

#[tokio::test]
async fn results_of_another_form_are_replaced_by_a_writer_that_has_seen_them() {
    let server = Server::start();
    let redis = server.connect().await;
    let key = redis.keys().journeys("ann");
    let () = redis
        .commands()
        .hset(&key, "_meta", "{\"version\":9}")
        .await
        .unwrap();
    let mut mine = result("ann", 1, 1, 1, vec![journey("j", "A")]);
    assert_eq!(write(&redis, mine.clone()).await, Written::Changed);
    mine.replaces_foreign = true;
    assert_eq!(write(&redis, mine.clone()).await, Written::Written);
    mine.meta.epoch = Epoch(0);
    assert_eq!(
        write(&redis, mine).await,
        Written::Stale,
        "what can be read is not replaced by something older"
    );
}

#[tokio::test]
async fn what_is_wrong_with_one_user_does_not_keep_the_others_back() {
    let server = Server::start();
    let redis = server.connect().await;
    write(&redis, result("ann", 1, 1, 1, vec![journey("j", "A")])).await;
    let key = redis.keys().journeys("bob");
    let () = redis.commands().hset(&key, "j", "{}").await.unwrap();
    let reader = JourneyReader::new(&redis);
    let many = reader.journeys_of_many(&["ann", "bob"]).await.unwrap();
    assert!(many[0].as_ref().unwrap().is_some());
    assert!(many[1].as_ref().unwrap_err().to_string().contains("{bob}"));
}

#[tokio::test]
async fn a_server_without_memory_keeps_what_it_has() {
    let server = Server::start();
    let redis = server.connect().await;
    write(&redis, result("ann", 1, 1, 1, vec![journey("old", "Old")])).await;
    let () = redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .query_async(&mut redis.commands())
        .await
        .unwrap();
    let newer = result("ann", 2, 1, 2, vec![journey("new", "New")]);
    let writer = JourneyWriter::new(&redis);
    assert!(writer.write(&[newer], None).await.is_err());
    let names = JourneyReader::new(&redis).names("ann").await.unwrap();
    assert_eq!(names.into_keys().collect::<Vec<_>>(), ["old"]);
}

#[tokio::test]
async fn results_of_somebody_else_are_reported_with_key_and_field() {
    let server = Server::start();
    let redis = server.connect().await;
    let key = redis.keys().journeys("ann");
    let () = redis.commands().hset(&key, "j", "{}").await.unwrap();
    let error = JourneyReader::new(&redis)
        .journeys("ann")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("{ann}") && error.contains("_meta"),
        "{error}"
    );
}

/// How many transactions a server has carried out.
fn transactions(node: &Node) -> u64 {
    let stats: String = node.ask("INFO commandstats").unwrap();
    let calls = |line: &str| {
        let figures = line.strip_prefix("cmdstat_exec:calls=")?;
        figures.split(',').next()?.parse().ok()
    };
    stats.lines().find_map(calls).unwrap_or(0)
}

/// The users of a shard, as a worker reads them, of a population so large that it has them in so many
/// slots of a cluster.
async fn users_of_a_shard(users: usize, slots: u64) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let ids = (0..).map(|n| format!("u{n}"));
    let mut interactions = String::from("user_id,item_id,timestamp\n");
    for user in ids.filter(|user| user_hash(user) >> 50 < slots).take(users) {
        interactions += &format!("{user},a,1760000000\n");
    }
    std::fs::write(folder.path().join("items.csv"), "item_id,title\na,A\n").unwrap();
    std::fs::write(folder.path().join("interactions.csv"), interactions).unwrap();
    let out = folder.path().join("dataset");
    let output = ingest(folder.path(), &out, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let dataset = Dataset::open(&out.display().to_string(), folder.path()).await;
    let shard = dataset.unwrap().read_shard(ShardIndex(0)).await;
    let histories = shard.unwrap().into_iter();
    histories.map(|history| history.user).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_in_a_shard_share_transactions_on_a_cluster() {
    const USERS: usize = 600;
    const SLOTS: u64 = 20;
    const BATCH: usize = 50;
    let users = users_of_a_shard(USERS, SLOTS).await;
    assert_eq!(users.len(), USERS);
    let server = Server::start_cluster(0);
    let redis = server.connect().await;
    let writer = JourneyWriter::new(&redis);
    for batch in users.chunks(BATCH) {
        let results = batch
            .iter()
            .map(|user| result(user, 1, 1, 1, vec![journey("j", user)]));
        let results: Vec<UserResult<'_>> = results.collect();
        let written = writer.write(&results, None).await.unwrap();
        assert_eq!(written, vec![Written::Written; batch.len()]);
    }
    // One for each slot, and one more where a batch ends within a slot.
    let most = SLOTS + users.len().div_ceil(BATCH) as u64;
    let transactions: u64 = server.nodes.iter().map(transactions).sum();
    assert!((SLOTS..most).contains(&transactions), "{transactions}");

    let names = JourneyReader::new(&redis).names_of_many(&users).await;
    let names = names.unwrap();
    let names: Vec<&String> = names.iter().map(|names| &names["j"]).collect();
    assert!(names.into_iter().eq(&users));
}
