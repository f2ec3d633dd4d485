//! The two workers of Sojourn: [`extraction`] finds journeys, [`naming`] names them. [`mod@bench`] measures
//! what they rest on. The binary `sojourn-worker` is a command line around them.

pub mod bench;
pub mod extraction;
pub mod naming;
mod patience;
