//! The way to Redis: one multiplexed connection for commands that answer at once, and a pool of
//! connections for reads that block.
//!
//! They are kept apart because a blocking read holds up everything that is queued behind it on the
//! same connection, and because a response timeout that is right for commands (seconds) would cut
//! a blocking read short, after which the server hands the next job to a reader that is gone.

use std::fmt;
use std::time::Duration;

use deadpool_redis::{Manager, Pool};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::keys::Keys;

/// How long a command may take to answer. Above the client's 500 ms, which a server that rewrites
/// its append-only file exceeds now and then.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to be made.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest block of a blocking read. Short enough that a worker notices a stop request and visits
/// its other partitions in time.
pub const MAX_BLOCK: Duration = Duration::from_secs(2);

/// Between attempts to reconnect.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);

/// Oldest server that has every command and reply form that is used here.
const OLDEST_SERVER: (u32, u32) = (7, 0);

/// Where Redis is and how to be let in.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://`, `rediss://` (TLS) or `unix://` URL; may hold a user and a database number.
    pub url: String,
    /// Password, when it is not in the URL.
    pub password: Option<String>,
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
            key_prefix: crate::keys::DEFAULT_PREFIX.into(),
            blocking_connections: 4,
        }
    }
}

impl fmt::Debug for RedisOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field(
                "address",
                &self
                    .clone()
                    .url
                    .into_connection_info()
                    .map(|i| address(i.addr())),
            )
            .field("key_prefix", &self.key_prefix)
            .field("blocking_connections", &self.blocking_connections)
            .finish_non_exhaustive()
    }
}

/// Why Redis cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one.
    #[error(
        "the Redis URL is not valid ({reason}); it looks like redis://host:6379, \
         rediss://user@host:6379/0 or unix:///path/to.sock"
    )]
    InvalidUrl {
        /// What the client said; never holds the URL, which may hold a password.
        reason: String,
    },
    /// Nobody answers.
    #[error("cannot reach Redis at {address}: {source}; is it running, and is --redis right?")]
    Unreachable {
        /// Host and port, or path of the socket.
        address: String,
        /// What the client said.
        source: redis::RedisError,
    },
    /// The server wants a password or refused the one it got.
    #[error(
        "Redis at {address} refused the login ({reason}); set SOJOURN_REDIS_PASSWORD or \
         --redis-password-file, and the user in the URL (redis://user@host:port)"
    )]
    Unauthorized {
        /// Host and port, or path of the socket.
        address: String,
        /// What the server said.
        reason: String,
    },
    /// The server lacks commands that are needed.
    #[error(
        "Redis at {address} is version {version}, and Sojourn needs 7.0 or newer (or any Valkey); \
         upgrade the server or name another with --redis"
    )]
    TooOld {
        /// Host and port, or path of the socket.
        address: String,
        /// As the server reports it.
        version: String,
    },
    /// The server would throw away queues when memory is short.
    #[error(
        "Redis at {address} has maxmemory-policy {policy}, which evicts queues and results when \
         memory is short; run CONFIG SET maxmemory-policy noeviction and put it in redis.conf"
    )]
    Evicts {
        /// Host and port, or path of the socket.
        address: String,
        /// The policy that is set.
        policy: String,
    },
}

/// What kind of server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// `redis` or `valkey`.
    pub name: String,
    /// Version of that product.
    pub version: String,
}

