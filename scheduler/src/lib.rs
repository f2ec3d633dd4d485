//! The scheduler of Sojourn and everything behind the command `sojourn`: requests for runs
//! ([`trigger`]), the register of runs ([`register`]), the plan of a run ([`plan`]), the loop that
//! feeds the queues ([`scheduler`]), a deployment on one machine ([`local`]), and the demo.

pub mod cli;
pub mod demo;
pub mod embedded;
pub mod local;
pub mod plan;
pub mod progress;
pub mod register;
pub mod scheduler;
pub mod trigger;
