//! A synthetic population of any size, for measuring: items about topics, and users who pursue some
//! of these topics over a year.
//!
//! Nothing of it is of real people. What is imitated are the distributions that decide what a
//! backfill costs: how long histories are, how many interests are in them, how popular items are,
//! and how many words items share. Every item and every user is drawn by a generator of its own,
//! seeded by its number, so that parts can be written in any order and by any number of threads, and
//! are the same bytes.

mod error;
mod items;
mod parameters;
mod parts;
mod place;
mod population;
mod progress;
mod random;
mod ranks;
mod topics;
mod users;
mod words;

pub use error::GenerateError;
pub use items::Item;
pub use parameters::Parameters;
pub use population::{POPULATION_FILE, Population, Summary, generate};
pub use progress::GenerateProgress;
pub use users::Interaction;
