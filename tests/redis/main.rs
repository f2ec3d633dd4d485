//! Redis as it is run in production: clusters, sentinels, TLS, users with few rights.

mod access;
mod cluster;
mod deployment;
mod sentinel;

#[path = "../support/llm.rs"]
mod llm;
#[path = "../support/mod.rs"]
mod support;
mod tls;
