//! Input files: where they are, and their bytes, decompressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};
use url::Url;

use super::{IngestError, IngestProgress};

/// Bytes read at once: large enough that the system's read-ahead has work.
const BUFFER: usize = 1 << 20;

/// How a file's rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A header row, then rows; separated by comma, semicolon or tab.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Columns.
    Parquet,
    /// MovieLens' older files: fields separated by two colons, no header.
    Dat,
}

impl Format {
    /// In messages.
    fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "CSV",
            Format::Jsonl => "JSON lines",
            Format::Parquet => "Parquet",
            Format::Dat => "MovieLens' .dat",
        }
    }
}

/// How a file is packed. Its first bytes tell: names are wrong where a download was unpacked on
/// the way, or packed by a job that did not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Bytes that are needed to tell.
    const MAGIC: usize = 4;

    fn of(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// One input file.
#[derive(Clone, Debug)]
pub struct Source {
    /// For messages.
    pub name: String,
    /// How its rows are written.
    pub format: Format,
    /// Its size as it is stored.
    pub bytes: u64,
    /// Whether it was named itself, and not found in a folder, by a glob or under a prefix.
    pub named: bool,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Local(PathBuf),
    Remote(Arc<dyn ObjectStore>, object_store::path::Path),
}

impl Source {
    /// A local file.
    ///
    /// # Errors
    /// When it does not exist or its name says of no known format.
    pub fn local(path: &Path) -> Result<Source, IngestError> {
        let name = path.display().to_string();
        let metadata = path.metadata().map_err(|error| IngestError::Location {
            location: name.clone(),
            reason: error.to_string(),
        })?;
        let format = recognise(&name).ok_or_else(|| unknown_format(&name))?;
        let place = Place::Local(path.to_owned());
        Ok(Source {
            name,
            format,
            bytes: metadata.len(),
            named: true,
            place,
        })
    }

    /// The files of all locations in the order of their names, each once, so that the order in
    /// which they were given makes no difference.
    ///
    /// # Errors
    /// See [`Source::resolve`].
    pub fn resolve_all(locations: &[String]) -> Result<Vec<Source>, IngestError> {
        let mut sources = Vec::new();
        for location in locations {
            sources.extend(Source::resolve(location)?);
        }
        sources.sort_by(|a: &Source, b| (&a.name, !a.named).cmp(&(&b.name, !b.named)));
        sources.dedup_by(|second, first| {
            let again = second.name == first.name;
            if again {
                tracing::warn!("{} is given twice and read once", second.name);
            }
            again
        });
        Ok(sources)
    }

    /// The files that a location means: a file, a folder (its files of known formats), a glob, or
    /// a URL of an object or of a prefix; in the order of their names.
    ///
    /// # Errors
    /// When there is nothing, or nothing of a known format.
    pub fn resolve(location: &str) -> Result<Vec<Source>, IngestError> {
        let invalid = |reason: String| IngestError::Location {
            location: location.into(),
            reason,
        };
        let path = match location.strip_prefix("file://") {
            Some(path) => path,
            None if location.contains("://") => return remote(location),
            None => location,
        };
        if Path::new(path).is_file() {
            return Ok(vec![Source::local(Path::new(path))?]);
        }
        let mut paths: Vec<PathBuf> = if Path::new(path).is_dir() {
            let entries = std::fs::read_dir(path).map_err(|error| invalid(error.to_string()))?;
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect()
        } else if path.contains(['*', '?', '[']) {
            let matches = glob::glob(path).map_err(|error| invalid(error.to_string()))?;
            matches.filter_map(Result::ok).collect()
        } else {
            return Err(invalid("there is no such file or folder".into()));
        };
        paths.retain(|path| path.is_file() && recognise(&path.display().to_string()).is_some());
        paths.sort();
        if paths.is_empty() {
            return Err(invalid(format!(
                "there is no file of a known format; {KNOWN}"
            )));
        }
        let found = |path: &PathBuf| {
            let source = Source::local(path)?;
            Ok(Source {
                named: false,
                ..source
            })
        };
        paths.iter().map(found).collect()
    }

    /// The bytes, decompressed. Bytes as stored are counted in `progress`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open<'a>(
        &self,
        progress: &'a IngestProgress,
    ) -> Result<BufReader<Box<dyn Read + 'a>>, IngestError> {
        let stored: Box<dyn Read> = match &self.place {
            Place::Local(path) => {
                Box::new(File::open(path).map_err(|error| self.unreadable(error))?)
            }
            Place::Remote(store, path) => {
                let runtime = Handle::try_current().map_err(|error| self.unreadable(error))?;
                let object = runtime
                    .block_on(store.get(path))
                    .map_err(|error| self.unreadable(error))?;
                let stream = object.into_stream().map_err(io::Error::other);
                Box::new(SyncIoBridge::new_with_handle(
                    StreamReader::new(stream),
                    runtime,
                ))
            }
        };
        let stored = Counted {
            inner: stored,
            progress,
        };
        self.unpack(stored)
    }

    fn unpack<'a>(
        &self,
        mut stored: impl Read + 'a,
    ) -> Result<BufReader<Box<dyn Read + 'a>>, IngestError> {
        // A whole buffer, because the first bytes of the text tell its delimiter, too.
        let start = start_of(&mut stored, BUFFER).map_err(|error| self.unreadable(error))?;
        let compression = Compression::of(&start);
        let whole = Cursor::new(start).chain(BufReader::with_capacity(BUFFER, stored));
        let plain: Box<dyn Read + 'a> = match compression {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
            Compression::Zstd => {
                Box::new(zstd::Decoder::with_buffer(whole).map_err(|error| self.unreadable(error))?)
            }
        };
        Ok(BufReader::with_capacity(BUFFER, plain))
    }

    /// The file as a local, uncompressed one, for formats that are not read from front to back.
    /// Copied into `scratch` where it is not. With it, the bytes that are not counted in `progress`
    /// yet.
    ///
    /// # Errors
    /// When it cannot be read or copied.
    pub fn open_seekable(
        &self,
        progress: &IngestProgress,
        scratch: &Path,
    ) -> Result<(File, u64), IngestError> {
        if let Place::Local(path) = &self.place {
            let mut file = File::open(path).map_err(|error| self.unreadable(error))?;
            let start = start_of(&mut file, Compression::MAGIC)
                .and_then(|start| file.rewind().map(|()| start));
            let start = start.map_err(|error| self.unreadable(error))?;
            if Compression::of(&start) == Compression::None {
                return Ok((file, self.bytes));
            }
        }
        let scratch_error = |error: io::Error| IngestError::Write {
            path: scratch.into(),
            reason: error.to_string(),
        };
        let mut copy = tempfile::tempfile_in(scratch).map_err(scratch_error)?;
        let mut input = self.open(progress)?;
        loop {
            let bytes = input.fill_buf().map_err(|error| self.unreadable(error))?;
            let count = bytes.len();
            if count == 0 {
                return Ok((copy, 0));
            }
            io::Write::write_all(&mut copy, bytes).map_err(scratch_error)?;
            input.consume(count);
        }
    }

    /// The error for a file that broke off or is not what its name says.
    pub fn unreadable(&self, reason: impl std::fmt::Display) -> IngestError {
        IngestError::Unreadable {
            file: self.name.clone(),
            expected: self.format.as_str(),
            reason: reason.to_string(),
        }
    }
}

