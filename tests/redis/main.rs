//! Redis as it is run in production: clusters, sentinels, TLS, users with few rights.

mod access;
mod cluster;
mod deployment;
mod sentinel;
mod shard;

#[path = "../support/faulty.rs"]
mod faulty;
#[path = "../support/llm.rs"]
mod llm;
#[path = "../support/slots.rs"]
mod slots;
#[path = "../support/mod.rs"]
mod support;
mod tls;
