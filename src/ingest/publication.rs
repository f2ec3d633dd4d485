//! A finished dataset on its way into an object store.
//!
//! The names of files have their checksums in them, so that no upload writes over what another
//! manifest lists, and the manifest comes last: a reader finds all of a dataset or none of it. What
//! a replaced manifest listed goes afterwards.

use std::collections::BTreeSet;
use std::path::Path;

use futures::TryStreamExt;
use tokio_util::io::{ReaderStream, StreamReader};

use super::{IngestError, IngestProgress, Phase};
use crate::dataset::{DatasetError, MANIFEST_FILE, Manifest, REJECTS_FILE, Storage};

/// Bytes that are read for an upload at once.
const BUFFER: usize = 1 << 20;

/// Refuses a place that has a dataset.
pub(super) async fn check_free(storage: &Storage) -> Result<(), IngestError> {
    match storage.read(MANIFEST_FILE).await {
        Ok(_) => Err(exists(storage)),
        Err(DatasetError::Missing { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Uploads the dataset in `folder`, and returns its manifest as it is there. Without `replace`, one
/// of several that are published at the same time gets the place. With it, the last one does; it
/// does not know of those in between, and leaves their files.
pub(super) async fn publish(
    storage: &Storage,
    folder: &Path,
    manifest: Manifest,
    replace: bool,
    progress: &IngestProgress,
) -> Result<Manifest, IngestError> {
    let published = manifest.clone().named_by_checksum();
    let bytes = manifest.files().map(|file| file.bytes).sum();
    progress.begin(Phase::Upload, bytes);
    let mut uploaded = BTreeSet::new();
    let done = async {
        for (file, target) in manifest.files().zip(published.files()) {
            upload(storage, &folder.join(&file.name), &target.name, progress).await?;
            uploaded.insert(target.name.clone());
        }
        let text = serde_json::to_vec_pretty(&published)
            .map_err(|error| IngestError::write(Path::new(MANIFEST_FILE), error))?;
        if replace {
            let old = listed(storage).await;
            storage.replace(MANIFEST_FILE, text.into()).await?;
            Ok::<_, IngestError>(old)
        } else if storage.create(MANIFEST_FILE, text.into()).await? {
            Ok(BTreeSet::new())
        } else {
            Err(exists(storage))
        }
    };
    let (kept, removed) = match done.await {
        Ok(old) => (Ok(names(&published)), old),
        // What another dataset lists stays, of equal content or not.
        Err(error) => (Err((error, listed(storage).await)), uploaded),
    };
    let stays = match &kept {
        Ok(names) | Err((_, names)) => names,
    };
    for name in removed.difference(stays) {
        if let Err(error) = storage.remove(name).await {
            tracing::warn!("{name} is of no use any more and stays: {error}");
        }
    }
    match kept {
        Ok(_) => Ok(published),
        Err((error, _)) => Err(error),
    }
}

async fn upload(
    storage: &Storage,
    path: &Path,
    name: &str,
    progress: &IngestProgress,
) -> Result<(), IngestError> {
    let file = tokio::fs::File::open(path).await;
    let file = file.map_err(|error| IngestError::write(path, error))?;
    let parts = ReaderStream::with_capacity(file, BUFFER).and_then(|part| {
        progress.advance(part.len() as u64);
        std::future::ready(progress.go_on().map(|()| part))
    });
    let uploaded = storage.upload(StreamReader::new(parts), name).await;
    // That somebody asked to stop is all there is to say, whatever the upload makes of it.
    progress.check()?;
    Ok(uploaded?)
}

/// The files of the dataset that is there. Those of one that cannot be read are not known, and stay.
async fn listed(storage: &Storage) -> BTreeSet<String> {
    match Manifest::read(storage).await {
        Ok(manifest) => names(&manifest),
        Err(DatasetError::Missing { .. }) => BTreeSet::new(),
        Err(error) => {
            tracing::warn!("{error}");
            BTreeSet::new()
        }
    }
}

fn names(manifest: &Manifest) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = manifest.files().map(|file| file.name.clone()).collect();
    if manifest.rejects.is_none() {
        // Earlier versions did not list it.
        names.insert(REJECTS_FILE.into());
    }
    names
}

fn exists(storage: &Storage) -> IngestError {
    IngestError::Exists {
        path: storage.location().into(),
    }
}
