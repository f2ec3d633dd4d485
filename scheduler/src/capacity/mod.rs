//! What a population of any size takes: reckoned from [`Figures`] that were measured or are assumed
//! ([`Plan`]), and played through with a crew of workers and a cluster of Redis shards
//! ([`simulation`]).

mod figures;
mod plan;
pub mod simulation;

pub use figures::{Assumption, Figure, Figures};
pub use plan::{Extraction, Naming, Network, Plan, Redis, Storage, asked_by};
