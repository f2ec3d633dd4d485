//! Datasets: what `sojourn ingest` makes and workers read. A folder, or the same under an
//! object-store URL:
//!
//! ```text
//! manifest.json         what is in it, with checksums; written last
//! catalogue.sjc         every item's terms and title, mapped into memory by workers
//! shards/00000.parquet  histories of a range of user hashes, sorted by hash, user and time
//! rejects.jsonl         rows that were not taken, with the reason
//! ```
//!
//! A dataset never changes; its id is computed from its content. Under a URL the names of all files
//! but the manifest have their checksums in them, so that a dataset that replaces another writes
//! over none of its files; readers take the names from the manifest. A folder is replaced as a
//! whole, and keeps the plain names.

mod manifest;
mod shard;
mod storage;
mod user_hash;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub use manifest::{
    ColumnMap, Counts, FORMAT, FileSummary, InputPlace, Manifest, ShardIndex, ShardSummary,
    sha256_of_file,
};
pub(crate) use shard::decode as decode_shard;
pub use shard::{ShardWriter, WrittenShard};
pub use storage::Storage;
pub(crate) use storage::{local_folder, open_store};
pub use user_hash::user_hash;

use crate::catalogue::{Catalogue, CatalogueError};
use crate::history::History;

/// Names inside the dataset.
pub const MANIFEST_FILE: &str = "manifest.json";
/// See [`Catalogue`].
pub const CATALOGUE_FILE: &str = "catalogue.sjc";
/// Folder of the shards.
pub const SHARDS_FOLDER: &str = "shards";
/// See [`crate::ingest`].
pub const REJECTS_FILE: &str = "rejects.jsonl";
/// Beside the files of a local dataset, and no part of it: the data of the private Redis that works
/// with it, and its logs.
pub const LOCAL_FOLDER: &str = "local";
/// In the same place, while that Redis runs: where it listens, as a URL.
pub const SERVER_ADDRESS_FILE: &str = "local/redis/address";

/// A dataset that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The location is neither a folder nor a URL of a known object store.
    #[error("dataset {location}: {reason}")]
    InvalidLocation {
        /// As given.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no dataset, or not all of it.
    #[error(
        "dataset {location}: {file} is missing; make a dataset with `sojourn ingest --out \
         {location}`, or name another folder"
    )]
    Missing {
        /// Where the dataset should be.
        location: String,
        /// What is missing.
        file: String,
    },
    /// The storage failed; another try may go better.
    #[error("dataset {location}: cannot read {file}: {reason}")]
    Storage {
        /// Where the dataset is.
        location: String,
        /// What was being read.
        file: String,
        /// What the storage said.
        reason: String,
    },
    /// The storage, or the local cache, does not take a file; another try may go better.
    #[error("dataset {location}: cannot write {file}: {reason}")]
    Write {
        /// Where the dataset is.
        location: String,
        /// What was being written.
        file: String,
        /// What the storage said.
        reason: String,
    },
    /// A newer version of Sojourn made it.
    #[error(
        "dataset {location}: its format is {found}, and this version of Sojourn reads none above \
         {FORMAT}; upgrade Sojourn or ingest again"
    )]
    UnknownFormat {
        /// Where the dataset is.
        location: String,
        /// Its format.
        found: u32,
    },
    /// A file is not what the manifest says.
    #[error(
        "dataset {location}: {file} is damaged ({reason}); copy the dataset again or ingest again"
    )]
    Damaged {
        /// Where the dataset is.
        location: String,
        /// Which file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The catalogue cannot be used.
    #[error("dataset {location}: {source}")]
    Catalogue {
        /// Where the dataset is.
        location: String,
        /// What is wrong with it.
        source: CatalogueError,
    },
    /// There is no such shard.
    #[error("dataset {location} has {shards} shards, and none of number {shard}")]
    NoShard {
        /// Where the dataset is.
        location: String,
        /// What was asked for.
        shard: u32,
        /// How many there are.
        shards: usize,
    },
}

