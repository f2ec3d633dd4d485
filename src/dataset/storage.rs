//! Where files are: a local folder, or a prefix in an object store.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::io::{AsyncRead, AsyncWriteExt};
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
        if let Some(folder) = local_folder(location) {
            return Ok(Storage {
                location: location.into(),
                store: Arc::new(LocalFileSystem::new()),
                prefix: ObjectPath::default(),
                folder: Some(folder),
            });
        }
        let (store, prefix) =
            open_store(location).map_err(|reason| DatasetError::InvalidLocation {
                location: location.into(),
                reason,
            })?;
        Ok(Storage {
            location: location.into(),
            store,
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
        if let Some(path) = self.local_path(name) {
            return match tokio::fs::read(&path).await {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Err(self.missing(name))
                }
                Err(error) => Err(self.unreadable(name, error)),
            };
        }
        let object = self.get(name).await?;
        object
            .bytes()
            .await
            .map_err(|error| self.unreadable(name, error))
    }

    /// Uploads a file of any size.
    ///
    /// # Errors
    /// When `content` cannot be read or the storage fails. Nothing is there then.
    pub async fn upload(&self, content: impl AsyncRead, name: &str) -> Result<(), DatasetError> {
        let mut content = std::pin::pin!(content);
        // In parts: a catalogue can be larger than memory, and than what one request may carry.
        let mut object = BufWriter::new(self.store.clone(), self.object(name));
        let written = match tokio::io::copy(&mut content, &mut object).await {
            Ok(_) => object.shutdown().await,
            Err(error) => {
                // The first error is the one to report; parts without an end are no object.
                let _ = object.abort().await;
                Err(error)
            }
        };
        written.map_err(|error| self.unwritable(name, error))
    }

    /// Writes a small file, unless there is one: of several who do this at the same time, one has
    /// written. Returns whether it was this one.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn create(&self, name: &str, content: Bytes) -> Result<bool, DatasetError> {
        let path = self.object(name);
        let create = PutOptions::from(PutMode::Create);
        match self
            .store
            .put_opts(&path, content.clone().into(), create)
            .await
        {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            // Some servers that speak S3 cannot, and are set so. Looking first leaves a moment in
            // which another may write, which is all that can be had there.
            Err(object_store::Error::NotImplemented { .. }) => match self.store.head(&path).await {
                Ok(_) => Ok(false),
                Err(object_store::Error::NotFound { .. }) => {
                    self.replace(name, content).await.map(|()| true)
                }
                Err(error) => Err(self.unwritable(name, error)),
            },
            Err(error) => Err(self.unwritable(name, error)),
        }
    }

    /// Writes a small file, over another one if there is one.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn replace(&self, name: &str, content: Bytes) -> Result<(), DatasetError> {
        let put = self.store.put(&self.object(name), content.into()).await;
        put.map(drop).map_err(|error| self.unwritable(name, error))
    }

    /// Removes a file. That there is none is no error.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn remove(&self, name: &str) -> Result<(), DatasetError> {
        match self.store.delete(&self.object(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.unwritable(name, error)),
        }
    }

    /// Copies a file to a local one, a part at a time.
    ///
    /// # Errors
    /// When it is missing, the storage fails or the local file cannot be written.
    pub async fn download(&self, name: &str, to: &Path) -> Result<(), DatasetError> {
        let mut parts = self.get(name).await?.into_stream();
        let local = |error| self.unwritable(&to.display().to_string(), error);
        let mut file = tokio::fs::File::create(to).await.map_err(local)?;
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| self.unreadable(name, error))?;
            file.write_all(&part).await.map_err(local)?;
        }
        file.flush().await.map_err(local)
    }

    async fn get(&self, name: &str) -> Result<GetResult, DatasetError> {
        match self.store.get(&self.object(name)).await {
            Ok(object) => Ok(object),
            Err(object_store::Error::NotFound { .. }) => Err(self.missing(name)),
            Err(error) => Err(self.unreadable(name, error)),
        }
    }

    fn object(&self, name: &str) -> ObjectPath {
        name.split('/')
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn missing(&self, file: &str) -> DatasetError {
        DatasetError::Missing {
            location: self.location.clone(),
            file: file.into(),
        }
    }

    fn unreadable(&self, file: &str, reason: impl Display) -> DatasetError {
        DatasetError::Storage {
            location: self.location.clone(),
            file: file.into(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn unwritable(&self, file: &str, reason: impl Display) -> DatasetError {
        DatasetError::Write {
            location: self.location.clone(),
            file: file.into(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn damaged(&self, file: &str, reason: String) -> DatasetError {
        DatasetError::Damaged {
            location: self.location.clone(),
            file: file.into(),
            reason,
        }
    }
}

/// The object store that a URL is in, and the path in it. Credentials come from the environment, in
/// the variables that the vendors' own tools use.
///
/// # Errors
/// When the URL is of no known kind, or what it needs is not set.
pub(crate) fn open_store(url: &str) -> Result<(Arc<dyn ObjectStore>, ObjectPath), String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    // What is not Unicode is no setting of a store, whatever it is.
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.to_lowercase();
        Some((name, value.into_string().ok()?))
    });
    let (store, path) =
        object_store::parse_url_opts(&url, environment).map_err(|error| error.to_string())?;
    Ok((store.into(), path))
}

/// The folder that a location means, if it is local.
pub(crate) fn local_folder(location: &str) -> Option<PathBuf> {
    match location.strip_prefix("file://") {
        Some(path) => Some(PathBuf::from(path)),
        None if location.contains("://") => None,
        None => Some(PathBuf::from(location)),
    }
}
