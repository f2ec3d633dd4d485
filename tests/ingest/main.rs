//! From files in the forms that people have them to a dataset, and what is said of files that
//! cannot be used.

mod bad_input;
mod determinism;
mod formats;
mod layouts;
mod population;
mod reading;
mod real_files;
mod shards;
mod workspace;
