//! What of a cluster one must know to use it, and what is no cluster to be used.

use sojourn::connection::{ConnectError, Redis, RedisOptions};

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
