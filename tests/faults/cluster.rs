//! A cluster of three primaries: workers that are killed, primaries that are replaced, with and
//! without a loss, and slots that move to another node.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use redis::Connection;

use crate::crew::Shape;
use crate::figures::{Figures, seconds};
use crate::ordeal::Ordeal;
use crate::results::matching;
use crate::run::{PARTITIONS, ask};
use crate::slots::move_slot;
use crate::support::{Node, Server, wait_for};
use crate::under_way::UnderWay;
use crate::workers_killed::kill_workers;
use crate::{is_long, wait_long};

/// Users, one in each shard.
fn users() -> usize {
    if is_long() { 8_000 } else { 800 }
}

/// Short, so that what was held by a dead worker goes on soon.
const LEASE: Duration = Duration::from_secs(2);

/// How many users' results a failover costs, at least.
const LOST: usize = 40;

/// A run over a cluster whose primaries have so many replicas.
fn under_way(replicas: usize, shape: Shape) -> UnderWay {
    let cluster = || Server::start_cluster(replicas);
    UnderWay::start(Ordeal::on(cluster, users(), 1), shape)
}

fn is_primary(node: &Node) -> bool {
    node.ask::<String>("INFO replication")
        .is_ok_and(|info| info.contains("role:master"))
}

/// The replica of the first primary, or that primary once they have changed roles.
fn replica(server: &Server) -> &Node {
    let pair = [&server.nodes[3], &server.nodes[0]];
    wait_for("a replica", || {
        pair.into_iter().find(|node| !is_primary(node))
    })
}

/// Lets a replica take over while no client is served, so that no write is lost.
fn fail_over_to(replica: &Node) {
    /// The servers give up after five seconds; a busy machine may need a second attempt.
    const ATTEMPT: Duration = Duration::from_secs(6);
    let mut asked: Option<Instant> = None;
    wait_for("the replica to take over", || {
        if is_primary(replica) {
            return Some(());
        }
        if asked.is_none_or(|at| at.elapsed() > ATTEMPT) {
            // Refused when it has taken over just now.
            let _ = replica.ask::<String>("CLUSTER FAILOVER");
            asked = Some(Instant::now());
        }
        None
    });
}

#[test]
fn workers_that_are_killed_at_random_lose_nothing_and_count_nothing_twice_on_a_cluster() {
    kill_workers("workers killed on a cluster", || Server::start_cluster(0));
}

#[test]
fn a_replica_that_takes_over_as_asked_is_followed() {
    let times = if is_long() { 10 } else { 1 };
    let mut run = under_way(1, Shape::small(LEASE));
    let (mut slowest, mut longest) = (Duration::ZERO, Duration::ZERO);
    // There and back again, in the middle half of the run.
    for _ in 0..times {
        run.assert_under_way();
        let asked = Instant::now();
        fail_over_to(replica(run.server()));
        slowest = slowest.max(asked.elapsed());
        longest = longest.max(run.recovery());
        run.wait_for_more(run.ordeal.jobs() / (2 * times as u64));
    }
    let figures = Figures::of("failover")
        .add("times", times)
        .add("slowest", seconds(slowest))
        .add("longest recovery", seconds(longest));
    run.judge(figures);
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

/// Users whose results a node has.
fn users_on(node: &Node) -> BTreeSet<String> {
    let mut connection: Connection = node.connect();
    let keys = matching(&mut connection, "sj:{*}:journeys");
    keys.into_iter().collect()
}

#[test]
fn what_a_failover_has_lost_is_noticed_and_can_be_repaired() {
    let shape = Shape {
        // Names of results that are lost are not waited for long.
        name_with: vec!["--max-failures", "2"],
        ..Shape::small(LEASE)
    };
    let mut run = under_way(1, shape);
    let [primary, replica] = [0, 3].map(|number| &run.server().nodes[number]);
    cut_replication(primary, replica);
    // Half of the partitions are on other nodes: with so many users lost, there are some whose jobs
    // are known to be done.
    let lost = wait_long("results that only the primary has", || {
        let lost = users_on(primary).difference(&users_on(replica)).count();
        (lost >= LOST).then_some(lost)
    });
    run.assert_under_way();
    let died = Instant::now();
    run.ordeal.server.nodes[0].kill();
    let replica = &run.server().nodes[3];
    wait_for("the replica to take over", || {
        is_primary(replica).then_some(())
    });
    let took_over = died.elapsed();
    let recovery = run.recovery();
    let counts = run.run().wait_until_done();
    let done = died.elapsed();
    let restarts = run.run().status()["restarts"].as_u64().unwrap_or(0);
    let noticed = counts.get("naming_dead");
    let requeued = counts.get("requeued") + counts.get("lost");
    // What had been named before the failover is what nobody notices.
    let differing = run.ordeal.differing();

    let id = run.run().id;
    ask(run.server(), &["repair", &id, "--watch"]);
    let repaired = run.run().wait_until_done();
    let figures = Figures::of("failover with lost writes")
        .add("jobs", run.ordeal.jobs())
        .add("users", users())
        .add("users lost", lost)
        .add("replica took over after", seconds(took_over))
        .add("recovery", seconds(recovery))
        .add("done after", seconds(done))
        .add("restarts", restarts)
        .add("naming jobs that noticed a loss", noticed)
        .add("queued again or lost", requeued)
        .add("results that differ before repair", differing);
    run.ordeal.judge_results(figures);
    run.crew.assert_runs();
    let seen = restarts + noticed + requeued + differing as u64;
    assert!(seen > 0, "nothing was lost: {counts:?}");
    let done = ["jobs", "done", "users", "dead"].map(|count| repaired.get(count));
    let all = run.ordeal.jobs();
    assert_eq!(done, [all, all, all, 0], "{repaired:?}");
}

#[test]
fn slots_that_move_to_another_node_are_followed() {
    let mut run = under_way(0, Shape::small(LEASE));
    // The register, every partition of both queues, and some users.
    let tags = ["runs", "u1", "u2", "u3", "u500", "u599"].map(str::to_owned);
    let partitions = (0..PARTITIONS).flat_map(|n| [format!("extract:{n}"), format!("name:{n}")]);
    let tags: Vec<String> = tags.into_iter().chain(partitions).collect();
    let rounds = if is_long() { 5 } else { 1 };
    let (mut keys, mut longest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        run.assert_under_way();
        for tag in &tags {
            keys += move_slot(run.server(), tag);
        }
        longest = longest.max(run.recovery());
        run.wait_for_more(run.ordeal.jobs() / (2 * rounds as u64));
    }
    let figures = Figures::of("slots moved")
        .add("slots", rounds * tags.len())
        .add("keys", keys)
        .add("longest recovery", seconds(longest));
    run.judge(figures);
}
