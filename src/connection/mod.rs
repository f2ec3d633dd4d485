//! The way to Redis: one multiplexed connection for commands that answer at once, and others for
//! reads that block.
//!
//! They are kept apart because a blocking read holds up everything that is queued behind it on the
//! same connection, and because a response timeout that is right for commands (seconds) would cut
//! a blocking read short, after which the server hands the next job to a reader that is gone.
//!
//! What is behind it, one server, the primary that sentinels name, or a cluster, is found out when
//! the connection is made; all that anybody outside this folder may ask is whose keys go together.

mod address;
mod connector;
mod discovery;
mod error;
mod handle;
mod link;
mod script;
mod server;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use error::ConnectError;
pub use handle::{BlockingConnection, Connection};
pub(crate) use script::BatchScript;
pub use server::ServerVersion;

use redis::cluster_routing::Slot;

use crate::keys::Keys;
use address::Address;
use link::Links;

/// How long a command may take to answer, where nothing was said. Above the client's 500 ms, which
/// a server that rewrites its append-only file exceeds now and then.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest block of a blocking read. Short enough that a worker notices a stop request and visits
/// its other partitions in time.
pub const MAX_BLOCK: Duration = Duration::from_secs(2);

/// Where Redis is and how to be let in.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://` or `rediss://` (TLS) with a server or nodes of a cluster, `redis+sentinel://` or
    /// `rediss+sentinel://`, or `unix://`; may hold a user, and but for clusters a database number.
    pub url: String,
    /// Password, when it is not in the URL.
    pub password: Option<String>,
    /// User of the sentinels, if it is not their default one.
    pub sentinel_user: Option<String>,
    /// Password of the sentinels, if they want one.
    pub sentinel_password: Option<String>,
    /// Certificates (PEM) of the authorities that the servers' certificates are checked against;
    /// those of the system where there is none.
    pub authority: Option<Vec<u8>>,
    /// Certificate (PEM) of this client, where the servers want one.
    pub certificate: Option<Vec<u8>>,
    /// Key (PEM) of that certificate.
    pub key: Option<Vec<u8>>,
    /// How long a command may take to answer before its connection counts as dead.
    pub timeout: Duration,
    /// Prefix of every key.
    pub key_prefix: String,
    /// How many blocking reads may be under way at once.
    pub blocking_connections: usize,
}

impl RedisOptions {
    /// Options for `url` with the default prefix and room for four blocking reads.
    pub fn new(url: impl Into<String>) -> Self {
        RedisOptions {
            url: url.into(),
            password: None,
            sentinel_user: None,
            sentinel_password: None,
            authority: None,
            certificate: None,
            key: None,
            timeout: TIMEOUT,
            key_prefix: crate::keys::DEFAULT_PREFIX.into(),
            blocking_connections: 4,
        }
    }

    fn address(&self) -> Result<Address, ConnectError> {
        Address::parse(&self.url, self.password.as_deref())
    }
}

impl fmt::Debug for RedisOptions {
    /// Without passwords and keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("address", &self.address().map(|address| address.shown()))
            .field("timeout", &self.timeout)
            .field("key_prefix", &self.key_prefix)
            .field("blocking_connections", &self.blocking_connections)
            .finish_non_exhaustive()
    }
}

/// A way to one Redis: cheap to clone.
#[derive(Clone, Debug)]
pub struct Redis {
    links: Arc<Links>,
    keys: Keys,
    server: ServerVersion,
}

impl Redis {
    /// Connects and checks that the server is one that Sojourn can rely on.
    ///
    /// # Errors
    /// [`ConnectError`] when the server cannot be reached, refuses the login, is older than 7.0 or
    /// evicts keys. Once connected, the connection is re-made by itself whenever it breaks.
    pub async fn connect(options: &RedisOptions) -> Result<Redis, ConnectError> {
        let address = options.address()?;
        let (links, server) = discovery::discover(&address, options).await?;
        Ok(Redis {
            links,
            keys: Keys::new(&options.key_prefix),
            server,
        })
    }

    /// A handle for commands that answer at once. All handles share one connection.
    pub fn commands(&self) -> Connection {
        Connection::new(self.links.clone())
    }

    /// A connection for reads that block for up to [`MAX_BLOCK`].
    ///
    /// # Errors
    /// When no connection can be made.
    pub async fn blocking(&self) -> Result<BlockingConnection, redis::RedisError> {
        BlockingConnection::get(self.links.clone()).await
    }

    /// The names of all keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The slot of a key where keys of different slots cannot be in one call: on a cluster. None on one
    /// server, where any keys can.
    pub(crate) fn slot(&self, key: &str) -> Option<Slot> {
        self.links.is_cluster().then(|| Slot::for_key(key))
    }

    /// What answered when the connection was made.
    pub fn server(&self) -> &ServerVersion {
        &self.server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_shown_without_the_password() {
        let mut options = RedisOptions::new("redis://me:hunter2@localhost:1");
        options.password = Some("swordfish".into());
        options.key = Some("secret".into());
        let shown = format!("{options:?}");
        for secret in ["hunter2", "swordfish", "secret"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
