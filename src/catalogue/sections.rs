//! Sections of unknown length, collected in scratch files until the file is put together.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::layout::Extent;

/// A section that is being written.
pub(super) struct SectionFile {
    file: BufWriter<File>,
    hash: Box<Xxh3>,
    length: u64,
}

impl SectionFile {
    /// An empty section in a file without a name, which is gone with the process.
    pub(super) fn create(scratch: &Path) -> io::Result<SectionFile> {
        let file = BufWriter::new(tempfile::tempfile_in(scratch)?);
        Ok(SectionFile {
            file,
            hash: Box::new(Xxh3::new()),
            length: 0,
        })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn extent(&self) -> Extent {
        Extent {
            length: self.length,
            checksum: self.hash.digest(),
        }
    }

    /// Copies the section to where `to` stands.
    pub(super) fn copy_to(self, to: &mut impl Write) -> io::Result<()> {
        io::copy(&mut self.into_file()?, to)?;
        Ok(())
    }

    /// The section as a file, at its beginning.
    pub(super) fn into_file(self) -> io::Result<File> {
        let mut file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(file)
    }
}

/// Strings in two sections: where each ends, and their bytes.
pub(super) struct StringSections {
    pub(super) ends: SectionFile,
    pub(super) bytes: SectionFile,
}

impl StringSections {
    pub(super) fn create(scratch: &Path) -> io::Result<StringSections> {
        Ok(StringSections {
            ends: SectionFile::create(scratch)?,
            bytes: SectionFile::create(scratch)?,
        })
    }

    pub(super) fn append(&mut self, string: &str) -> io::Result<()> {
        self.bytes.append(string.as_bytes())?;
        self.ends.append(&self.bytes.length.to_le_bytes())
    }
}
