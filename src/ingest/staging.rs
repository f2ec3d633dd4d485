//! Where a dataset is built, so that it appears whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{IngestError, IngestOptions};
use crate::dataset::{MANIFEST_FILE, REJECTS_FILE};

/// Held locked in a partial dataset for as long as its process lives, whoever ends it and however.
/// A process id would not do: it is used again, and in containers all are alike.
const LOCK_FILE: &str = "lock";

/// Where a dataset is built.
pub(super) enum Staging {
    /// Beside its place, renamed at the end.
    Beside(Partial),
    /// In a folder that is gone afterwards, to be uploaded from.
    Scratch(TempDir),
}

/// A dataset that is not finished: `<out>.partial-<process id>`. It is gone when it is dropped.
pub(super) struct Partial {
    folder: PathBuf,
    out: PathBuf,
    _lock: File,
}

impl Staging {
    /// Makes the folder, and removes what ended processes have left of the same dataset.
    pub fn new(options: &IngestOptions, remote: bool) -> Result<Staging, IngestError> {
        if remote {
            let failed = |error| write_error(&std::env::temp_dir(), &error);
            return Ok(Staging::Scratch(tempfile::tempdir().map_err(failed)?));
        }
        let out = local(&options.out);
        if out.symlink_metadata().is_ok() {
            let path = options.out.clone();
            if !options.force {
                return Err(IngestError::Exists { path });
            }
            if !may_be_replaced(&out) {
                return Err(IngestError::NotADataset { path });
            }
        }
        Ok(Staging::Beside(Partial::create(out)?))
    }

    pub fn path(&self) -> &Path {
        match self {
            Staging::Beside(partial) => &partial.folder,
            Staging::Scratch(scratch) => scratch.path(),
        }
    }

    /// Where the rejects stay when there is no dataset: beside its place, or in the folder for
    /// temporary files if that is remote.
    pub fn keep_rejects(&self, options: &IngestOptions) -> Option<PathBuf> {
        let out = local(&options.out);
        let name = format!("{}.rejects.jsonl", out.file_name()?.to_str()?);
        let path = match self {
            Staging::Beside(_) => out.with_file_name(name),
            Staging::Scratch(_) => std::env::temp_dir().join(name),
        };
        fs::copy(self.path().join(REJECTS_FILE), &path).ok()?;
        Some(path)
    }

    /// Puts the finished dataset in its place.
    pub fn finish(self) -> Result<Staging, IngestError> {
        if let Staging::Beside(partial) = &self {
            let moved = partial.move_in();
            moved.map_err(|error| write_error(&partial.out, &error))?;
        }
        Ok(self)
    }
}

impl Partial {
    fn create(out: PathBuf) -> Result<Partial, IngestError> {
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
        fs::create_dir_all(parent).map_err(|error| write_error(parent, &error))?;
        remove_abandoned(parent, &prefix);
        let folder = create_folder(&parent.join(format!("{prefix}{}", std::process::id())))
            .map_err(|error| write_error(parent, &error))?;
        let lock = File::create(folder.join(LOCK_FILE))
            .and_then(|lock| lock.lock().map(|()| lock))
            .map_err(|error| write_error(&folder, &error))?;
        Ok(Partial {
            folder,
            out,
            _lock: lock,
        })
    }

    fn move_in(&self) -> io::Result<()> {
        fs::remove_file(self.folder.join(LOCK_FILE))?;
        if self.out.symlink_metadata().is_err() {
            return fs::rename(&self.folder, &self.out);
        }
        // Moved aside first: there is no moment at which half a dataset stands in the place, and
        // the old one comes back if the new one cannot be moved in.
        let mut aside = self.folder.clone().into_os_string();
        aside.push("-replaced");
        fs::rename(&self.out, &aside)?;
        if let Err(error) = fs::rename(&self.folder, &self.out) {
            fs::rename(&aside, &self.out)?;
            return Err(error);
        }
        fs::remove_dir_all(&aside)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Once it is moved in, there is nothing under this name; otherwise the error that ended
        // the ingest is the one to report, and the next ingest cleans up.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Makes a new folder of this name, or of this name and a number: two ingests of one process
/// would meet in it.
fn create_folder(path: &Path) -> io::Result<PathBuf> {
    let mut number = 0_u32;
    let mut folder = path.to_owned();
    loop {
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                number += 1;
                folder = PathBuf::from(format!("{}-{number}", path.display()));
            }
            made => return made.map(|()| folder),
        }
    }
}

/// Removes partial datasets whose process has ended.
fn remove_abandoned(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(prefix)) {
            continue;
        }
        // Without a lock file it is being made or moved in just now.
        let lock = File::open(entry.path().join(LOCK_FILE));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => tracing::info!("removed {}, left unfinished", entry.path().display()),
                Err(error) => tracing::warn!("cannot remove {}: {error}", entry.path().display()),
            }
        }
    }
}

/// Whether `--force` may remove what is there: a dataset or an empty folder. Anything else is
/// somebody's folder that was named by mistake.
fn may_be_replaced(out: &Path) -> bool {
    let is_empty = || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    out.join(MANIFEST_FILE).is_file() || is_empty()
}

fn local(out: &str) -> PathBuf {
    PathBuf::from(out.strip_prefix("file://").unwrap_or(out))
}

fn write_error(path: &Path, error: &io::Error) -> IngestError {
    IngestError::Write {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(out: &Path, force: bool) -> IngestOptions {
        let mut options = IngestOptions::new("items.csv", "log.csv", &out.display().to_string());
        options.force = force;
        options
    }

    #[test]
    fn what_an_ended_process_left_is_removed_and_what_a_living_one_makes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let abandoned = folder.path().join("out.partial-1");
        fs::create_dir(&abandoned).unwrap();
        File::create(abandoned.join(LOCK_FILE)).unwrap();
        let options = options(&folder.path().join("out"), false);
        let first = Staging::new(&options, false).unwrap();
        assert!(!abandoned.exists());
        let second = Staging::new(&options, false).unwrap();
        assert!(first.path().exists() && second.path().exists());
        assert_ne!(first.path(), second.path());
        drop((first, second));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn force_replaces_a_dataset_and_never_another_folder() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("photos");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("holiday.jpg"), "x").unwrap();
        let refused = Staging::new(&options(&out, true), false).err().unwrap();
        assert!(
            refused.to_string().contains("photos is not a dataset"),
            "{refused}"
        );

        fs::write(out.join(MANIFEST_FILE), "{}").unwrap();
        let staging = Staging::new(&options(&out, true), false).unwrap();
        fs::write(staging.path().join("new"), "x").unwrap();
        drop(staging.finish().unwrap());
        assert!(out.join("new").is_file() && !out.join(MANIFEST_FILE).exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
