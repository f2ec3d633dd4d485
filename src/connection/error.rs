//! Why Redis cannot be used.

use super::discovery::LOADING_PATIENCE;

/// Why Redis cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one.
    #[error(
        "the Redis URL is not valid ({reason}); it looks like redis://host:6379, \
         rediss://user@host:6379/0, redis://node1:6379,node2:6379 (a cluster), \
         redis+sentinel://host1,host2/NAME or unix:///path/to.sock"
    )]
    InvalidUrl {
        /// What is wrong; never holds the URL, which may hold a password.
        reason: String,
    },
    /// A certificate or key is not one.
    #[error(
        "the certificates for Redis cannot be used ({reason}); --redis-ca, --redis-cert and \
         --redis-key name PEM files, and go with rediss://"
    )]
    InvalidCertificates {
        /// What the client said.
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
    /// Several nodes are named, and they are no cluster.
    #[error(
        "{address} is not a node of a cluster, and --redis names several nodes; name the one server \
         to use, or the sentinels that know it (redis+sentinel://host1,host2/NAME)"
    )]
    NoCluster {
        /// Host and port.
        address: String,
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
    /// The server is reading its data back, and that takes long.
    #[error(
        "Redis at {address} has been loading its data from disk for {} s; try again when it is done",
        LOADING_PATIENCE.as_secs()
    )]
    Loading {
        /// Host and port, or path of the socket.
        address: String,
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

impl ConnectError {
    /// What a failed attempt to talk to `address` means.
    pub(super) fn of(address: &str, error: redis::RedisError) -> ConnectError {
        let address = address.into();
        let refused = matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
            || error.kind() == redis::ErrorKind::AuthenticationFailed;
        if !refused {
            return ConnectError::Unreachable {
                address,
                source: error,
            };
        }
        let reason = error
            .detail()
            .map_or_else(|| error.to_string(), str::to_owned);
        ConnectError::Unauthorized { address, reason }
    }
}
