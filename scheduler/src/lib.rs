//! The scheduler of Sojourn and everything behind the command `sojourn`: requests for runs
//! ([`trigger`], [`inbox`]), the register of runs ([`register`]), the plan of a run ([`plan`]), the
//! loop that feeds the queues ([`scheduler`]), dead letters ([`letters`]), what naming
//! will take ([`outlook`]), what a population takes ([`capacity`]), a deployment on one machine ([`local`], [`private`]), a synthetic population
//! for measuring ([`generate`]), and the demo.

mod active;
pub mod capacity;
pub mod cli;
pub mod code;
pub mod cohort;
pub mod demo;
pub mod generate;
pub mod inbox;
pub mod leader;
pub mod letters;
pub mod local;
pub mod outlook;
pub mod plan;
pub mod private;
pub mod progress;
mod reconciler;
pub mod record;
pub mod register;
pub mod scheduler;
pub mod trigger;
