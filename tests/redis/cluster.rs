//! What of a cluster one must know to use it, and what is no cluster to be used.

use std::time::Duration;

use sojourn::connection::{ConnectError, Redis, RedisOptions};

use crate::slots::owner;
use crate::support::{Node, Server, free_ports};

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
    let own = |tag: &String| {
        let keyslot = format!("CLUSTER KEYSLOT {tag}");
        owner(&server, node.ask(&keyslot).unwrap()) == 1
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
