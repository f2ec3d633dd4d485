//! The population, and its files.

use std::fs;
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::topics::Topics;
use super::users::{Lengths, history};
use super::{GenerateError, GenerateProgress, Interaction, Item, Parameters, parts};

/// In the folder of a population: what it is. Written last.
pub const POPULATION_FILE: &str = "population.json";
pub(super) const ITEMS_FOLDER: &str = "items";
pub(super) const INTERACTIONS_FOLDER: &str = "interactions";

/// Items, and interactions about, in one file: enough files for all cores, and none too small to be
/// read in one go.
const ITEMS_PER_PART: u32 = 50_000;
const INTERACTIONS_PER_PART: u32 = 2_000_000;

/// Items and users, drawn when they are asked for.
#[derive(Debug)]
pub struct Population {
    parameters: Parameters,
    topics: Topics,
    lengths: Lengths,
}

/// What was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// What it was generated from.
    pub parameters: Parameters,
    /// Topics that items could be about.
    pub topics: u32,
    /// Rows of all files of interactions.
    pub interactions: u64,
}

impl Population {
    /// The population of these parameters.
    ///
    /// # Errors
    /// When they cannot be.
    pub fn new(parameters: Parameters) -> Result<Population, GenerateError> {
        parameters.validate()?;
        Ok(Population {
            parameters,
            topics: Topics::new(&parameters),
            lengths: Lengths::new(&parameters),
        })
    }

    /// The item of this number, which is below the number of items.
    pub fn item(&self, number: u32) -> Item {
        Item::draw(number, &self.topics, &self.parameters)
    }

    /// The history of the user of this number: in time order, no item twice.
    pub fn history(&self, user: u32) -> Vec<Interaction> {
        let length = self.lengths.of(user);
        history(user, length, &self.topics, &self.parameters)
    }

    /// Writes all items, and then all interactions, into two folders.
    fn write(&self, folder: &Path, progress: &GenerateProgress) -> Result<Summary, GenerateError> {
        let &Parameters {
            users,
            items_per_user,
            items,
            ..
        } = &self.parameters;
        let folder_of_items = folder.join(ITEMS_FOLDER);
        ranges(items, ITEMS_PER_PART).try_for_each(|(part, numbers)| {
            let path = folder_of_items.join(name(part));
            parts::write_items(&path, numbers, |number| self.item(number), progress)
        })?;
        let users_per_part = (INTERACTIONS_PER_PART / items_per_user).max(1);
        let folder_of_interactions = folder.join(INTERACTIONS_FOLDER);
        let counts = ranges(users, users_per_part).map(|(part, users)| {
            let path = folder_of_interactions.join(name(part));
            parts::write_interactions(&path, users, |user| self.history(user), progress)
        });
        Ok(Summary {
            parameters: self.parameters,
            topics: self.topics.len() as u32,
            interactions: counts.try_reduce(|| 0, |left, right| Ok(left + right))?,
        })
    }
}

/// Numbers in parts of `size`, the last one smaller, with the number of each part.
fn ranges(count: u32, size: u32) -> impl ParallelIterator<Item = (u32, Range<u32>)> {
    (0..count.div_ceil(size)).into_par_iter().map(move |part| {
        let from = part * size;
        (part, from..from.saturating_add(size).min(count))
    })
}

fn name(part: u32) -> String {
    format!("part-{part:05}.parquet")
}

/// Writes the population of `parameters` into the folder `out`, which is not there, or empty, or with
/// `force` one with another population. It appears when it is complete. Takes a few megabytes of
/// memory for each core, and 8 bytes for each item.
///
/// # Errors
/// When the parameters cannot be, the place is taken, or a file cannot be written, and when it is to
/// stop. Whatever stood in the place is still there then.
pub fn generate(
    parameters: Parameters,
    out: &Path,
    force: bool,
    progress: &GenerateProgress,
) -> Result<Summary, GenerateError> {
    parameters.validate()?;
    let place = Place::new(out, force)?;
    let folder = place.folder();
    let summary = Population::new(parameters)?.write(&folder, progress)?;
    let path = folder.join(POPULATION_FILE);
    let text = serde_json::to_string_pretty(&summary).map_err(GenerateError::write(&path))?;
    fs::write(&path, text + "\n").map_err(GenerateError::write(&path))?;
    place.move_in()?;
    Ok(summary)
}
