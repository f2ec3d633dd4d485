//! From files in the forms that people have them to a dataset, and what is said of files that
//! cannot be used.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod determinism;
mod formats;
mod layouts;
mod population;
mod reading;
mod real_files;
mod shards;
mod workspace;
