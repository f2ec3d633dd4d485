//! A folder for work in progress: gone when the work is over, and cleaned up after a process that
//! was killed.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// Held locked in a stage for as long as its process lives, whoever ends it and however. A process
/// id would not do: it is used again, and in containers all are alike.
const LOCK_FILE: &str = "lock";

/// A folder that nobody else has the name of, and that is gone when it is dropped.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    _lock: File,
}

impl Stage {
    /// Makes a stage `<prefix><random>` in `parent`. Before, those of this prefix that killed
    /// processes left there are given to `rescue` and removed.
    ///
    /// # Errors
    /// When no folder can be made there.
    pub fn create(
        parent: &Path,
        prefix: &str,
        rescue: impl Fn(&Path) -> io::Result<()>,
    ) -> io::Result<Stage> {
        fs::create_dir_all(parent)?;
        remove_abandoned(parent, prefix, rescue);
        loop {
            let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
            let path = folder.path().join(LOCK_FILE);
            let lock = File::create(&path)?;
            if let Err(error) = lock.lock() {
                // Nobody else can lock it then, so that nobody takes it for abandoned either.
                tracing::debug!("cannot lock {}: {error}", path.display());
            }
            // Whoever saw it between its creation and its lock has taken it for abandoned.
            if path.exists() {
                return Ok(Stage {
                    folder,
                    _lock: lock,
                });
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes it, and says so if that fails, which dropping does not.
    ///
    /// # Errors
    /// When something of it stays.
    pub fn close(self) -> io::Result<()> {
        self.folder.close()
    }
}

fn remove_abandoned(parent: &Path, prefix: &str, rescue: impl Fn(&Path) -> io::Result<()>) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix));
        let ours = random.is_some_and(|random| random.chars().all(char::is_alphanumeric));
        let path = entry.path();
        // Locks over a network want the file to be open for writing.
        let lock = || File::options().write(true).open(path.join(LOCK_FILE));
        let Some(lock) = ours.then(lock).and_then(Result::ok) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => continue,
        }
        let path = path.display();
        match rescue(entry.path().as_path()).and_then(|()| fs::remove_dir_all(entry.path())) {
            Ok(()) => tracing::info!("removed {path}, which was left unfinished"),
            Err(error) => tracing::warn!("{path} was left unfinished and stays: {error}"),
        }
    }
}
