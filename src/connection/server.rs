//! What kind of server answers, and whether Sojourn can rely on it.

use super::ConnectError;

/// Oldest server that has every command and reply form that is used here.
const OLDEST_SERVER: (u32, u32) = (7, 0);

/// What kind of server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// `redis` or `valkey`.
    pub name: String,
    /// Version of that product.
    pub version: String,
}

/// The reply of INFO.
pub(super) struct ServerInfo(pub String);

impl ServerInfo {
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines();
        lines
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    }

    /// Whether the server is still reading its data.
    pub(super) fn is_loading(&self) -> bool {
        self.field("loading") == Some("1")
    }

    /// Whether the server is a node of a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        self.field("cluster_enabled") == Some("1")
    }

    /// Checks that the server at `address` is one to rely on.
    pub(super) fn check(&self, address: &str) -> Result<ServerVersion, ConnectError> {
        // Valkey reports the Redis version it is compatible with as redis_version (7.2.4).
        let compatible = self.field("redis_version").unwrap_or("unknown");
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
        match self.field("maxmemory_policy") {
            None | Some("noeviction") => {}
            Some(policy) => {
                return Err(ConnectError::Evicts {
                    address: address.into(),
                    policy: policy.into(),
                });
            }
        }
        let (name, version) = match self.field("valkey_version") {
            Some(version) => ("valkey", version),
            None => ("redis", compatible),
        };
        Ok(ServerVersion {
            name: name.into(),
            version: version.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.2.4\r\nmaxmemory_policy:noeviction\r\n";

    fn check(info: &str) -> Result<ServerVersion, ConnectError> {
        ServerInfo(info.into()).check("h:1")
    }

    #[test]
    fn a_server_older_than_seven_is_refused_with_its_version() {
        let error = check(&INFO.replace("7.2.4", "6.2.14")).unwrap_err();
        assert!(error.to_string().contains("6.2.14"), "{error}");
        assert!(check(INFO).is_ok());
    }

    #[test]
    fn a_server_that_evicts_is_refused_with_the_command_that_mends_it() {
        let error = check(&INFO.replace("noeviction", "allkeys-lru")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("allkeys-lru") && text.contains("CONFIG SET"),
            "{text}"
        );
    }

    #[test]
    fn valkey_is_reported_by_its_own_version() {
        let server = check(&format!("{INFO}valkey_version:9.1.2\r\n")).unwrap();
        assert_eq!(
            server,
            ServerVersion {
                name: "valkey".into(),
                version: "9.1.2".into()
            }
        );
    }
}
