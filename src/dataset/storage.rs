//! Where files are: a local folder, or a prefix in an object store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;
use url::Url;

use super::DatasetError;

/// A folder of files, local or remote.
#[derive(Clone, Debug)]
pub struct Storage {
    location: String,
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    /// The folder, when it is local.
    folder: Option<PathBuf>,
}

impl Storage {
    /// The storage at a path or a URL (`file://`, `s3://`, `gs://`, `az://`). Credentials come from
    /// the environment, in the variables that the vendors' own tools use. For a URL of an object
    /// store, the process has to have installed a provider of cryptography for rustls.
    ///
    /// # Errors
    /// When the URL is of no known kind, or what it needs is not set.
    pub fn open(location: &str) -> Result<Storage, DatasetError> {
        let invalid = |reason: String| DatasetError::InvalidLocation {
            location: location.into(),
            reason,
        };
        if let Some(folder) = local_folder(location) {
            return Ok(Storage {
                location: location.into(),
                store: Arc::new(LocalFileSystem::new()),
                prefix: ObjectPath::default(),
                folder: Some(folder),
            });
        }
        let url = Url::parse(location).map_err(|error| invalid(error.to_string()))?;
        let environment = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
        let (store, prefix) = object_store::parse_url_opts(&url, environment)
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Storage {
            location: location.into(),
            store: store.into(),
            prefix,
            folder: None,
        })
    }

    /// As it was given.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Where a file is on this machine, if the storage is a local folder.
    pub fn local_path(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(name))
    }

    /// A whole file.
    ///
    /// # Errors
    /// When it is missing or the storage fails.
    pub async fn read(&self, name: &str) -> Result<Bytes, DatasetError> {
        let missing = || DatasetError::Missing {
            location: self.location.clone(),
            file: name.into(),
        };
        let failed = |reason: String| DatasetError::Storage {
            location: self.location.clone(),
            file: name.into(),
            reason,
        };
        if let Some(path) = self.local_path(name) {
            return match tokio::fs::read(&path).await {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing()),
                Err(error) => Err(failed(error.to_string())),
            };
        }
        let path = self.object(name);
        let result = match self.store.get(&path).await {
            Ok(result) => result,
            Err(object_store::Error::NotFound { .. }) => return Err(missing()),
            Err(error) => return Err(failed(error.to_string())),
        };
        result
            .bytes()
            .await
            .map_err(|error| failed(error.to_string()))
    }

    /// Uploads a local file.
    ///
    /// # Errors
    /// When the file cannot be read or the storage fails.
    pub async fn upload(&self, from: &Path, name: &str) -> Result<(), DatasetError> {
        let failed = |reason: String| DatasetError::Storage {
            location: self.location.clone(),
            file: name.into(),
            reason,
        };
        let mut file = tokio::fs::File::open(from)
            .await
            .map_err(|error| failed(error.to_string()))?;
        // In parts: a catalogue can be larger than memory, and than what one request may carry.
        let mut object = BufWriter::new(self.store.clone(), self.object(name));
        let copied = tokio::io::copy(&mut file, &mut object).await;
        match copied {
            Ok(_) => object
                .shutdown()
                .await
                .map_err(|error| failed(error.to_string())),
            Err(error) => {
                // The first error is the one to report; parts without an end are no object.
                let _ = object.abort().await;
                Err(failed(error.to_string()))
            }
        }
    }

    /// Copies a file to a local one, a part at a time.
    ///
    /// # Errors
    /// When it is missing, the storage fails or the local file cannot be written.
    pub async fn download(&self, name: &str, to: &Path) -> Result<(), DatasetError> {
        let failed = |reason: String| DatasetError::Storage {
            location: self.location.clone(),
            file: name.into(),
            reason,
        };
        let result = match self.store.get(&self.object(name)).await {
            Ok(result) => result,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(DatasetError::Missing {
                    location: self.location.clone(),
                    file: name.into(),
                });
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut parts = result.into_stream();
        let mut file = tokio::fs::File::create(to)
            .await
            .map_err(|error| failed(error.to_string()))?;
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| failed(error.to_string()))?;
            file.write_all(&part)
                .await
                .map_err(|error| failed(error.to_string()))?;
        }
        file.flush()
            .await
            .map_err(|error| failed(error.to_string()))
    }

    fn object(&self, name: &str) -> ObjectPath {
        name.split('/')
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    pub(super) fn damaged(&self, file: &str, reason: String) -> DatasetError {
        DatasetError::Damaged {
            location: self.location.clone(),
            file: file.into(),
            reason,
        }
    }
}

/// The folder that a location means, if it is local.
fn local_folder(location: &str) -> Option<PathBuf> {
    match location.strip_prefix("file://") {
        Some(path) => Some(PathBuf::from(path)),
        None if location.contains("://") => None,
        None => Some(PathBuf::from(location)),
    }
}
