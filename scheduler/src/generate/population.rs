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

/// Items in one file, and interactions, about: enough files for all cores, and none too small to be
/// read in one go.
const ITEMS_PER_PART: u32 = 50_000;
const INTERACTIONS_PER_PART: u32 = 1_000_000;

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
/// `force` one with another population. It appears when it is complete. Takes some 30 MB of
/// memory for each thread, and 8 bytes for each item.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio_util::sync::CancellationToken;

    use super::*;

    /// More than one part of items and of interactions, as few as possible of both.
    const PARAMETERS: Parameters = Parameters {
        users: 1050,
        items_per_user: 1000,
        items: 50_100,
        seed: 7,
    };

    /// The files of a population by their names, generated with so many threads.
    fn files(parameters: Parameters, threads: usize) -> BTreeMap<String, Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let progress = GenerateProgress::default();
        let generated = pool
            .unwrap()
            .install(|| generate(parameters, &out, false, &progress));
        assert_eq!(generated.unwrap().interactions, progress.interactions());
        let folders = [ITEMS_FOLDER, INTERACTIONS_FOLDER, ""].map(|name| out.join(name));
        let paths = folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap());
        let paths = paths.map(|entry| entry.unwrap().path());
        let files = paths.filter(|path| path.is_file());
        files
            .map(|path| {
                let name = path.strip_prefix(&out).unwrap().display().to_string();
                (name, fs::read(path).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_files_are_the_same_with_one_thread_and_with_many() {
        let alone = files(PARAMETERS, 1);
        let names: Vec<&str> = alone.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "interactions/part-00000.parquet",
                "interactions/part-00001.parquet",
                "items/part-00000.parquet",
                "items/part-00001.parquet",
                "population.json",
            ]
        );
        assert!(alone == files(PARAMETERS, 4), "they differ");
    }

    #[test]
    fn another_seed_gives_another_population() {
        let population = |seed| Population::new(Parameters { seed, ..PARAMETERS }).unwrap();
        let (one, other) = (population(1), population(2));
        assert_ne!(one.item(0), other.item(0));
        assert_ne!(one.history(0), other.history(0));
        assert_eq!(one.history(0), population(1).history(0));
    }

    #[test]
    fn some_items_are_in_many_histories_and_most_in_few() {
        let parameters = Parameters {
            users: 5000,
            items_per_user: 100,
            items: 20_000,
            seed: 1,
        };
        let population = Population::new(parameters).unwrap();
        let mut counts = vec![0_u32; parameters.items as usize];
        for user in 0..parameters.users {
            for interaction in population.history(user) {
                counts[interaction.item as usize] += 1;
            }
        }
        counts.sort_unstable_by(|a, b| b.cmp(a));
        // In a log-log plot, the line from one rank to the other.
        let slope = |from: usize, to: usize| {
            let ratio = f64::from(counts[from - 1]) / f64::from(counts[to - 1]);
            ratio.ln() / (to as f64 / from as f64).ln()
        };
        let slopes = [slope(10, 100), slope(100, 1000), slope(1000, 10_000)];
        let bounds = [0.4..0.6, 0.5..0.7, 0.65..0.85];
        let within = slopes
            .iter()
            .zip(bounds)
            .all(|(slope, bounds)| bounds.contains(slope));
        assert!(within, "{slopes:?}");
    }

    #[test]
    fn nothing_is_left_of_a_population_that_was_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        let progress = GenerateProgress::until(stop);
        let stopped = generate(PARAMETERS, &folder.path().join("out"), false, &progress);
        assert!(matches!(stopped, Err(GenerateError::Stopped)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
