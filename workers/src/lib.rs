//! The two workers of Sojourn: [`extraction`] finds journeys, [`naming`] names them. The binary
//! `sojourn-worker` is a command line around them.

pub mod extraction;
pub mod naming;
mod patience;
