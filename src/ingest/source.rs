//! Input files: how they are written, and their bytes, decompressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::{IngestError, IngestProgress};

/// Bytes read at once: large enough that the system's read-ahead has work.
const BUFFER: usize = 1 << 20;

/// Written at the beginning of UTF-8 by some programs.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a file's rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A header row, then rows; separated by comma, semicolon or tab.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Columns.
    Parquet,
    /// MovieLens' older files, without a header.
    MovieLens,
}

impl Format {
    /// In messages.
    fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "CSV",
            Format::Jsonl => "JSON lines",
            Format::Parquet => "Parquet",
            Format::MovieLens => "MovieLens' older files",
        }
    }

    /// By the name of a file, or of an object.
    pub fn of_name(name: &str) -> Option<Format> {
        let name = name.rsplit('/').next()?.to_lowercase();
        if matches!(name.as_str(), "u.data" | "u.item") {
            return Some(Format::MovieLens);
        }
        let stem = match name.rsplit_once('.')? {
            (stem, "gz" | "zst" | "zstd") => stem,
            _ => name.as_str(),
        };
        Some(match stem.rsplit_once('.')?.1 {
            "csv" | "tsv" => Format::Csv,
            "jsonl" | "ndjson" | "json" => Format::Jsonl,
            "parquet" | "pq" => Format::Parquet,
            "dat" => Format::MovieLens,
            _ => return None,
        })
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
            // A frame to be skipped, with which pzstd begins.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// One input file.
#[derive(Clone, Debug)]
pub struct Source {
    /// For messages, and for the order of files.
    pub name: String,
    /// How its rows are written.
    pub format: Format,
    /// Its size as it is stored.
    pub bytes: u64,
    /// Whether it was named itself, and not found in a folder, by a glob or under a prefix.
    pub named: bool,
    /// Equal for equal files, whatever they are called: `log.csv` and `./log.csv` are one.
    pub identity: PathBuf,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Local,
    Remote(Arc<dyn ObjectStore>, object_store::path::Path),
}

impl Source {
    /// A local file.
    ///
    /// # Errors
    /// When it cannot be found.
    pub fn local(path: &Path, format: Format, named: bool) -> io::Result<Source> {
        Ok(Source {
            name: path.display().to_string(),
            format,
            bytes: path.metadata()?.len(),
            named,
            identity: path.canonicalize()?,
            place: Place::Local,
        })
    }

    /// An object, by the URL that means it.
    pub fn remote(
        url: String,
        format: Format,
        named: bool,
        store: &Arc<dyn ObjectStore>,
        object: ObjectMeta,
    ) -> Source {
        Source {
            identity: PathBuf::from(&url),
            name: url,
            format,
            bytes: object.size,
            named,
            place: Place::Remote(store.clone(), object.location),
        }
    }

    /// The bytes, decompressed, without a byte-order mark. Bytes as stored are counted in `progress`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open<'a>(
        &self,
        progress: &'a IngestProgress,
    ) -> Result<BufReader<Box<dyn Read + 'a>>, IngestError> {
        let stored: Box<dyn Read> = match &self.place {
            Place::Local => {
                Box::new(File::open(&self.identity).map_err(|error| self.unreadable(error))?)
            }
            Place::Remote(store, path) => {
                let runtime = Handle::try_current().map_err(|error| self.unreadable(error))?;
                let object = runtime
                    .block_on(store.get(path))
                    .map_err(|error| self.failed(io::Error::other(error)))?;
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
        let start = start_of(&mut stored, BUFFER).map_err(|error| self.failed(error))?;
        let compression = Compression::of(&start);
        let whole = Cursor::new(start).chain(BufReader::with_capacity(BUFFER, stored));
        let mut plain: Box<dyn Read + 'a> = match compression {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
            Compression::Zstd => {
                Box::new(zstd::Decoder::with_buffer(whole).map_err(|error| self.failed(error))?)
            }
        };
        // A whole buffer, because the first bytes of the text tell its delimiter, too.
        let mut start = start_of(&mut plain, BUFFER).map_err(|error| self.failed(error))?;
        if start.starts_with(BYTE_ORDER_MARK) {
            start.drain(..BYTE_ORDER_MARK.len());
        }
        let whole: Box<dyn Read + 'a> = Box::new(Cursor::new(start).chain(plain));
        Ok(BufReader::with_capacity(BUFFER, whole))
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
        if let Place::Local = &self.place {
            let mut file = File::open(&self.identity).map_err(|error| self.unreadable(error))?;
            let start = start_of(&mut file, Compression::MAGIC)
                .and_then(|start| file.rewind().map(|()| start));
            let start = start.map_err(|error| self.unreadable(error))?;
            if Compression::of(&start) == Compression::None {
                return Ok((file, self.bytes));
            }
        }
        let scratch_error = |error: io::Error| IngestError::write(scratch, error);
        let mut copy = tempfile::tempfile_in(scratch).map_err(scratch_error)?;
        let mut input = self.open(progress)?;
        loop {
            let bytes = input.fill_buf().map_err(|error| self.failed(error))?;
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

    /// The error for bytes that did not come: the store's, that the ingest is to stop, or that of a
    /// file that broke off.
    pub fn failed(&self, error: io::Error) -> IngestError {
        let cause = error.get_ref();
        if let Some(store) = cause.and_then(|cause| cause.downcast_ref::<object_store::Error>()) {
            return IngestError::Store {
                location: self.name.clone(),
                reason: store.to_string(),
            };
        }
        if let Some(IngestError::Stopped) = cause.and_then(|cause| cause.downcast_ref()) {
            return IngestError::Stopped;
        }
        self.unreadable(error)
    }
}

/// The first bytes, at most as many as asked for.
fn start_of(input: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(most);
    input.take(most as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Counts bytes on their way, for as long as they are wanted.
struct Counted<'a, R> {
    inner: R,
    progress: &'a IngestProgress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.progress.go_on()?;
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
        assert_eq!(Format::of_name("a/b.jsonl.gz"), Some(Format::Jsonl));
        assert_eq!(Format::of_name("A.CSV"), Some(Format::Csv));
        assert_eq!(Format::of_name("x.parquet.zst"), Some(Format::Parquet));
        assert_eq!(Format::of_name("ml-100k/u.item"), Some(Format::MovieLens));
        assert_eq!(Format::of_name("README.md"), None);
        assert_eq!(Format::of_name("archive.gz"), None);
        assert_eq!(Format::of_name("folder.csv/part"), None);
    }
}
