//! Where Redis is: what a URL says of servers, clusters and sentinels.

use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use super::ConnectError;

/// Port of sentinels, where none is named.
const SENTINEL_PORT: u16 = 26379;

/// Where Redis is.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// A server, or nodes of a cluster, at least one.
    Nodes(Vec<ConnectionInfo>),
    /// The primary that sentinels know by a name.
    Sentinel(Sentinel),
}

/// A primary, and whom to ask where it is.
#[derive(Clone, Debug)]
pub(super) struct Sentinel {
    /// Whom to ask.
    pub sentinels: Vec<ConnectionAddr>,
    /// How they call it.
    pub primary: String,
    /// User, password and database of the primary.
    pub login: RedisConnectionInfo,
}

impl Address {
    /// Reads a URL: `redis://`, `rediss://` (with several `host:port` joined by commas: nodes of a
    /// cluster), `unix://`, `redis+sentinel://` or `rediss+sentinel://`. `password` goes before one in
    /// the URL.
    pub(super) fn parse(url: &str, password: Option<&str>) -> Result<Address, ConnectError> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| invalid("it has no ://"))?;
        let login = |info: &ConnectionInfo| {
            let login = info.redis_settings().clone();
            match password {
                Some(password) => login.set_password(password),
                None => login,
            }
        };
        if scheme.ends_with("unix") {
            let info = single(url)?;
            let login = login(&info);
            return Ok(Address::Nodes(vec![info.set_redis_settings(login)]));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
        let Some(base) = scheme.strip_suffix("+sentinel") else {
            let node = |host: &&str| {
                let info = single(&format!("{scheme}://{user}{host}{tail}"))?;
                let login = login(&info);
                Ok(info.set_redis_settings(login).set_tcp_settings(tcp()))
            };
            let nodes: Result<_, ConnectError> = hosts.iter().map(node).collect();
            return nodes.map(Address::Nodes);
        };
        let path = tail.split(['?', '#']).next().unwrap_or_default();
        let (primary, database) = match path.trim_start_matches('/').split_once('/') {
            Some((primary, database)) => (primary, database),
            None => (path.trim_start_matches('/'), ""),
        };
        if primary.is_empty() {
            return Err(invalid(
                "it does not say how the sentinels call the primary",
            ));
        }
        let sentinel = |host: &&str| {
            let named = host
                .rsplit(']')
                .next()
                .is_some_and(|rest| rest.contains(':'));
            let port = if named {
                String::new()
            } else {
                format!(":{SENTINEL_PORT}")
            };
            Ok(single(&format!("{base}://{host}{port}"))?.addr().clone())
        };
        let sentinels: Result<_, ConnectError> = hosts.iter().map(sentinel).collect();
        Ok(Address::Sentinel(Sentinel {
            sentinels: sentinels?,
            primary: primary.into(),
            login: login(&single(&format!("{base}://{user}localhost/{database}"))?),
        }))
    }

    /// For messages: never the credentials.
    pub(super) fn shown(&self) -> String {
        let joined = |addresses: &mut dyn Iterator<Item = &ConnectionAddr>| {
            let shown: Vec<String> = addresses.map(ConnectionAddr::to_string).collect();
            shown.join(",")
        };
        match self {
            Address::Nodes(nodes) => joined(&mut nodes.iter().map(ConnectionInfo::addr)),
            Address::Sentinel(of) => {
                let sentinels = joined(&mut of.sentinels.iter());
                format!("{:?} of the sentinels {sentinels}", of.primary)
            }
        }
    }
}

/// What the client makes of a URL with one host.
fn single(url: &str) -> Result<ConnectionInfo, ConnectError> {
    url.into_connection_info()
        .map_err(|error| invalid(error.detail().unwrap_or("not a Redis URL")))
}

/// Every command is small and waited for.
pub(super) fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// `reason` must not hold the URL, which may hold a password.
fn invalid(reason: impl Into<String>) -> ConnectError {
    ConnectError::InvalidUrl {
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(url: &str) -> Vec<ConnectionInfo> {
        match Address::parse(url, None).unwrap() {
            Address::Nodes(nodes) => nodes,
            Address::Sentinel(of) => panic!("{of:?}"),
        }
    }

    #[test]
    fn several_nodes_share_a_login() {
        let nodes = nodes("rediss://ann:x%40y@a:7000,b:7001,[::1]:7002");
        let shown: Vec<String> = nodes.iter().map(|node| node.addr().to_string()).collect();
        assert_eq!(shown, ["a:7000", "b:7001", "::1:7002"]);
        for node in &nodes {
            assert_eq!(node.redis_settings().username(), Some("ann"));
            assert_eq!(node.redis_settings().password(), Some("x@y"));
            assert!(matches!(node.addr(), ConnectionAddr::TcpTls { .. }));
        }
    }

    #[test]
    fn a_password_of_its_own_goes_before_that_of_the_url() {
        for url in ["redis://:old@a", "unix:///s?pass=old", "redis://a"] {
            let Address::Nodes(nodes) = Address::parse(url, Some("new")).unwrap() else {
                panic!("{url}");
            };
            assert_eq!(nodes[0].redis_settings().password(), Some("new"), "{url}");
        }
    }

    #[test]
    fn sentinels_are_asked_for_a_primary_by_name() {
        let url = "redis+sentinel://ann:secret@a,b:5000,[::1]/orders/3";
        let Address::Sentinel(of) = Address::parse(url, None).unwrap() else {
            panic!()
        };
        let shown: Vec<String> = of.sentinels.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:26379", "b:5000", "::1:26379"]);
        assert_eq!(of.primary, "orders");
        let login = (of.login.username(), of.login.password(), of.login.db());
        assert_eq!(login, (Some("ann"), Some("secret"), 3));
        let shown = Address::Sentinel(of).shown();
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for url in [
            "hunter2",
            "ftp://:hunter2@a",
            "redis+sentinel://:hunter2@a",
            "redis://:hunter2@a,",
            "redis://:hunter2@a/x",
        ] {
            let error = Address::parse(url, None).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("redis+sentinel://"), "{error}");
        }
    }
}
