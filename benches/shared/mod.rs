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

/// Whether the command line asks for this part of a benchmark; for all where it names none.
pub fn is_asked(part: &str) -> bool {
    // Cargo says by an option that this is a benchmark.
    let mut asked = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .peekable();
    asked.peek().is_none() || asked.any(|asked| asked == part)
}
