//! A cluster whose nodes die and whose slots move.

use std::time::{Duration, Instant};

use sojourn::connection::{ConnectError, Redis, RedisOptions};

use crate::deployment::{Access, assert_counted_once, without_names};
use crate::support::{Node, Server, free_ports, small_dataset, wait_for};

/// Users, one in each shard.
const USERS: usize = 600;

/// Waits until a replica has become a primary.
fn wait_for_promotion(node: &Node) {
    wait_for("the replica to take over", || {
        is_primary(node).then_some(())
    });
}

fn is_primary(node: &Node) -> bool {
    node.ask::<String>("INFO replication")
        .is_ok_and(|info| info.contains("role:master"))
}

/// Lets a replica take over while no client is served, so that no write is lost.
fn fail_over_to(replica: &Node) {
    /// The servers give up after five seconds; a busy machine may need a second attempt.
    const ATTEMPT: Duration = Duration::from_secs(6);
    let mut asked: Option<Instant> = None;
    wait_for("the replica to take over", || {
        if asked.is_none_or(|at| at.elapsed() > ATTEMPT) {
            let _: String = replica.ask("CLUSTER FAILOVER").unwrap();
            asked = Some(Instant::now());
        }
        is_primary(replica).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_when_a_replica_takes_over_as_asked() {
    let server = Server::start_cluster(1);
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), USERS, 1).display().to_string();
    let access = Access::to(&server.url());
    let _processes = access.deploy();
    let run = access.backfill(&dataset);
    access.wait_for_jobs(&run, 50);
    fail_over_to(&server.nodes[3]);
    let status = access.ask(&["run", &run, "--watch"]);
    assert_counted_once(&status, USERS);
    let options = RedisOptions::new(server.url());
    assert_eq!(without_names(&options, USERS).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_a_primary_dies_with_writes_that_its_replica_lacks_and_can_be_repaired() {
    let mut server = Server::start_cluster(1);
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), USERS, 1).display().to_string();
    let access = Access::to(&server.url());
    // Names of results that are lost are not waited for long.
    let _processes = [
        access.start("sojourn", &["serve"]),
        access.start("sojourn-worker", &["extract", "--lease", "2"]),
        access.start(
            "sojourn-worker",
            &["name", "--lease", "2", "--max-failures", "2"],
        ),
    ];
    let run = access.backfill(&dataset);
    access.wait_for_jobs(&run, 50);
    cut_replication(&server.nodes[0], &server.nodes[3]);
    access.wait_for_jobs(&run, 200);
    server.nodes[0].kill();
    wait_for_promotion(&server.nodes[3]);
    let begun = Instant::now();
    let status = access.follow(&run);
    assert_eq!(status["state"], "done", "{status}");
    // Their jobs are in the slots of other nodes, which know that they were done.
    let options = RedisOptions::new(server.url());
    let without = without_names(&options, USERS).await.len();
    eprintln!(
        "failover with lost writes: {USERS} jobs, {USERS} users; begun again {} times, {} naming jobs \
         noticed that results are lost, {without} users without names; done {:.1} s after the replica \
         took over",
        status["restarts"],
        status["counts"]["naming_dead"].as_u64().unwrap_or(0),
        begun.elapsed().as_secs_f64()
    );
    let status = access.ask(&["repair", &run, "--watch"]);
    // What had a name before is not named again, so names are not counted again either.
    let count = |name: &str| status["counts"][name].as_u64().unwrap_or(0) as usize;
    assert_eq!((count("users"), count("done")), (USERS, USERS), "{status}");
    assert_eq!(
        (count("journeys"), count("dead")),
        (2 * USERS, 0),
        "{status}"
    );
    assert_eq!(without_names(&options, USERS).await, [""; 0]);
}

/// From now on, what the primary takes does not reach the replica.
fn cut_replication(primary: &Node, replica: &Node) {
    // The primary knows no such login, and refuses the replica when it comes back.
    let _: String = replica.ask("CONFIG SET masterauth nobody").unwrap();
    let _: u64 = primary.ask("CLIENT KILL TYPE replica").unwrap();
    wait_for("the replica to be away", || {
        let info: String = primary.ask("INFO replication").unwrap();
        info.contains("connected_slaves:0").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_while_slots_move_to_another_node() {
    let server = Server::start_cluster(0);
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), USERS, 1).display().to_string();
    let access = Access::to(&server.url());
    let _processes = access.deploy();
    let run = access.backfill(&dataset);
    access.wait_for_jobs(&run, 50);
    // The register, every partition of both queues, and some users.
    let tags = ["runs", "u1", "u2", "u3", "u500", "u599"].map(str::to_owned);
    let partitions = (0..4).flat_map(|n| [format!("extract:{n}"), format!("name:{n}")]);
    for tag in tags.into_iter().chain(partitions) {
        move_slot(&server, &tag);
    }
    let status = access.ask(&["run", &run, "--watch"]);
    assert_counted_once(&status, USERS);
    let options = RedisOptions::new(server.url());
    assert_eq!(without_names(&options, USERS).await, [""; 0]);
}

/// Moves the slot of a hash tag to another node, key by key, as `redis-cli --cluster reshard` does.
fn move_slot(server: &Server, tag: &str) {
    let slot: u16 = server.nodes[0]
        .ask(&format!("CLUSTER KEYSLOT {tag}"))
        .unwrap();
    let from = owner(server, slot);
    let to = (from + 1) % server.nodes.len();
    let (from, to) = (&server.nodes[from], &server.nodes[to]);
    let id = |node: &Node| node.ask::<String>("CLUSTER MYID").unwrap();
    let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(from));
    let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(to));
    let _: String = to.ask(&importing).unwrap();
    let _: String = from.ask(&migrating).unwrap();
    loop {
        let keys: Vec<String> = from
            .ask(&format!("CLUSTER GETKEYSINSLOT {slot} 10"))
            .unwrap();
        if keys.is_empty() {
            break;
        }
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg(&["127.0.0.1", &to.port.to_string(), "", "0", "5000", "KEYS"]);
        // NOKEY: they went away meanwhile, as finished jobs do.
        let _: String = migrate.arg(&keys).query(&mut from.connect()).unwrap();
    }
    // The new owner first: a slot that both disown would be lost. Again until all agree: what nodes
    // have told each other just before may undo it.
    wait_for("the nodes to agree", || {
        for node in [to, from].into_iter().chain(&server.nodes) {
            let _: String = node
                .ask(&format!("CLUSTER SETSLOT {slot} NODE {}", id(to)))
                .unwrap();
        }
        let agrees = |node: &Node| owner_by(node, slot).is_some_and(|owner| owner == id(to));
        server.nodes.iter().all(agrees).then_some(())
    });
}

