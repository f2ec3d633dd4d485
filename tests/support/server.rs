//! The Redis of a test: one server, or a cluster, as the run of the tests wants it.

use sojourn::connection::{Redis, RedisOptions};

use super::{Node, free_ports, wait_for};

/// When this is set, the Redis of a test is a cluster.
const CLUSTER: &str = "SOJOURN_TEST_CLUSTER";

/// Primaries of a cluster.
const PRIMARIES: usize = 3;

/// Slots of any cluster.
const SLOTS: usize = 16_384;

/// How soon a node counts as failed. Short, lest tests wait; long enough for a busy machine.
const NODE_TIMEOUT_MS: u32 = 2_000;

/// A Redis of the test's own: a server on a socket, or three primaries.
pub struct Server {
    pub folder: tempfile::TempDir,
    pub nodes: Vec<Node>,
    is_cluster: bool,
}

impl Server {
    /// Whether it is a cluster unless a test asks for one server.
    pub fn is_cluster_by_default() -> bool {
        std::env::var_os(CLUSTER).is_some()
    }

    pub fn start() -> Server {
        Server::start_with(&[])
    }

    /// With further arguments of the server program.
    pub fn start_with(arguments: &[&str]) -> Server {
        if Server::is_cluster_by_default() {
            Server::start_cluster_with(0, arguments)
        } else {
            Server::start_single_with(arguments)
        }
    }

    /// One server, also where others are a cluster.
    pub fn start_single_with(arguments: &[&str]) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.into()).collect();
        Server {
            nodes: vec![Node::start(folder.path(), 0, &arguments)],
            folder,
            is_cluster: false,
        }
    }

    /// Three primaries, which come first among the nodes, and `replicas`, the first of the first
    /// primary, and so on.
    pub fn start_cluster(replicas: usize) -> Server {
        Server::start_cluster_with(replicas, &[])
    }

    pub fn start_cluster_with(replicas: usize, arguments: &[&str]) -> Server {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.into()).collect();
        Server::start_cluster_of(replicas, |_| arguments.clone())
    }

    /// With further arguments for the node of each port.
    pub fn start_cluster_of(replicas: usize, arguments: impl Fn(u16) -> Vec<String>) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = free_ports(2 * (PRIMARIES + replicas));
        let nodes = ports.chunks(2).enumerate().map(|(number, ports)| {
            let cluster = format!(
                "--cluster-enabled yes --cluster-port {} --cluster-node-timeout {NODE_TIMEOUT_MS} \
                 --repl-ping-replica-period 1 --repl-diskless-sync-delay 0",
                ports[1]
            );
            let arguments: Vec<String> = cluster
                .split(' ')
                .map(str::to_owned)
                .chain(arguments(ports[0]))
                .collect();
            Node::start(
                &folder.path().join(number.to_string()),
                ports[0],
                &arguments,
            )
        });
        let server = Server {
            nodes: nodes.collect(),
            folder,
            is_cluster: true,
        };
        server.join(&ports);
        server
    }

    /// Makes one cluster of the nodes.
    fn join(&self, ports: &[u16]) {
        let ask = |node: &Node, command: &str| node.ask::<String>(command).expect(command);
        let share = SLOTS.div_ceil(PRIMARIES);
        for (number, node) in self.nodes.iter().enumerate() {
            ask(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
            if number < PRIMARIES {
                let (first, end) = (number * share, SLOTS.min((number + 1) * share));
                ask(node, &format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1));
            }
            if number > 0 {
                let [port, bus] = [ports[0], ports[1]];
                ask(node, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
            }
        }
        let all_know_all = || {
            let knows = |node: &Node| {
                let info = ask(node, "CLUSTER INFO");
                info.contains(&format!("cluster_known_nodes:{}", self.nodes.len()))
            };
            self.nodes.iter().all(knows).then_some(())
        };
        wait_for("the nodes to meet", all_know_all);
        for (number, replica) in self.nodes[PRIMARIES..].iter().enumerate() {
            let primary = ask(&self.nodes[number], "CLUSTER MYID");
            ask(replica, &format!("CLUSTER REPLICATE {primary}"));
            wait_for("the replica", || {
                let role: Vec<redis::Value> = replica.ask("ROLE").expect("ROLE");
                let state = role.get(3).cloned().map(redis::from_redis_value::<String>);
                matches!(state, Some(Ok(state)) if state == "connected").then_some(())
            });
        }
        self.wait_until_whole();
    }

    /// Waits until every node believes that all slots are served.
    pub fn wait_until_whole(&self) {
        wait_for("the cluster", || {
            let whole = |node: &Node| {
                node.ask::<String>("CLUSTER INFO")
                    .is_ok_and(|info| info.contains("cluster_state:ok"))
            };
            self.nodes.iter().all(whole).then_some(())
        });
    }

    pub fn url(&self) -> String {
        if !self.is_cluster {
            return format!("unix://{}", self.nodes[0].socket().display());
        }
        let nodes: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        format!("redis://{}", nodes.join(","))
    }

    pub async fn connect(&self) -> Redis {
        Redis::connect(&RedisOptions::new(self.url()))
            .await
            .expect("the server answers")
    }

    /// Ends it without warning, all nodes at once.
    pub fn kill(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
    }

    /// Starts it again on its data.
    pub fn restart(&mut self) {
        self.nodes.iter_mut().for_each(Node::restart);
        if self.is_cluster {
            self.wait_until_whole();
        }
    }
}
