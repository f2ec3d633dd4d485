//! Asking for a run through a network that loses replies.

mod support;

#[allow(dead_code)]
#[path = "faults/proxy.rs"]
mod proxy;

use std::path::Path;

use sojourn::connection::{Redis, RedisOptions};
use sojourn_scheduler::inbox;

use proxy::{Proxy, Weather};
use support::run::backfill;
use support::{Server, wait_for};

/// The node that has the slot of a key.
fn holder(server: &Server, key: &str) -> usize {
    let held = |node: &support::Node| node.ask::<u64>(&format!("EXISTS {key}")).is_ok();
    server.nodes.iter().position(held).expect("a node has it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_reply_a_cluster_has_lost_begins_one_run() {
    let server = Server::start_cluster(0);
    let node = &server.nodes[holder(&server, "sj:triggers")];
    let proxy = Proxy::before(&node.socket());
    let address = proxy.url();
    let port = address.rsplit(':').next().unwrap();
    let _: String = node
        .ask(&format!("CONFIG SET cluster-announce-port {port}"))
        .unwrap();
    wait_for("all nodes to say so", || {
        let says_so = |node: &support::Node| {
            let slots: redis::Value = node.ask("CLUSTER SLOTS").unwrap();
            format!("{slots:?}").contains(&format!("int({port})"))
        };
        server.nodes.iter().all(says_so).then_some(())
    });
    let redis = Redis::connect(&RedisOptions::new(server.url()))
        .await
        .unwrap();
    // The script is known to the server: the first thing that is lost is the reply to the request.
    inbox::submit(&redis, &backfill(Path::new("/d")))
        .await
        .unwrap();
    let length = || node.ask::<u64>("XLEN sj:triggers").unwrap();
    assert_eq!(length(), 1);

    proxy.set(Weather::Mute);
    let asking = redis.clone();
    let submitted =
        tokio::spawn(async move { inbox::submit(&asking, &backfill(Path::new("/d"))).await });
    wait_for("the request", || (length() > 1).then_some(()));
    proxy.set(Weather::Clear);
    assert!(proxy.cut() > 0);
    let run = submitted.await.unwrap().unwrap();
    assert_eq!(length(), 2, "it was sent again, and asked for no other run");
    assert!(inbox::holds(&redis, &run).await.unwrap());
}
