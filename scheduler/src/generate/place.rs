//! Where a population is written, so that it appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sojourn::ingest::Stage;

use super::GenerateError;
use super::population::{INTERACTIONS_FOLDER, ITEMS_FOLDER, POPULATION_FILE};

/// In the stage: the population that is being written.
const POPULATION: &str = "population";
/// In the stage: the one that it replaces, on its way out.
const REPLACED: &str = "replaced";

/// A place for a population, and the stage beside it where it is written: `<out>.partial-<random>`.
/// Nothing is left of the stage when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    out: PathBuf,
    stage: Stage,
    force: bool,
}

impl Place {
    /// Checks the place, and makes the stage.
    pub fn new(out: &Path, force: bool) -> Result<Place, GenerateError> {
        let Some(name) = out.file_name() else {
            let text = format!("{} has no name of its own; name a folder", out.display());
            return Err(GenerateError::Parameter(text));
        };
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let prefix = format!("{}.partial-", name.display());
        // A process that was killed while it replaced a population has left that in its stage.
        let rescue = |stage: &Path| match fs::rename(stage.join(REPLACED), out) {
            Err(error) if error.kind() != io::ErrorKind::NotFound && !out.exists() => Err(error),
            _ => Ok(()),
        };
        let made = Stage::create(parent, &prefix, rescue);
        let place = Place {
            out: out.to_owned(),
            stage: made.map_err(GenerateError::write(out))?,
            force,
        };
        // After what was left in it has been put back.
        check(out, force)?;
        for folder in [
            place.folder(),
            place.folder().join(ITEMS_FOLDER),
            place.folder().join(INTERACTIONS_FOLDER),
        ] {
            fs::create_dir(&folder).map_err(GenerateError::write(&folder))?;
        }
        Ok(place)
    }

    /// Where the population is written.
    pub fn folder(&self) -> PathBuf {
        self.stage.path().join(POPULATION)
    }

    /// Puts the population in its place.
    pub fn move_in(self) -> Result<(), GenerateError> {
        let Place { out, stage, force } = &self;
        // It may have been taken meanwhile.
        check(out, *force)?;
        let replaced = stage.path().join(REPLACED);
        let move_in = || fs::rename(self.folder(), out);
        let moved = match fs::rename(out, &replaced) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => move_in(),
            Err(error) => Err(error),
            Ok(()) => move_in().or_else(|error| {
                fs::rename(&replaced, out)?;
                Err(error)
            }),
        };
        moved.map_err(GenerateError::write(out))
    }
}

/// Whether a population may be put there.
fn check(out: &Path, force: bool) -> Result<(), GenerateError> {
    let not_a_population = |reason: String| GenerateError::NotAPopulation {
        path: out.to_owned(),
        reason,
    };
    if out.symlink_metadata().is_err() {
        return Ok(());
    }
    let names = fs::read_dir(out).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name()));
        names.collect::<io::Result<Vec<_>>>()
    });
    let names = names.map_err(|error| not_a_population(error.to_string()))?;
    if names.is_empty() {
        return Ok(());
    }
    if !force {
        return Err(GenerateError::Exists {
            path: out.to_owned(),
        });
    }
    // Anything but a whole population is somebody's work that was named by mistake.
    const PARTS: [&str; 3] = [POPULATION_FILE, ITEMS_FOLDER, INTERACTIONS_FOLDER];
    let whole = names.iter().any(|name| name == POPULATION_FILE);
    let other = names
        .iter()
        .find(|name| !PARTS.iter().any(|part| *name == part));
    match other {
        Some(name) => Err(not_a_population(format!("it holds {}", name.display()))),
        None if whole => Ok(()),
        None => Err(not_a_population(format!("it has no {POPULATION_FILE}"))),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// An empty folder, and a place in it.
    fn place() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        (folder, out)
    }

    fn entries(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_population_appears_when_it_is_moved_in_and_nothing_is_left_of_the_stage() {
        let (folder, out) = place();
        let place = Place::new(&out, false).unwrap();
        assert!(!out.exists());
        place.move_in().unwrap();
        assert_eq!(entries(&out), [INTERACTIONS_FOLDER, ITEMS_FOLDER]);
        assert_eq!(entries(folder.path()), ["out"]);
    }

    #[test]
    fn nothing_is_left_of_a_population_that_came_to_no_end() {
        let (folder, out) = place();
        drop(Place::new(&out, false).unwrap());
        assert!(entries(folder.path()).is_empty());
    }

    #[test]
    fn what_a_killed_process_was_replacing_is_put_back_and_its_stage_removed() {
        let (folder, out) = place();
        let abandoned = folder.path().join("out.partial-abc123");
        fs::create_dir_all(abandoned.join(REPLACED)).unwrap();
        fs::write(abandoned.join(REPLACED).join(POPULATION_FILE), "old").unwrap();
        fs::write(abandoned.join("lock"), "").unwrap();
        let refused = Place::new(&out, false).unwrap_err();
        assert!(matches!(refused, GenerateError::Exists { .. }), "{refused}");
        assert_eq!(entries(folder.path()), ["out"]);
        assert_eq!(entries(&out), [POPULATION_FILE]);
    }

    #[test]
    fn an_empty_folder_is_a_place_and_one_that_is_filled_meanwhile_is_none() {
        let (folder, out) = place();
        fs::create_dir(&out).unwrap();
        let place = Place::new(&out, false).unwrap();
        fs::write(out.join(POPULATION_FILE), "of somebody else").unwrap();
        let refused = place.move_in().unwrap_err();
        assert!(matches!(refused, GenerateError::Exists { .. }), "{refused}");
        assert_eq!(entries(folder.path()), ["out"]);
        assert_eq!(entries(&out), [POPULATION_FILE]);
    }

    #[test]
    fn force_replaces_a_population_and_nothing_else() {
        let (folder, out) = place();
        Place::new(&out, false).unwrap().move_in().unwrap();
        let refusal = || Place::new(&out, true).unwrap_err().to_string();
        assert!(refusal().contains("has no population.json"));
        fs::write(out.join(POPULATION_FILE), "old").unwrap();
        fs::write(out.join("holiday.jpg"), "x").unwrap();
        assert!(refusal().contains("holds holiday.jpg"));
        fs::remove_file(out.join("holiday.jpg")).unwrap();
        Place::new(&out, true).unwrap().move_in().unwrap();
        assert_eq!(entries(&out), [INTERACTIONS_FOLDER, ITEMS_FOLDER]);
        assert_eq!(entries(folder.path()), ["out"]);
    }

    #[test]
    fn a_file_is_no_place_and_neither_is_a_folder_in_it() {
        let (_folder, out) = place();
        fs::write(&out, "x").unwrap();
        let refused = Place::new(&out, true).unwrap_err();
        assert!(
            matches!(refused, GenerateError::NotAPopulation { .. }),
            "{refused}"
        );
        let refused = Place::new(&out.join("in"), true).unwrap_err();
        assert!(matches!(refused, GenerateError::Write { .. }), "{refused}");
    }
}
