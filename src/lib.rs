//! Sojourn finds the interest journeys in the histories of a whole user population, names them,
//! and keeps them fresh.

pub mod connection;
pub mod history;
pub mod item;
pub mod keys;
pub mod queue;
pub mod run;