/// Which node has a slot.
pub fn owner(server: &Server, slot: u16) -> usize {
    let says_so = |node: &Node| owner_by(node, slot) == node.ask("CLUSTER MYID").ok();
    server
        .nodes
        .iter()
        .position(says_so)
        .expect("every slot has an owner")
}

/// The id of the node that has a slot, as `node` believes.
fn owner_by(node: &Node, slot: u16) -> Option<String> {
    let nodes: String = node.ask("CLUSTER NODES").unwrap();
    let has = |range: &str| match range.split_once('-') {
        // A slot that is on its way.
        _ if range.starts_with('[') => false,
        Some((first, last)) => (first.parse().unwrap()..=last.parse().unwrap()).contains(&slot),
        None => range.parse() == Ok(slot),
    };
    let mut lines = nodes.lines();
    let line = lines.find(|line| line.split(' ').skip(8).any(has))?;
    line.split(' ').next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_is_enough_to_find_the_others() {
    let server = Server::start_cluster(0);
    let url = format!("redis://127.0.0.1:{}", server.nodes[1].port);
    let redis = Redis::connect(&RedisOptions::new(url)).await.unwrap();
    for user in ["a", "b", "c", "d", "e"] {
        let key = redis.keys().names(user);
        let () = redis::cmd("HSET")
            .arg(&[&key, "j", user])
            .query_async(&mut redis.commands())
            .await
            .unwrap();
    }
    let reader = sojourn::store::JourneyReader::new(&redis);
    let names = reader
        .names_of_many(&["e", "d", "c", "b", "a"])
        .await
        .unwrap();
    let names: Vec<&String> = names.iter().map(|names| &names["j"]).collect();
    assert_eq!(names, ["e", "d", "c", "b", "a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_that_are_no_cluster_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports(1);
    let node = Node::start(folder.path(), ports[0], &[]);
    let url = format!("redis://127.0.0.1:{0},127.0.0.1:{0}", node.port);
    let error = Redis::connect(&RedisOptions::new(url)).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoCluster { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_primary_of_a_cluster_must_keep_what_it_has() {
    let server = Server::start_cluster(0);
    let _: String = server.nodes[2]
        .ask("CONFIG SET maxmemory-policy allkeys-lru")
        .unwrap();
    let error = Redis::connect(&RedisOptions::new(server.url()))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Evicts { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_of_a_cluster_that_reads_its_data_back_is_waited_for() {
    const KEYS: u64 = 60_000;
    /// Half of what the data takes at least, and many times what lies between two looks at clients.
    const TIMEOUT: Duration = Duration::from_secs(3);
    // What makes reading back slow: 100 µs for each key.
    // And all that was written is on disk when the node is killed.
    let slowly = ["--key-load-delay", "100", "--appendfsync", "always"];
    let mut server = Server::start_cluster_with(0, &slowly);
    let fill = "for i = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1], i, i) end";
    let node = &server.nodes[1];
    let id: String = node.ask("CLUSTER MYID").unwrap();
    let own = |tag: &String| {
        let keyslot = format!("CLUSTER KEYSLOT {tag}");
        owner_by(node, node.ask(&keyslot).unwrap()).as_ref() == Some(&id)
    };
    let key = (0..).map(|n| n.to_string()).find(own).unwrap();
    let _: redis::Value = redis::cmd("EVAL")
        .arg(fill)
        .arg(1)
        .arg(key)
        .arg(KEYS)
        .query(&mut node.connect())
        .unwrap();
    server.nodes[1].kill();
    server.nodes[1].restart();
    let is_loading = |node: &Node| {
        let info: String = node.ask("INFO persistence").unwrap();
        info.contains("loading:1")
    };
    assert!(is_loading(&server.nodes[1]));
    let mut options = RedisOptions::new(server.url());
    options.timeout = TIMEOUT;
    let connected = Redis::connect(&options).await;
    assert!(connected.is_ok(), "{connected:?}");
    assert!(!is_loading(&server.nodes[1]));
}
