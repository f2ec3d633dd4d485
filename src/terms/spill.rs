//! Sorting counts that do not fit into memory.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use grenad::{MergeFunction, Sorter};

use super::tally::{Count, Key};
use crate::external_sort::{ScratchFiles, damaged, io_error, sorter};

/// Counts by key, on disk where they do not fit into memory.
pub(super) struct Spill {
    sorter: Sorter<Sum, ScratchFiles>,
}

impl Spill {
    /// A spill whose buffer takes at most `memory` bytes (10 MB at least), with its files in the
    /// folder `scratch`.
    pub(super) fn new(memory: usize, scratch: &Path) -> Spill {
        Spill {
            sorter: sorter(Sum, memory, scratch),
        }
    }

    pub(super) fn insert(&mut self, key: &[u8], count: Count) -> io::Result<()> {
        self.sorter.insert(key, count.to_bytes()).map_err(io_error)
    }

    /// Visits all keys in byte order, each once with the sum of its counts.
    pub(super) fn visit(self, mut visit: impl FnMut(Key<'_>, Count)) -> io::Result<()> {
        let mut sorted = self.sorter.into_stream_merger_iter().map_err(io_error)?;
        while let Some((key, count)) = sorted.next().map_err(io_error)? {
            match (Key::parse(key), Count::from_bytes(count)) {
                (Some(key), Some(count)) => visit(key, count),
                _ => return Err(damaged()),
            }
        }
        Ok(())
    }
}

/// Sums up the counts of equal keys.
pub(super) struct Sum;

impl MergeFunction for Sum {
    type Error = io::Error;

    fn merge<'a>(&self, _: &[u8], counts: &[Cow<'a, [u8]>]) -> io::Result<Cow<'a, [u8]>> {
        if let [only] = counts {
            return Ok(only.clone());
        }
        let mut sum = Count::default();
        for count in counts {
            sum.add(Count::from_bytes(count).ok_or_else(damaged)?);
        }
        Ok(Cow::Owned(sum.to_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_went_to_disk_and_counts_in_memory_are_summed_in_byte_order() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let mut spill = Spill::new(0, scratch.path());
        // 40 bytes an entry: more than the 16 MB that the smallest buffer holds.
        const KEYS: u32 = 150_000;
        const ROUNDS: u32 = 4;
        for _ in 0..ROUNDS {
            for key in (0..KEYS).rev() {
                let count = Count {
                    items: 1,
                    case_tells: key % 2,
                };
                spill
                    .insert(format!("\u{1}{key:09}\0").as_bytes(), count)
                    .expect("room on disk");
            }
        }
        let mut next = 0;
        spill
            .visit(|key, count| {
                assert_eq!(key.stem, format!("{next:09}"));
                assert_eq!(
                    count,
                    Count {
                        items: ROUNDS,
                        case_tells: ROUNDS * (next % 2)
                    }
                );
                next += 1;
            })
            .expect("what was written can be read");
        assert_eq!(next, KEYS);
    }
}
