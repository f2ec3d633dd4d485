//! Where a dataset is built, so that it appears whole or not at all.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::stage::Stage;
use super::{IngestError, IngestOptions};
use crate::dataset::{
    CATALOGUE_FILE, LOCAL_FOLDER, MANIFEST_FILE, REJECTS_FILE, SERVER_ADDRESS_FILE, SHARDS_FOLDER,
    local_folder,
};

/// In the stage: the dataset that is being built.
const DATASET: &str = "dataset";
/// In the stage: the dataset that it replaces, on its way out.
const REPLACED: &str = "replaced";
/// In the stage: files that are gone afterwards.
const SCRATCH: &str = "scratch";

/// Begins the names of stages that are in nobody's place: in the folder for scratch files.
const SCRATCH_PREFIX: &str = "sojourn-ingest-";

/// A dataset that is not finished. Nothing is left of it when this is dropped.
pub(super) struct Staging {
    stage: Stage,
    /// For scratch files, where those are to be elsewhere.
    elsewhere: Option<Stage>,
    /// Where the dataset goes, if it is a folder.
    out: Option<PathBuf>,
    force: bool,
    kept_rejects: Option<PathBuf>,
}

impl Staging {
    /// Makes the folders, beside the place of a local dataset, and removes what processes that were
    /// killed have left there.
    pub fn new(options: &IngestOptions) -> Result<Staging, IngestError> {
        let out = local_folder(&options.out);
        let scratch = options.scratch.clone();
        let scratch_stage = |folder: &Path| {
            let stage = Stage::create(folder, SCRATCH_PREFIX, |_| Ok(()));
            stage.map_err(|error| IngestError::write(folder, error))
        };
        let (stage, elsewhere) = match &out {
            Some(out) => {
                let stage = beside(out)?;
                check_place(out, options.force)?;
                (stage, scratch.as_deref().map(scratch_stage).transpose()?)
            }
            None => {
                let folder = scratch.clone().unwrap_or_else(std::env::temp_dir);
                (scratch_stage(&folder)?, None)
            }
        };
        for name in [DATASET, SCRATCH] {
            let folder = stage.path().join(name);
            fs::create_dir(&folder).map_err(|error| IngestError::write(&folder, error))?;
        }
        Ok(Staging {
            stage,
            elsewhere,
            kept_rejects: kept_rejects(&options.out, out.as_deref(), scratch),
            out,
            force: options.force,
        })
    }

    /// Where the files of the dataset are written.
    pub fn dataset(&self) -> PathBuf {
        self.stage.path().join(DATASET)
    }

    /// Where scratch files are written.
    pub fn scratch(&self) -> PathBuf {
        match &self.elsewhere {
            Some(stage) => stage.path().to_owned(),
            None => self.stage.path().join(SCRATCH),
        }
    }

    /// Keeps the rejects of a dataset that is not made, and says where.
    pub fn keep_rejects(&self) -> Option<PathBuf> {
        let path = self.kept_rejects.clone()?;
        fs::copy(self.dataset().join(REJECTS_FILE), &path).ok()?;
        Some(path)
    }

    /// Puts a local dataset in its place.
    ///
    /// # Errors
    /// When there is something in the meantime that may not be replaced, or it cannot be moved.
    pub fn move_in(&self) -> Result<(), IngestError> {
        let Some(out) = &self.out else {
            return Ok(());
        };
        let exists = || out.symlink_metadata().is_ok();
        let moved = if self.force && exists() {
            check_place(out, true)?;
            replace(self.stage.path(), out)
        } else {
            // This fails if there is something by now, other than an empty folder.
            fs::rename(self.dataset(), out)
        };
        moved.map_err(|error| {
            if !self.force && exists() {
                return IngestError::Exists {
                    path: out.display().to_string(),
                };
            }
            IngestError::write(out, error)
        })
    }

    /// Removes what is left beside a dataset that is in its place: it is there whether or not this
    /// succeeds.
    pub fn close(self) {
        for stage in [Some(self.stage), self.elsewhere].into_iter().flatten() {
            let path = stage.path().to_owned();
            if let Err(error) = stage.close() {
                let path = path.display();
                tracing::warn!("cannot remove {path}, which is of no use any more: {error}");
            }
        }
    }
}

/// A stage beside the place of a dataset: `<out>.partial-<random>`.
fn beside(out: &Path) -> Result<Stage, IngestError> {
    let (Some(parent), Some(name)) = (out.parent(), out.file_name()) else {
        return Err(IngestError::Location {
            location: out.display().to_string(),
            reason: "it has no name of its own".into(),
        });
    };
    let parent = match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    };
    let prefix = format!("{}.partial-", name.display());
    Stage::create(parent, &prefix, |abandoned| put_back(abandoned, out))
        .map_err(|error| IngestError::write(parent, error))
}