impl DatasetError {
    /// Whether another try may go better without anybody doing something.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            DatasetError::Storage { .. } | DatasetError::Write { .. }
        )
    }
}

/// A dataset, opened for reading.
#[derive(Debug)]
pub struct Dataset {
    storage: Storage,
    manifest: Manifest,
    catalogue: Arc<Catalogue>,
    catalogue_path: PathBuf,
}

impl Dataset {
    /// Opens the dataset at `location`, a folder or a URL. The catalogue of a remote dataset is
    /// downloaded into `cache` once.
    ///
    /// # Errors
    /// See [`DatasetError`].
    pub async fn open(location: &str, cache: &Path) -> Result<Dataset, DatasetError> {
        let storage = Storage::open(location)?;
        let manifest = Manifest::read(&storage).await?;
        let path = match storage.local_path(&manifest.catalogue.name) {
            Some(path) => path,
            None => cached_catalogue(&storage, &manifest, cache).await?,
        };
        let catalogue = Catalogue::open(&path).map_err(|source| DatasetError::Catalogue {
            location: location.into(),
            source,
        })?;
        Ok(Dataset {
            storage,
            manifest,
            catalogue: Arc::new(catalogue),
            catalogue_path: path,
        })
    }

    /// What is in it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The items.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// The histories of a shard, by (hash of the user, user id), in format 1 by user id; each by
    /// (timestamp, item id).
    ///
    /// # Errors
    /// When the shard cannot be read or is not what the manifest says.
    pub async fn read_shard(&self, shard: ShardIndex) -> Result<Vec<History>, DatasetError> {
        let Some(summary) = self.manifest.shards.get(shard.0 as usize) else {
            return Err(DatasetError::NoShard {
                location: self.storage.location().into(),
                shard: shard.0,
                shards: self.manifest.shards.len(),
            });
        };
        let bytes = read_verified(&self.storage, &summary.file).await?;
        let damaged = |reason| self.storage.damaged(&summary.file.name, reason);
        shard::decode(bytes, self.catalogue.len()).map_err(damaged)
    }

    /// Reads every file and compares it with the manifest.
    ///
    /// # Errors
    /// The first file that is not what the manifest says.
    pub async fn verify(&self) -> Result<(), DatasetError> {
        let catalogue = self.manifest.catalogue.clone();
        let name = catalogue.name.clone();
        let path = self.catalogue_path.clone();
        let checked = tokio::task::spawn_blocking(move || catalogue.check_file(&path)).await;
        checked
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|reason| self.storage.damaged(&name, reason))?;
        for shard in &self.manifest.shards {
            self.read_shard(shard.index).await?;
        }
        Ok(())
    }
}

async fn read_verified(storage: &Storage, file: &FileSummary) -> Result<Bytes, DatasetError> {
    let bytes = storage.read(&file.name).await?;
    file.check(&bytes)
        .map_err(|reason| storage.damaged(&file.name, reason))?;
    Ok(bytes)
}

/// The catalogue of a remote dataset as a local file, named by its checksum.
async fn cached_catalogue(
    storage: &Storage,
    manifest: &Manifest,
    cache: &Path,
) -> Result<PathBuf, DatasetError> {
    let summary = manifest.catalogue.clone();
    let path = cache.join(format!("{}.sjc", summary.sha256));
    if path.is_file() {
        return Ok(path);
    }
    let failed = |error: std::io::Error| storage.unwritable(&path.display().to_string(), error);
    std::fs::create_dir_all(cache).map_err(failed)?;
    // Another worker may do the same; whoever renames last, the content is equal.
    let file = tempfile::NamedTempFile::new_in(cache).map_err(failed)?;
    storage.download(&summary.name, file.path()).await?;
    let name = summary.name.clone();
    let (file, checked) = tokio::task::spawn_blocking(move || {
        let checked = summary.check_file(file.path());
        (file, checked)
    })
    .await
    .map_err(|error| failed(std::io::Error::other(error)))?;
    checked.map_err(|reason| storage.damaged(&name, reason))?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok(path)
}
