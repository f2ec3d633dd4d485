//! `sojourn-worker bench`: what this machine does in a second, part by part.

pub mod command;
pub mod histories;
pub mod kernel;

pub use command::BenchCommand;
pub use histories::{Histories, Shape};
pub use kernel::{Kernel, KernelFigures};
