//! Redis as it is run in production: clusters, sentinels, TLS, users with few rights.

mod cluster;
mod deployment;
mod sentinel;

#[path = "../support/mod.rs"]
mod support;
mod tls;
