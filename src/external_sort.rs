//! Sorting more than fits into memory, by the bytes of keys.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use grenad::{ChunkCreator, CompressionType, MergeFunction, SortAlgorithm, Sorter};

/// What the sorter starts its buffer with; it doubles from there.
const FIRST_BUFFER: usize = 128 * 1024;

/// Sorted runs before they are merged into one. Each is an open file.
const MOST_RUNS: usize = 64;

/// A sorter whose buffer takes at most `memory` bytes (10 MB at least), with its files in the
/// folder `scratch`. `merge` makes one value of those of equal keys, in any order.
pub(crate) fn sorter<M: MergeFunction<Error = io::Error>>(
    merge: M,
    memory: usize,
    scratch: &Path,
) -> Sorter<M, ScratchFiles> {
    // The buffer doubles until it has reached the threshold: only a threshold that is itself
    // reached by doubling is not overshot.
    let mut threshold = FIRST_BUFFER;
    while threshold <= memory / 2 {
        threshold *= 2;
    }
    let mut builder = Sorter::builder(merge).chunk_creator(ScratchFiles(scratch.to_owned()));
    builder
        .dump_threshold(threshold)
        .chunk_compression_type(CompressionType::Lz4)
        .max_nb_chunks(MOST_RUNS)
        .sort_algorithm(SortAlgorithm::Unstable)
        .sort_in_parallel(true);
    builder.build()
}

/// Makes files without a name in one folder: they are gone with the process, however it ends.
pub(crate) struct ScratchFiles(PathBuf);

impl ChunkCreator for ScratchFiles {
    type Chunk = File;
    type Error = io::Error;

    fn create(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.0)
    }
}

/// What is said of scratch files that do not hold what was written.
pub(crate) fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a scratch file was changed while it was in use",
    )
}

pub(crate) fn io_error(error: grenad::Error<io::Error>) -> io::Error {
    match error {
        grenad::Error::Io(error) | grenad::Error::Merge(error) => error,
        grenad::Error::InvalidCompressionType | grenad::Error::InvalidFormatVersion => damaged(),
    }
}
