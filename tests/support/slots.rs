//! Which node of a cluster has which slots, and how these move.

// Every test file uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;

use crate::support::{Node, Server, wait_for};

/// Moves the slot of a hash tag to another node, key by key, as `redis-cli --cluster reshard` does.
/// Returns how many keys went.
pub fn move_slot(server: &Server, tag: &str) -> usize {
    let slot: u16 = server.nodes[0]
        .ask(&format!("CLUSTER KEYSLOT {tag}"))
        .unwrap();
    wait_for_one_view(server);
    let from = owner(server, slot);
    let to = (from + 1) % server.nodes.len();
    let (from, to) = (&server.nodes[from], &server.nodes[to]);
    let id = |node: &Node| node.ask::<String>("CLUSTER MYID").unwrap();
    let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(from));
    let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(to));
    let _: String = to.ask(&importing).unwrap();
    let _: String = from.ask(&migrating).unwrap();
    let mut moved = 0;
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
        moved += keys.len();
    }
    // The new owner first: a slot that both disown would be lost. Again until all agree.
    wait_for("the nodes to agree", || {
        for node in [to, from].into_iter().chain(&server.nodes) {
            let _: String = node
                .ask(&format!("CLUSTER SETSLOT {slot} NODE {}", id(to)))
                .unwrap();
        }
        let agrees = |node: &Node| owner_by(node, slot).is_some_and(|owner| owner == id(to));
        server.nodes.iter().all(agrees).then_some(())
    });
    moved
}

/// Waits until every node believes the same. A node takes a slot at an epoch above all that it knows
/// of: if it did not know that of the owner, the owner could win the slot back, without its keys.
fn wait_for_one_view(server: &Server) {
    wait_for("the nodes to believe the same", || {
        let first = view(&server.nodes[0]);
        let is_shared = server.nodes.iter().all(|node| view(node) == first);
        is_shared.then_some(())
    });
}

/// The epoch and the slots of each node, as `node` believes.
fn view(node: &Node) -> BTreeMap<String, String> {
    let nodes: String = node.ask("CLUSTER NODES").unwrap();
    let of_node = |line: &str| {
        let mut fields = line.split(' ');
        let id = fields.next().unwrap_or_default().to_owned();
        let epoch = fields.nth(5).unwrap_or_default();
        let slots = fields.skip(1).filter(|range| !range.starts_with('['));
        let believed = [epoch].into_iter().chain(slots).collect::<Vec<_>>();
        (id, believed.join(" "))
    };
    nodes.lines().map(of_node).collect()
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
