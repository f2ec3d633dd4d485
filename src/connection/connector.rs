//! How connections are made: to a server, to the primary that sentinels name, to a cluster.

use std::time::Duration;

use deadpool_redis::{Manager, Pool};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, RedisError, RedisResult,
    TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;

use super::address::{Sentinel, tcp};
use super::link::{Blocking, Commands, Link};
use super::tls::is_tls;
use super::{ConnectError, MAX_BLOCK, RedisOptions};

/// How long a connection may take to be made.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// How to make a connection.
pub(super) enum Connector {
    /// To one server.
    Server(Client),
    /// To whichever server the sentinels say is the primary.
    Sentinel(Mutex<SentinelClient>),
    /// To all nodes of a cluster.
    Cluster(Box<ClusterClients>),
}

/// They differ in how long they wait for a reply.
pub(super) struct ClusterClients {
    commands: ClusterClient,
    blocking: ClusterClient,
}

impl Connector {
    pub(super) fn server(
        server: &ConnectionInfo,
        certificates: Option<&TlsCertificates>,
    ) -> Result<Connector, ConnectError> {
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(server.clone(), certificates.clone()),
            None => Client::open(server.clone()),
        };
        client.map(Connector::Server).map_err(misused)
    }

    pub(super) fn sentinel(
        of: &Sentinel,
        options: &RedisOptions,
        certificates: Option<&TlsCertificates>,
    ) -> Result<Connector, ConnectError> {
        let client = sentinel_client(of, options, certificates).map_err(misused)?;
        Ok(Connector::Sentinel(Mutex::new(client)))
    }

    /// `nodes` are some of the cluster.
    pub(super) fn cluster(
        nodes: &[ConnectionInfo],
        timeout: Duration,
        certificates: Option<&TlsCertificates>,
    ) -> Result<Connector, ConnectError> {
        let client = |timeout: Duration| {
            let builder = ClusterClientBuilder::new(nodes.iter().cloned())
                .connection_timeout(CONNECTION_TIMEOUT)
                .response_timeout(timeout)
                .overall_response_timeout(Some(timeout))
                .tcp_settings(tcp());
            let builder = match certificates {
                Some(certificates) => builder.certs(certificates.clone()),
                None => builder,
            };
            builder.build().map_err(misused)
        };
        Ok(Connector::Cluster(Box::new(ClusterClients {
            commands: client(timeout)?,
            blocking: client(timeout + MAX_BLOCK)?,
        })))
    }

    /// Connects. A command may take `timeout` to answer.
    pub(super) async fn connect(
        &self,
        timeout: Duration,
        blocking_connections: usize,
    ) -> RedisResult<Link> {
        let client = match self {
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
                // At once: a node that does not answer costs each of them the timeout.
                let (commands, blocking) = tokio::try_join!(
                    clients.commands.get_async_connection(),
                    clients.blocking.get_async_connection()
                )?;
                return Ok(Link {
                    commands: Commands::Cluster(commands),
                    blocking: Blocking::Cluster(blocking),
                });
            }
        };
        let config = |timeout| {
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECTION_TIMEOUT))
                .set_response_timeout(Some(timeout))
        };
        let commands = client
            .get_multiplexed_async_connection_with_config(&config(timeout))
            .await?;
        let info = client.get_connection_info().clone();
        let manager = Manager::new_with_config(info, config(timeout + MAX_BLOCK))?;
        let blocking = Pool::builder(manager)
            .max_size(blocking_connections)
            .build()
            .map_err(|error| RedisError::from(std::io::Error::other(error.to_string())))?;
        Ok(Link {
            commands: Commands::Server(commands),
            blocking: Blocking::Server(blocking),
        })
    }
}

fn sentinel_client(
    of: &Sentinel,
    options: &RedisOptions,
    certificates: Option<&TlsCertificates>,
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
            .set_client_to_sentinel_certificates(certificates.clone());
    }
    if let Some(user) = of.login.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = of.login.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(user) = &options.sentinel_user {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = &options.sentinel_password {
        builder = builder.set_client_to_sentinel_password(password);
    }
    builder.build()
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
