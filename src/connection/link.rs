//! The connections in use, which are made again when they are of no use any more.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::Pool;
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::RedisOptions;
use super::connector::Connector;

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
    pub(super) fn new(connector: Connector, options: &RedisOptions) -> Links {
        Links {
            connector,
            timeout: options.timeout,
            blocking_connections: options.blocking_connections,
            current: RwLock::default(),
            making: Mutex::default(),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.connector, Connector::Cluster(_))
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
        let link = match self
            .connector
            .connect(self.timeout, self.blocking_connections)
            .await
        {
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
}

/// Whether an error says that the server behind a link is gone, has stopped answering, or is no
/// primary any more.
fn is_of_no_use(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_timeout()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}
