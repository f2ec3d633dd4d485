//! What is sorted on the way: items by id, interactions by user.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use grenad::{MergeFunction, MergerIter, Sorter};
use serde::{Deserialize, Serialize};

use super::rejects::Position;
use crate::dataset::user_hash;
use crate::external_sort::{ScratchFiles, damaged, io_error, sorter};
use crate::history::Interaction;
use crate::item::{Item, ItemIndex};

/// Keys end in the number of the row, so no two are equal, and equal items or interactions come
/// out one after the other in the order in which they came in.
struct Unique;

impl MergeFunction for Unique {
    type Error = io::Error;

    fn merge<'a>(&self, _: &[u8], values: &[Cow<'a, [u8]>]) -> io::Result<Cow<'a, [u8]>> {
        values.first().cloned().ok_or_else(damaged)
    }
}

type Merged = MergerIter<std::fs::File, Unique>;

/// Items on their way to be sorted by id.
pub(super) struct ItemSorter {
    sorter: Sorter<Unique, ScratchFiles>,
    rows: u64,
}

/// An item and where it came from.
#[derive(Serialize, Deserialize)]
pub(super) struct PlacedItem {
    pub item: Item,
    pub file: u32,
    pub line: u64,
}

impl ItemSorter {
    pub fn new(memory: usize, scratch: &Path) -> ItemSorter {
        ItemSorter {
            sorter: sorter(Unique, memory, scratch),
            rows: 0,
        }
    }

    pub fn insert(&mut self, placed: &PlacedItem) -> io::Result<()> {
        let mut key = placed.item.id.as_bytes().to_vec();
        // Ids hold no NUL, so this ends them without changing their order.
        key.push(0);
        key.extend(self.rows.to_be_bytes());
        self.rows += 1;
        self.sorter
            .insert(key, serde_json::to_vec(placed)?)
            .map_err(io_error)
    }

    /// All items in byte order of their ids, equal ids in the order of the input.
    pub fn finish(self) -> io::Result<SortedItems> {
        Ok(SortedItems {
            rows: self.rows,
            merged: self.sorter.into_stream_merger_iter().map_err(io_error)?,
        })
    }
}

/// Items, sorted.
pub(super) struct SortedItems {
    rows: u64,
    merged: Merged,
}

impl SortedItems {
    /// How many there are, equal ones included.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// The next item.
    pub fn next(&mut self) -> io::Result<Option<PlacedItem>> {
        let Some((_, value)) = self.merged.next().map_err(io_error)? else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_slice(value)?))
    }
}

/// Interactions on their way to be sorted by (hash of the user, user, time, item).
pub(super) struct InteractionSorter {
    sorter: Sorter<Unique, ScratchFiles>,
    rows: u64,
    key: Vec<u8>,
}

/// An interaction, its user, and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlacedInteraction {
    pub user: String,
    pub interaction: Interaction,
    pub position: Position,
}

impl InteractionSorter {
    pub fn new(memory: usize, scratch: &Path) -> InteractionSorter {
        InteractionSorter {
            sorter: sorter(Unique, memory, scratch),
            rows: 0,
            key: Vec::new(),
        }
    }

    pub fn insert(&mut self, placed: &PlacedInteraction) -> io::Result<()> {
        let Interaction {
            item,
            timestamp,
            weight,
        } = placed.interaction;
        self.key.clear();
        self.key.extend(user_hash(&placed.user).to_be_bytes());
        self.key.extend(placed.user.as_bytes());
        self.key.push(0);
        // With the sign flipped, the bytes of a number are in the order of the numbers.
        self.key.extend((timestamp ^ i64::MIN).to_be_bytes());
        self.key.extend(item.0.to_be_bytes());
        self.key.extend(self.rows.to_be_bytes());
        self.rows += 1;
        let mut value = [0; 16];
        value[..4].copy_from_slice(&weight.to_le_bytes());
        value[4..8].copy_from_slice(&placed.position.file.to_le_bytes());
        value[8..].copy_from_slice(&placed.position.line.to_le_bytes());
        self.sorter.insert(&self.key, value).map_err(io_error)
    }

    /// How many interactions there are.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// All interactions, sorted; equal ones in the order of the input.
    pub fn finish(self) -> io::Result<SortedInteractions> {
        let merged = self.sorter.into_stream_merger_iter().map_err(io_error)?;
        Ok(SortedInteractions(merged))
    }
}

/// Interactions, sorted.
pub(super) struct SortedInteractions(Merged);

impl SortedInteractions {
    /// The next interaction, and how many came before it in the input.
    pub fn next(&mut self) -> io::Result<Option<(PlacedInteraction, u64)>> {
        let Some((key, value)) = self.0.next().map_err(io_error)? else {
            return Ok(None);
        };
        decode(key, value).map(Some).ok_or_else(damaged)
    }
}

fn decode(key: &[u8], value: &[u8]) -> Option<(PlacedInteraction, u64)> {
    let (_, rest) = key.split_at_checked(8)?;
    let end = rest.len().checked_sub(8 + 4 + 8 + 1)?;
    let (user, tail) = rest.split_at_checked(end)?;
    let tail = tail.get(1..)?;
    let timestamp = i64::from_be_bytes(tail.get(..8)?.try_into().ok()?) ^ i64::MIN;
    let item = ItemIndex(u32::from_be_bytes(tail.get(8..12)?.try_into().ok()?));
    let row = u64::from_be_bytes(tail.get(12..20)?.try_into().ok()?);
    let weight = f32::from_le_bytes(value.get(..4)?.try_into().ok()?);
    let file = u32::from_le_bytes(value.get(4..8)?.try_into().ok()?);
    let line = u64::from_le_bytes(value.get(8..16)?.try_into().ok()?);
    let placed = PlacedInteraction {
        user: String::from_utf8(user.to_vec()).ok()?,
        interaction: Interaction {
            item,
            timestamp,
            weight,
        },
        position: Position { file, line },
    };
    Some((placed, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interactions_come_out_by_user_and_time_even_before_1970() {
        let scratch = tempfile::tempdir().unwrap();
        let mut sorter = InteractionSorter::new(0, scratch.path());
        for (user, timestamp, item) in [
            ("b", 5, 1),
            ("a", 7, 0),
            ("a", -3, 9),
            ("a", 7, 0),
            ("b", 5, 0),
        ] {
            let interaction = Interaction {
                item: ItemIndex(item),
                timestamp,
                weight: 1.0,
            };
            let position = Position { file: 0, line: 1 };
            sorter
                .insert(&PlacedInteraction {
                    user: user.into(),
                    interaction,
                    position,
                })
                .unwrap();
        }
        let mut sorted = sorter.finish().unwrap();
        let mut seen = Vec::new();
        while let Some((placed, row)) = sorted.next().unwrap() {
            let Interaction {
                item, timestamp, ..
            } = placed.interaction;
            seen.push((placed.user, timestamp, item.0, row));
        }
        let a = [("a", -3, 9, 2), ("a", 7, 0, 1), ("a", 7, 0, 3)];
        let b = [("b", 5, 0, 4), ("b", 5, 1, 0)];
        let by_hash = if user_hash("a") < user_hash("b") {
            [&a[..], &b[..]]
        } else {
            [&b[..], &a[..]]
        };
        let expected: Vec<_> = by_hash
            .concat()
            .into_iter()
            .map(|(u, t, i, row)| (u.to_owned(), t, i, row))
            .collect();
        assert_eq!(seen, expected);
    }
}