const KNOWN: &str = "known are .csv, .tsv, .jsonl, .ndjson and .parquet, each also .gz or .zst";

fn unknown_format(name: &str) -> IngestError {
    IngestError::Location {
        location: name.into(),
        reason: format!("unknown format; {KNOWN}"),
    }
}

/// The first bytes, at most as many as asked for.
fn start_of(input: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(most);
    input.take(most as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Format by name.
fn recognise(name: &str) -> Option<Format> {
    let name = name.to_lowercase();
    let stem = match name.rsplit_once('.')? {
        (stem, "gz" | "zst" | "zstd") => stem,
        _ => name.as_str(),
    };
    Some(match stem.rsplit_once('.')?.1 {
        "csv" | "tsv" => Format::Csv,
        "jsonl" | "ndjson" | "json" => Format::Jsonl,
        "parquet" | "pq" => Format::Parquet,
        "dat" => Format::Dat,
        _ => return None,
    })
}

/// The object at a URL, or those under it.
fn remote(location: &str) -> Result<Vec<Source>, IngestError> {
    let invalid = |reason: String| IngestError::Location {
        location: location.into(),
        reason,
    };
    let url = Url::parse(location).map_err(|error| invalid(error.to_string()))?;
    let environment = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let (store, prefix) = object_store::parse_url_opts(&url, environment)
        .map_err(|error| invalid(error.to_string()))?;
    let store: Arc<dyn ObjectStore> = store.into();
    let runtime = Handle::try_current().map_err(|error| invalid(error.to_string()))?;
    let found = runtime.block_on(async {
        match store.head(&prefix).await {
            Ok(object) => Ok((true, vec![object])),
            Err(object_store::Error::NotFound { .. }) => {
                let listed = store.list(Some(&prefix)).try_collect::<Vec<_>>().await;
                listed.map(|objects| (false, objects))
            }
            Err(error) => Err(error),
        }
    });
    let (named, mut objects) = found.map_err(|error| invalid(error.to_string()))?;
    objects.sort_by(|a, b| a.location.cmp(&b.location));
    let sources: Vec<Source> = objects
        .into_iter()
        .filter_map(|object| {
            let name = format!("{}://{}/{}", url.scheme(), url.host_str()?, object.location);
            let format = recognise(&name)?;
            let place = Place::Remote(store.clone(), object.location);
            Some(Source {
                name,
                format,
                bytes: object.size,
                named,
                place,
            })
        })
        .collect();
    if sources.is_empty() {
        return Err(invalid(format!(
            "there is no object of a known format; {KNOWN}"
        )));
    }
    Ok(sources)
}

/// Counts bytes on their way.
struct Counted<'a, R> {
    inner: R,
    progress: &'a IngestProgress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_name_under_any_compression() {
        assert_eq!(recognise("a/b.jsonl.gz"), Some(Format::Jsonl));
        assert_eq!(recognise("A.CSV"), Some(Format::Csv));
        assert_eq!(recognise("x.parquet.zst"), Some(Format::Parquet));
        assert_eq!(recognise("README.md"), None);
        assert_eq!(recognise("archive.gz"), None);
    }

    #[test]
    fn a_location_that_is_not_there_is_named() {
        let error = Source::resolve("/nowhere/items.csv")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nowhere/items.csv") && error.contains("no such"),
            "{error}"
        );
    }
}
