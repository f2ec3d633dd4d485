//! Finding out what is behind an address, one server, the primary that sentinels know, or a cluster,
//! and whether it can be relied on.

use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, TlsCertificates, Value};
use tokio::time::Instant;

use super::address::Address;
use super::connector::Connector;
use super::link::Links;
use super::server::{ServerInfo, ServerVersion};
use super::{ConnectError, Connection, RedisOptions};

/// How long servers that were just started may read their data back before a process gives up.
pub(super) const LOADING_PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks at whether a server is ready.
const POLL: Duration = Duration::from_millis(20);

/// Connects to `address`, and waits for servers there that read their data back.
pub(super) async fn discover(
    address: &Address,
    options: &RedisOptions,
) -> Result<(Arc<Links>, ServerVersion), ConnectError> {
    let certificates = options.certificates(address)?;
    let discovery = Discovery {
        options,
        certificates: certificates.as_ref(),
        deadline: Instant::now() + LOADING_PATIENCE,
    };
    let shown = address.shown();
    match address {
        Address::Sentinel(of) => {
            let connector = Connector::sentinel(of, options, certificates.as_ref())?;
            let links = Arc::new(Links::new(connector, options));
            let info = discovery.info(&links, &shown).await?;
            if info.is_cluster() {
                return Err(ConnectError::InvalidUrl {
                    reason: "the sentinels name a node of a cluster; name the nodes".into(),
                });
            }
            let server = info.check(&shown)?;
            Ok((links, server))
        }
        Address::Nodes(nodes) => {
            let (node, links, info) = discovery.first_that_answers(nodes).await?;
            let server = info.check(&node.addr().to_string())?;
            match (info.is_cluster(), nodes.len()) {
                (false, 1) => return Ok((links, server)),
                (false, _) => {
                    return Err(ConnectError::NoCluster {
                        address: node.addr().to_string(),
                    });
                }
                (true, _) => {}
            }
            discovery.check_cluster(node, &links).await?;
            let connector = Connector::cluster(nodes, options.timeout, certificates.as_ref())?;
            let links = Arc::new(Links::new(connector, options));
            let connected = links.get().await;
            connected.map_err(|error| ConnectError::of(&shown, error))?;
            Ok((links, server))
        }
    }
}

/// What all servers of an address have in common.
struct Discovery<'a> {
    options: &'a RedisOptions,
    certificates: Option<&'a TlsCertificates>,
    /// Until when servers may read their data.
    deadline: Instant,
}

impl Discovery<'_> {
    fn links(&self, server: &ConnectionInfo) -> Result<Arc<Links>, ConnectError> {
        let connector = Connector::server(server, self.certificates)?;
        Ok(Arc::new(Links::new(connector, self.options)))
    }

    /// Links to the first node that answers, and what it says of itself; the error is that of the
    /// last.
    async fn first_that_answers<'n>(
        &self,
        nodes: &'n [ConnectionInfo],
    ) -> Result<(&'n ConnectionInfo, Arc<Links>, ServerInfo), ConnectError> {
        let mut failure = ConnectError::InvalidUrl {
            reason: "it names no server".into(),
        };
        for node in nodes {
            let links = self.links(node)?;
            match self.info(&links, &node.addr().to_string()).await {
                Ok(info) => return Ok((node, links, info)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// What a server says of itself, once it has read its data.
    async fn info(&self, links: &Arc<Links>, address: &str) -> Result<ServerInfo, ConnectError> {
        let mut connection = Connection::new(links.clone());
        loop {
            let info = redis::cmd("INFO").query_async(&mut connection).await;
            let info = ServerInfo(info.map_err(|error| ConnectError::of(address, error))?);
            if !info.is_loading() {
                return Ok(info);
            }
            if Instant::now() >= self.deadline {
                return Err(ConnectError::Loading {
                    address: address.into(),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Checks that every primary of a cluster is one to rely on, not only the node that answered
    /// first.
    async fn check_cluster(
        &self,
        node: &ConnectionInfo,
        links: &Arc<Links>,
    ) -> Result<(), ConnectError> {
        // A primary that is away may be failing over.
        let deadline = Instant::now() + self.options.timeout;
        loop {
            match self.check_primaries(node, links).await {
                Err(ConnectError::Unreachable { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(POLL).await;
                }
                checked => return checked,
            }
        }
    }

    async fn check_primaries(
        &self,
        node: &ConnectionInfo,
        links: &Arc<Links>,
    ) -> Result<(), ConnectError> {
        let slots = redis::cmd("CLUSTER")
            .arg("SLOTS")
            .query_async(&mut Connection::new(links.clone()))
            .await;
        let slots = slots.map_err(|error| ConnectError::of(&node.addr().to_string(), error))?;
        for primary in primaries(node.addr(), slots) {
            let links = self.links(&node.clone().set_addr(primary.clone()))?;
            let address = primary.to_string();
            self.info(&links, &address).await?.check(&address)?;
        }
        Ok(())
    }
}

/// The primaries among the reply of CLUSTER SLOTS of the node at `asked`.
fn primaries(asked: &ConnectionAddr, slots: Vec<Vec<Value>>) -> Vec<ConnectionAddr> {
    let mut primaries = Vec::new();
    for range in slots {
        // The first slot, the last, the primary, its replicas.
        let Some(Value::Array(primary)) = range.into_iter().nth(2) else {
            continue;
        };
        let mut fields = primary.into_iter();
        let (Some(host), Some(Value::Int(port))) = (fields.next(), fields.next()) else {
            continue;
        };
        // Null: that of the node that was asked.
        let host = redis::from_redis_value::<Option<String>>(host)
            .ok()
            .flatten();
        let port = u16::try_from(port).unwrap_or_default();
        let primary = at(asked, host.unwrap_or_default(), port);
        if !primaries.contains(&primary) {
            primaries.push(primary);
        }
    }
    primaries
}

/// The address of another node of a cluster; without a host, it is that of the node at `asked`.
fn at(asked: &ConnectionAddr, node: String, on: u16) -> ConnectionAddr {
    let mut other = asked.clone();
    match &mut other {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            if !node.is_empty() {
                *host = node;
            }
            *port = on;
        }
        _ => return ConnectionAddr::Tcp(node, on),
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(host: Value, port: i64) -> Vec<Value> {
        let node = |host, port| Value::Array(vec![host, Value::Int(port), Value::Nil]);
        let replica = node(Value::Nil, 1);
        vec![Value::Int(0), Value::Int(9), node(host, port), replica]
    }

    #[test]
    fn primaries_are_those_that_have_slots_and_speak_as_the_node_that_says_so() {
        let named = |host: &str| Value::BulkString(host.into());
        let slots = vec![
            range(named("b"), 7001),
            range(named("b"), 7001),
            range(Value::Nil, 7002),
            range(named(""), 7003),
            vec![Value::Int(0)],
        ];
        let asked: ConnectionInfo = "rediss://a:7000".parse().unwrap();
        let primaries = primaries(asked.addr(), slots);
        let shown: Vec<String> = primaries.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["b:7001", "a:7002", "a:7003"]);
        let is_tls = |primary: &ConnectionAddr| matches!(primary, ConnectionAddr::TcpTls { .. });
        assert!(primaries.iter().all(is_tls));
    }
}
