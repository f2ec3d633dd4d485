//! Sojourn finds the interest journeys in the histories of a whole user population, names them,
//! and keeps them fresh.

pub mod backoff;
pub mod catalogue;
pub mod causes;
pub mod code;
pub mod connection;
pub mod dataset;
pub mod evaluation;
mod external_sort;
pub mod health;
pub mod history;
pub mod ingest;
pub mod item;
pub mod job;
pub mod journey;
pub mod keys;
pub mod naming;
pub mod queue;
mod regression;
pub mod run;
#[cfg(feature = "cli")]
pub mod settings;
pub mod store;
pub mod terms;