/// A way to one Redis: cheap to clone.
#[derive(Clone)]
pub struct Redis {
    commands: ConnectionManager,
    blocking: Pool,
    keys: Keys,
    server: ServerVersion,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Redis {
    /// Connects and checks that the server is one that Sojourn can rely on.
    ///
    /// # Errors
    /// [`ConnectError`] when the server cannot be reached, refuses the login, is older than 7.0 or
    /// evicts keys. Once connected, the connection is re-made by itself whenever it breaks.
    pub async fn connect(options: &RedisOptions) -> Result<Redis, ConnectError> {
        let info = connection_info(options)?;
        let address = address(info.addr());
        let invalid = |error: redis::RedisError| ConnectError::InvalidUrl {
            reason: error.detail().unwrap_or("not a Redis URL").to_owned(),
        };
        let client = Client::open(info.clone()).map_err(invalid)?;

        let probe = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let refused = |error| connect_error(&address, error);
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&probe)
            .await
            .map_err(refused)?;
        let text: String = redis::cmd("INFO")
            .query_async(&mut connection)
            .await
            .map_err(refused)?;
        let server = check_server(&address, &text)?;

        let commands = ConnectionManager::new_lazy_with_config(
            client,
            ConnectionManagerConfig::new()
                .set_connection_timeout(Some(CONNECTION_TIMEOUT))
                .set_response_timeout(Some(RESPONSE_TIMEOUT))
                .set_max_delay(MAX_RECONNECT_DELAY),
        )
        .map_err(refused)?;
        let waiting = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(MAX_BLOCK + RESPONSE_TIMEOUT));
        let manager = Manager::new_with_config(info, waiting).map_err(refused)?;
        let blocking = Pool::builder(manager)
            .max_size(options.blocking_connections)
            .build()
            .map_err(|error| ConnectError::InvalidUrl {
                reason: error.to_string(),
            })?;
        Ok(Redis {
            commands,
            blocking,
            keys: Keys::new(&options.key_prefix),
            server,
        })
    }

    /// A handle for commands that answer at once. All handles share one connection.
    pub fn commands(&self) -> ConnectionManager {
        self.commands.clone()
    }

    /// A connection of one's own, for reads that block for up to [`MAX_BLOCK`].
    ///
    /// # Errors
    /// When no connection can be made.
    pub async fn blocking(&self) -> Result<deadpool_redis::Connection, redis::RedisError> {
        self.blocking.get().await.map_err(|error| match error {
            deadpool_redis::PoolError::Backend(error) => error,
            other => redis::RedisError::from(std::io::Error::other(other.to_string())),
        })
    }

    /// The names of all keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What answered when the connection was made.
    pub fn server(&self) -> &ServerVersion {
        &self.server
    }
}

fn connection_info(options: &RedisOptions) -> Result<ConnectionInfo, ConnectError> {
    let info = options
        .url
        .as_str()
        .into_connection_info()
        .map_err(|error| ConnectError::InvalidUrl {
            reason: error.detail().unwrap_or("not a Redis URL").to_owned(),
        })?;
    let mut login = info.redis_settings().clone();
    if let Some(password) = &options.password {
        login = login.set_password(password);
    }
    Ok(info
        .set_redis_settings(login)
        .set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

/// The address for messages: never the credentials.
fn address(addr: &ConnectionAddr) -> String {
    addr.to_string()
}

fn connect_error(address: &str, error: redis::RedisError) -> ConnectError {
    let refused = matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
        || error.kind() == redis::ErrorKind::AuthenticationFailed;
    if refused {
        let reason = error
            .detail()
            .map_or_else(|| error.to_string(), str::to_owned);
        ConnectError::Unauthorized {
            address: address.into(),
            reason,
        }
    } else {
        ConnectError::Unreachable {
            address: address.into(),
            source: error,
        }
    }
}

/// Reads the reply of INFO.
fn check_server(address: &str, info: &str) -> Result<ServerVersion, ConnectError> {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    // Valkey reports the Redis version it is compatible with as redis_version (7.2.4).
    let compatible = field("redis_version").unwrap_or("unknown");
    let mut numbers = compatible
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < OLDEST_SERVER {
        return Err(ConnectError::TooOld {
            address: address.into(),
            version: compatible.into(),
        });
    }
    match field("maxmemory_policy") {
        None | Some("noeviction") => {}
        Some(policy) => {
            return Err(ConnectError::Evicts {
                address: address.into(),
                policy: policy.into(),
            });
        }
    }
    let (name, version) = match field("valkey_version") {
        Some(version) => ("valkey", version),
        None => ("redis", compatible),
    };
    Ok(ServerVersion {
        name: name.into(),
        version: version.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.2.4\r\nmaxmemory_policy:noeviction\r\n";

    #[test]
    fn a_server_older_than_seven_is_refused_with_its_version() {
        let error = check_server("h:1", &INFO.replace("7.2.4", "6.2.14")).unwrap_err();
        assert!(error.to_string().contains("6.2.14"), "{error}");
        assert!(check_server("h:1", INFO).is_ok());
    }

    #[test]
    fn a_server_that_evicts_is_refused_with_the_command_that_mends_it() {
        let error = check_server("h:1", &INFO.replace("noeviction", "allkeys-lru")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("allkeys-lru") && text.contains("CONFIG SET"),
            "{text}"
        );
    }

    #[test]
    fn valkey_is_reported_by_its_own_version() {
        let server = check_server("h:1", &format!("{INFO}valkey_version:9.1.2\r\n")).unwrap();
        assert_eq!(
            server,
            ServerVersion {
                name: "valkey".into(),
                version: "9.1.2".into()
            }
        );
    }

    #[test]
    fn options_are_shown_without_the_password() {
        let mut options = RedisOptions::new("redis://me:hunter2@localhost:1");
        options.password = Some("swordfish".into());
        let shown = format!("{options:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("swordfish"),
            "{shown}"
        );
    }
}
