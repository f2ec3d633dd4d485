//! Sojourn finds the interest journeys in the histories of a whole user population, names them,
//! and keeps them fresh.

pub mod catalogue;
pub mod history;
pub mod item;
pub mod terms;
