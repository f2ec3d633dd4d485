//! The demo: a population whose interests are known, sent through the real processes.

mod interests;
mod population;
mod truth;

pub use interests::{Interest, InterestItem, interests};
pub use population::{Population, SimulatedInteraction, SimulatedUser};
pub use truth::recovery;
