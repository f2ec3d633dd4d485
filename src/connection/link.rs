//! Connections that are made, and made again when they are of no use any more.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::{Manager, Pool};
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind,
    RedisError, RedisResult, ServerErrorKind, TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::address::{Address, Sentinel, tcp};
use super::server::{ServerInfo, ServerVersion};
use super::{ConnectError, MAX_BLOCK, RedisOptions};

/// How long a connection may take to be made.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server that was just started may read its data back before a process gives up.
pub(super) const LOADING_PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks at whether it is done.
const LOADING_POLL: Duration = Duration::from_millis(20);

/// How to make a connection.
enum Connector {
    /// To one server.
    Server(Client),
    /// To whichever server the sentinels say is the primary.
    Sentinel(Mutex<SentinelClient>),
    /// To all nodes of a cluster.
    Cluster(Box<ClusterClients>),
}

/// They differ in how long they wait for a reply.
struct ClusterClients {
    commands: ClusterClient,
    blocking: ClusterClient,
}

/// One generation of connections, all to the same servers.
pub(super) struct Link {
    pub commands: Commands,
    pub blocking: Blocking,
}

/// For commands that answer at once; all share it.
#[derive(Clone)]
pub(super) enum Commands {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// For reads that block.
#[derive(Clone)]
pub(super) enum Blocking {
    /// One connection for each read at a time.
    Server(Pool),
    /// All reads of the process share one to each node, where they wait for each other. A process
    /// has one such read under way at a time.
    Cluster(ClusterConnection),
}

/// The link in use, and the way to the next one.
///
/// The client's own connection manager keeps a connection whose server has stopped answering, or
/// has become a replica, and does not know sentinels; so does its cluster connection keep one to a
/// node that has stopped answering. Here whoever finds a link to be of no use drops it, and the next
/// command makes a new one. Nobody tries again in here: that is the callers' part, who know what they
/// wait for.
pub(super) struct Links {
    connector: Connector,
    timeout: Duration,
    blocking_connections: usize,
    current: RwLock<Option<Arc<Link>>>,
    /// Held while a link is made, so that all who wait get the same one, or the same error; holds the
    /// last one, and when it was.
    making: Mutex<Option<(Instant, RedisError)>>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

impl Links {
    /// Connects to `address`, and finds out whether it is a cluster and can be relied on.
    pub(super) async fn open(
        address: &Address,
        options: &RedisOptions,
    ) -> Result<(Links, ServerVersion), ConnectError> {
        let certificates = options.certificates(address)?;
        let shown = address.shown();
        let links = |connector| Links {
            connector,
            timeout: options.timeout,
            blocking_connections: options.blocking_connections,
            current: RwLock::default(),
            making: Mutex::default(),
        };
        let failed = |error| ConnectError::of(&shown, error);
        match address {
            Address::Sentinel(of) => {
                let client = sentinel_client(of, options, certificates).map_err(misused)?;
                let links = links(Connector::Sentinel(Mutex::new(client)));
                let info = links.info(&shown).await?;
                if info.is_cluster() {
                    return Err(ConnectError::InvalidUrl {
                        reason: "the sentinels name a node of a cluster; name the nodes".into(),
                    });
                }
                let server = info.check(&shown)?;
                Ok((links, server))
            }
            Address::Nodes(nodes) => {
                let (links, info) = first_that_answers(nodes, &certificates, links).await?;
                if !info.is_cluster() && nodes.len() > 1 {
                    return Err(ConnectError::NoCluster {
                        address: nodes[0].addr().to_string(),
                    });
                }
                let server = info.check(&shown)?;
                if !info.is_cluster() {
                    return Ok((links, server));
                }
                let cluster = |timeout: Duration| {
                    let builder = ClusterClientBuilder::new(nodes.iter().cloned())
                        .connection_timeout(CONNECTION_TIMEOUT)
                        .response_timeout(timeout)
                        .overall_response_timeout(Some(timeout))
                        .tcp_settings(tcp());
                    let builder = match &certificates {
                        Some(certificates) => builder.certs(certificates.clone()),
                        None => builder,
                    };
                    builder.build().map_err(misused)
                };
                let links = Links {
                    connector: Connector::Cluster(Box::new(ClusterClients {
                        commands: cluster(options.timeout)?,
                        blocking: cluster(options.timeout + MAX_BLOCK)?,
                    })),
                    current: RwLock::default(),
                    ..links
                };
                // Every primary must be one to rely on, not only the one that answered first.
                if let Commands::Cluster(mut nodes) =
                    links.get().await.map_err(failed)?.commands.clone()
                {
                    let primaries =
                        RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                    let infos = nodes.route_command(redis::cmd("INFO"), primaries).await;
                    let infos: Vec<(String, String)> =
                        redis::from_redis_value(infos.map_err(failed)?)
                            .map_err(|error| failed(error.into()))?;
                    for (node, info) in infos {
                        ServerInfo(info).check(&node)?;
                    }
                }
                Ok((links, server))
            }
        }
    }

    /// The link in use; a new one if there is none.
    pub(super) async fn get(&self) -> RedisResult<Arc<Link>> {
        if let Some(link) = self.current() {
            return Ok(link);
        }
        let asked = Instant::now();
        let mut failed = self.making.lock().await;
        if let Some(link) = self.current() {
            return Ok(link);
        }
        if let Some((_, error)) = failed.as_ref().filter(|(at, _)| *at > asked) {
            return Err(error.clone());
        }
        let link = match self.make().await {
            Ok(link) => Arc::new(link),
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                return Err(error);
            }
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        Ok(link)
    }

