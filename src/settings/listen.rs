//! How a process is asked how it is: `GET /health` on an address that somebody named, and the
//! command that asks for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use clap::Args;
use tokio::net::TcpListener;

use super::SettingsError;
use crate::causes::explain;
use crate::code::{Code, Coded};
use crate::health::{Health, Report};

/// Where a report is found.
const PATH: &str = "/health";

/// How long a process may take to answer: less than container health checks wait for the command.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether and where a process listens.
#[derive(Args, Clone, Copy, Debug)]
pub struct ListenArgs {
    /// Answer GET /health on this address, such as 127.0.0.1:9464; without it, nothing listens
    #[arg(long, env = "SOJOURN_LISTEN", value_parser = listen_address, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// An address to listen on.
///
/// # Errors
/// What it should look like.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "must be an address and a port, such as 127.0.0.1:9464".to_owned())
}

impl ListenArgs {
    /// Begins to answer, if that was asked for; until the process ends.
    ///
    /// # Errors
    /// When nobody can listen there.
    pub async fn serve(&self, health: Arc<Health>) -> Result<(), SettingsError> {
        let Some(address) = self.listen else {
            return Ok(());
        };
        let refused = |source| SettingsError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        // Another than was asked for when that has port 0.
        let address = listener.local_addr().map_err(refused)?;
        tracing::info!(%address, "listening");
        let router = Router::new().route(PATH, get(move || answer(health.clone())));
        // Ends with the process; a connection that fails is the affair of who made it.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(())
    }
}

async fn answer(health: Arc<Health>) -> (StatusCode, Json<Report>) {
    let report = health.report();
    let status = match report.healthy {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report))
}

/// Why there is no report of a process.
#[derive(Debug, thiserror::Error)]
#[error("no process says at {address} how it is: {reason}; is it running, with this --listen?")]
pub struct HealthError {
    address: SocketAddr,
    reason: String,
}

impl Coded for HealthError {
    fn code(&self) -> Code {
        Code::Unhealthy
    }
}

/// Asks the process that listens on `address` how it is.
///
/// # Errors
/// When none answers in time, or not with a report.
pub async fn ask(address: SocketAddr) -> Result<Report, HealthError> {
    let failed = |error: reqwest::Error| HealthError {
        address,
        reason: explain(&error.without_url()),
    };
    let url = format!("http://{}{PATH}", reachable(address));
    // The process is on this machine, or at an address that was named: no proxy is between.
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    let answer = client.build().map_err(failed)?.get(url).send().await;
    answer.map_err(failed)?.json().await.map_err(failed)
}

/// Where a process is reached that listens on every address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_no_name() {
        for text in ["127.0.0.1:9464", "0.0.0.0:1", "[::1]:9464"] {
            assert!(listen_address(text).is_ok(), "{text}");
        }
        for text in [
            "9464",
            ":9464",
            "localhost",
            "127.0.0.1",
            "127.0.0.1:99999",
            "",
        ] {
            let message = listen_address(text).unwrap_err();
            assert!(message.contains("127.0.0.1:9464"), "{text}: {message}");
        }
    }

    #[test]
    fn who_listens_everywhere_is_asked_on_this_machine() {
        let asked = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9464"), "127.0.0.1:9464");
        assert_eq!(asked("[::]:9464"), "[::1]:9464");
        assert_eq!(asked("10.0.0.7:9464"), "10.0.0.7:9464");
    }
}