/// Puts the dataset of a stage in the place of another one. That one's private Redis stays: what is
/// in it are results, which nobody can make again with the names and ids that they have.
fn replace(stage: &Path, out: &Path) -> std::io::Result<()> {
    // Moved aside first: there is no moment at which half a dataset stands in the place.
    fs::rename(out, stage.join(REPLACED))?;
    let local = stage.join(REPLACED).join(LOCAL_FOLDER);
    let carried = match local.symlink_metadata() {
        Ok(_) => fs::rename(local, stage.join(DATASET).join(LOCAL_FOLDER)),
        Err(_) => Ok(()),
    };
    let moved = carried.and_then(|()| fs::rename(stage.join(DATASET), out));
    if moved.is_err() {
        put_back(stage, out)?;
    }
    moved
}

/// Undoes a replacement that came to no end, by whatever was moved. Does nothing otherwise.
fn put_back(stage: &Path, out: &Path) -> std::io::Result<()> {
    let replaced = stage.join(REPLACED);
    if replaced.symlink_metadata().is_err() {
        return Ok(());
    }
    let carried = stage.join(DATASET).join(LOCAL_FOLDER);
    if carried.symlink_metadata().is_ok() {
        fs::rename(carried, replaced.join(LOCAL_FOLDER))?;
    }
    if out.symlink_metadata().is_err() {
        return fs::rename(replaced, out);
    }
    match replaced.join(LOCAL_FOLDER).symlink_metadata() {
        Ok(_) => Err(std::io::Error::other(format!(
            "it holds the private Redis of the dataset that was in {}",
            out.display()
        ))),
        Err(_) => Ok(()),
    }
}

/// Whether a dataset may be put there.
fn check_place(out: &Path, force: bool) -> Result<(), IngestError> {
    if out.symlink_metadata().is_err() {
        return Ok(());
    }
    if !force {
        return Err(IngestError::Exists {
            path: out.display().to_string(),
        });
    }
    // Anything but a dataset or an empty folder is somebody's work that was named by mistake.
    const PARTS: [&str; 5] = [
        MANIFEST_FILE,
        CATALOGUE_FILE,
        SHARDS_FOLDER,
        REJECTS_FILE,
        LOCAL_FOLDER,
    ];
    let not_a_dataset = |reason: String| IngestError::NotADataset {
        path: out.to_owned(),
        reason,
    };
    for entry in fs::read_dir(out).map_err(|error| not_a_dataset(error.to_string()))? {
        let entry = entry.map_err(|error| not_a_dataset(error.to_string()))?;
        let name = entry.file_name();
        if !PARTS.iter().any(|part| name == *part) {
            return Err(not_a_dataset(format!("it holds {}", name.display())));
        }
    }
    match running_server(out) {
        Some(address) => Err(IngestError::InUse {
            path: out.to_owned(),
            address,
        }),
        None => Ok(()),
    }
}

/// Where the private Redis of a dataset listens, if it does.
fn running_server(out: &Path) -> Option<String> {
    let address = fs::read_to_string(out.join(SERVER_ADDRESS_FILE)).ok()?;
    let answers = match address.trim().split_once("://")? {
        ("unix", socket) => UnixStream::connect(socket).is_ok(),
        (_, host) => TcpStream::connect(host.trim_end_matches('/')).is_ok(),
    };
    answers.then_some(address)
}