    /// Drops `link` if what came of a command says that it is of no use any more.
    pub(super) fn judge<T>(&self, link: &Arc<Link>, result: &RedisResult<T>) {
        let Err(error) = result else { return };
        if !is_of_no_use(error) {
            return;
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, link))
        {
            tracing::debug!(%error, "dropping a connection to Redis");
            *current = None;
        }
    }

    fn current(&self) -> Option<Arc<Link>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    async fn make(&self) -> RedisResult<Link> {
        let client = match &self.connector {
            Connector::Server(client) => client.clone(),
            Connector::Sentinel(sentinels) => {
                let mut sentinels = sentinels.lock().await;
                let asked = tokio::time::timeout(CONNECTION_TIMEOUT, sentinels.async_get_client());
                asked.await.unwrap_or_else(|_| {
                    let error = std::io::Error::other("the sentinels do not answer");
                    Err(RedisError::from(error))
                })?
            }
            Connector::Cluster(clients) => {
                let (commands, blocking) = (&clients.commands, &clients.blocking);
                return Ok(Link {
                    commands: Commands::Cluster(commands.get_async_connection().await?),
                    blocking: Blocking::Cluster(blocking.get_async_connection().await?),
                });
            }
        };
        let config = |timeout| {
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECTION_TIMEOUT))
                .set_response_timeout(Some(timeout))
        };
        let commands = client
            .get_multiplexed_async_connection_with_config(&config(self.timeout))
            .await?;
        let info = client.get_connection_info().clone();
        let manager = Manager::new_with_config(info, config(self.timeout + MAX_BLOCK))?;
        let blocking = Pool::builder(manager)
            .max_size(self.blocking_connections)
            .build()
            .map_err(|error| RedisError::from(std::io::Error::other(error.to_string())))?;
        Ok(Link {
            commands: Commands::Server(commands),
            blocking: Blocking::Server(blocking),
        })
    }

    /// What the one server says of itself, once it has read its data.
    async fn info(&self, address: &str) -> Result<ServerInfo, ConnectError> {
        let failed = |error| ConnectError::of(address, error);
        let link = self.get().await.map_err(failed)?;
        let Commands::Server(mut server) = link.commands.clone() else {
            return Ok(ServerInfo(String::new()));
        };
        let deadline = Instant::now() + LOADING_PATIENCE;
        loop {
            let info = redis::cmd("INFO").query_async(&mut server).await;
            let info = ServerInfo(info.map_err(failed)?);
            if !info.is_loading() {
                return Ok(info);
            }
            if Instant::now() >= deadline {
                return Err(ConnectError::Loading {
                    address: address.into(),
                });
            }
            tokio::time::sleep(LOADING_POLL).await;
        }
    }
}

/// Links to the first node that answers, and what it says of itself; the error is that of the last.
async fn first_that_answers(
    nodes: &[ConnectionInfo],
    certificates: &Option<TlsCertificates>,
    links: impl Fn(Connector) -> Links,
) -> Result<(Links, ServerInfo), ConnectError> {
    let mut failure = ConnectError::InvalidUrl {
        reason: "it names no server".into(),
    };
    for node in nodes {
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(node.clone(), certificates.clone()),
            None => Client::open(node.clone()),
        };
        let links = links(Connector::Server(client.map_err(misused)?));
        match links.info(&node.addr().to_string()).await {
            Ok(info) => return Ok((links, info)),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn sentinel_client(
    of: &Sentinel,
    options: &RedisOptions,
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let is_tls = of.sentinels.iter().any(is_tls);
    let sentinels = of.sentinels.iter().cloned();
    let mut builder =
        SentinelClientBuilder::new(sentinels, &of.primary, SentinelServerType::Master)?
            .set_client_to_redis_tcp_settings(tcp())
            .set_client_to_redis_db(of.login.db());
    if is_tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    if let Some(user) = of.login.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = of.login.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(password) = &options.sentinel_password {
        builder = builder.set_client_to_sentinel_password(password);
    }
    builder.build()
}

impl RedisOptions {
    fn certificates(&self, address: &Address) -> Result<Option<TlsCertificates>, ConnectError> {
        let invalid = |reason: &str| {
            Err(ConnectError::InvalidCertificates {
                reason: reason.into(),
            })
        };
        let client_tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(ClientTlsConfig {
                client_cert: certificate.clone(),
                client_key: key.clone(),
            }),
            (None, None) => None,
            _ => return invalid("a certificate and its key go together"),
        };
        if client_tls.is_none() && self.authority.is_none() {
            return Ok(None);
        }
        let uses_tls = match address {
            Address::Nodes(nodes) => nodes.iter().all(|node| is_tls(node.addr())),
            Address::Sentinel(of) => of.sentinels.iter().all(is_tls),
        };
        if !uses_tls {
            return invalid("the URL does not ask for TLS");
        }
        Ok(Some(TlsCertificates {
            client_tls,
            root_cert: self.authority.clone(),
        }))
    }
}

fn is_tls(address: &ConnectionAddr) -> bool {
    matches!(address, ConnectionAddr::TcpTls { .. })
}

/// An error of the client before it has talked to anybody: of what it was told.
fn misused(error: RedisError) -> ConnectError {
    let reason = error
        .detail()
        .map_or_else(|| error.to_string(), str::to_owned);
    match error.kind() {
        ErrorKind::InvalidClientConfig => ConnectError::InvalidCertificates { reason },
        _ => ConnectError::InvalidUrl { reason },
    }
}

/// Whether an error says that the server behind a link is gone, has stopped answering, or is no
/// primary any more.
fn is_of_no_use(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_timeout()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}
