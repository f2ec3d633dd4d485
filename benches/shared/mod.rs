//! What benchmarks share.

// Every benchmark uses a part of it.
#![allow(dead_code)]

pub mod backfill;
pub mod peer;
pub mod population;
pub mod process;
pub mod redis;

#[path = "../../tests/support/mod.rs"]
pub mod support;