/// Where the rejects of a dataset stay that is not made: beside its place, or with the scratch
/// files, under a name that no other dataset has.
fn kept_rejects(location: &str, out: Option<&Path>, scratch: Option<PathBuf>) -> Option<PathBuf> {
    if let Some(out) = out {
        let name = format!("{}.rejects.jsonl", out.file_name()?.display());
        return Some(out.with_file_name(name));
    }
    let last = location.trim_end_matches('/').rsplit('/').next()?;
    let name = format!("{last}-{:016x}.rejects.jsonl", xxh3_64(location.as_bytes()));
    Some(scratch.unwrap_or_else(std::env::temp_dir).join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use tempfile::TempDir;

    use super::*;

    fn staging(out: &Path, force: bool) -> Result<Staging, IngestError> {
        let mut options = IngestOptions::new("items.csv", "log.csv", &out.display().to_string());
        options.force = force;
        Staging::new(&options)
    }

    /// An empty folder, and a place in it.
    fn place() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        (folder, out)
    }

    /// A dataset whose private Redis listens there.
    fn old_dataset(out: &Path, socket: &Path) {
        fs::create_dir_all(out.join(LOCAL_FOLDER).join("redis")).unwrap();
        fs::write(out.join(MANIFEST_FILE), "old").unwrap();
        let address = format!("unix://{}", socket.display());
        fs::write(out.join(SERVER_ADDRESS_FILE), address).unwrap();
    }

    fn entries(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_living_one_makes_is_not() {
        let (folder, out) = place();
        let abandoned = folder.path().join("out.partial-aB3xYz");
        fs::create_dir_all(abandoned.join(DATASET)).unwrap();
        fs::write(abandoned.join("lock"), "").unwrap();
        // What others call theirs is not touched, whatever it begins with.
        let other = folder.path().join("out.partial-other.dataset");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("lock"), "").unwrap();
        let first = staging(&out, false).unwrap();
        assert!(!abandoned.exists() && other.exists());
        let second = staging(&out, false).unwrap();
        assert!(first.dataset().exists() && second.dataset().exists());
        drop((first, second));
        assert_eq!(entries(&folder), ["out.partial-other.dataset"]);
    }

    #[test]
    fn what_appeared_in_the_place_meanwhile_is_not_replaced_without_force() {
        let (folder, out) = place();
        let staging = staging(&out, false).unwrap();
        fs::create_dir(&out).unwrap();
        fs::write(out.join(MANIFEST_FILE), "of another ingest").unwrap();
        let refused = staging.move_in().unwrap_err();
        assert!(matches!(refused, IngestError::Exists { .. }), "{refused}");
        drop(staging);
        assert_eq!(entries(&folder), ["out"]);
        let manifest = fs::read_to_string(out.join(MANIFEST_FILE)).unwrap();
        assert_eq!(manifest, "of another ingest");
    }

    #[test]
    fn what_is_no_dataset_is_not_replaced_with_force_even_if_it_appeared_meanwhile() {
        let (_folder, out) = place();
        let staged = staging(&out, true).unwrap();
        fs::create_dir(&out).unwrap();
        // A file of this name alone makes no dataset.
        fs::write(out.join(MANIFEST_FILE), "of a web page").unwrap();
        fs::write(out.join("holiday.jpg"), "x").unwrap();
        let early = staging(&out, true).err().unwrap().to_string();
        for refused in [early, staged.move_in().unwrap_err().to_string()] {
            assert!(refused.contains("holds holiday.jpg"), "{refused}");
        }
        assert!(out.join("holiday.jpg").exists());
    }

    #[test]
    fn a_dataset_that_replaces_another_keeps_its_private_redis() {
        let (folder, out) = place();
        old_dataset(&out, &folder.path().join("nobody-listens"));
        fs::write(out.join(LOCAL_FOLDER).join("redis/appendonly"), "names").unwrap();
        let staging = staging(&out, true).unwrap();
        fs::write(staging.dataset().join(MANIFEST_FILE), "new").unwrap();
        staging.move_in().unwrap();
        staging.close();
        assert_eq!(fs::read_to_string(out.join(MANIFEST_FILE)).unwrap(), "new");
        let kept = out.join(LOCAL_FOLDER).join("redis/appendonly");
        assert_eq!(fs::read_to_string(kept).unwrap(), "names");
        assert_eq!(entries(&folder), ["out"]);
    }

    #[test]
    fn a_dataset_whose_private_redis_runs_is_not_replaced() {
        let (folder, out) = place();
        let socket = folder.path().join("socket");
        old_dataset(&out, &socket);
        let staged = staging(&out, true).unwrap();
        let _server = UnixListener::bind(&socket).unwrap();
        let early = staging(&out, true).err().unwrap().to_string();
        for refused in [early, staged.move_in().unwrap_err().to_string()] {
            let socket = socket.display().to_string();
            assert!(refused.contains(&socket), "{refused}");
        }
        assert_eq!(fs::read_to_string(out.join(MANIFEST_FILE)).unwrap(), "old");
    }

    #[test]
    fn a_process_killed_in_the_middle_of_a_replacement_has_lost_nothing() {
        let (folder, out) = place();
        old_dataset(&out, &folder.path().join("nobody-listens"));
        // As far as the second of the three moves.
        let stage = folder.path().join("out.partial-aB3xYz");
        fs::create_dir_all(stage.join(DATASET)).unwrap();
        fs::write(stage.join("lock"), "").unwrap();
        fs::rename(&out, stage.join(REPLACED)).unwrap();
        let local = stage.join(REPLACED).join(LOCAL_FOLDER);
        fs::rename(local, stage.join(DATASET).join(LOCAL_FOLDER)).unwrap();
        let refused = staging(&out, false).err().unwrap();
        assert!(matches!(refused, IngestError::Exists { .. }), "{refused}");
        assert_eq!(fs::read_to_string(out.join(MANIFEST_FILE)).unwrap(), "old");
        assert!(out.join(SERVER_ADDRESS_FILE).exists());
        assert_eq!(entries(&folder), ["out"]);
    }

    #[test]
    fn scratch_files_go_where_they_are_told_to() {
        let (folder, out) = place();
        let mut options = IngestOptions::new("items.csv", "log.csv", &out.display().to_string());
        let scratch = folder.path().join("fast");
        options.scratch = Some(scratch.clone());
        let local = Staging::new(&options).unwrap();
        assert!(local.scratch().starts_with(&scratch) && !local.dataset().starts_with(&scratch));
        options.out = "s3://bucket/a/today".into();
        let remote = Staging::new(&options).unwrap();
        assert!(remote.scratch().starts_with(&scratch) && remote.dataset().starts_with(&scratch));
        options.out = "s3://bucket/b/today".into();
        let other = Staging::new(&options).unwrap();
        assert_ne!(remote.kept_rejects, other.kept_rejects);
        drop((local, remote, other));
        assert_eq!(fs::read_dir(scratch).unwrap().count(), 0);
    }
}
