//! From files in the forms that people have them to a dataset, and what is said of files that
//! cannot be used.

mod bad_input;
mod command_line;
mod determinism;
mod formats;
mod generated;
mod layouts;
mod order;
mod population;
mod progress;
mod reading;
mod real_files;
mod shards;
#[path = "../support/mod.rs"]
mod support;
mod workspace;
