//! `sojourn-worker bench`: what this machine does in a second, part by part.

pub mod catalogue;
pub mod command;
pub mod extraction;
pub mod histories;
pub mod kernel;
pub mod writing;

pub use catalogue::{Gather, GatherFigures};
pub use command::BenchCommand;
pub use extraction::{Extraction, ExtractionFigures};
pub use histories::{Histories, INTERESTS, Shape};
pub use kernel::{Kernel, KernelFigures};
pub use writing::{Writing, WritingFigures};
