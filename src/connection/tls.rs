//! What TLS needs: certificates that are trusted, and one to show.

use redis::{ClientTlsConfig, ConnectionAddr, TlsCertificates};

use super::address::Address;
use super::{ConnectError, RedisOptions};

impl RedisOptions {
    /// What the connections need; `None` without TLS, or with what the system has.
    pub(super) fn certificates(
        &self,
        address: &Address,
    ) -> Result<Option<TlsCertificates>, ConnectError> {
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

/// Whether connections to an address use TLS.
pub(super) fn is_tls(address: &ConnectionAddr) -> bool {
    matches!(address, ConnectionAddr::TcpTls { .. })
}
