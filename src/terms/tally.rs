//! Counts of terms and of the forms in which they are written.

use std::collections::HashMap;

use super::Analyser;
use crate::item::Item;

/// In how many items something occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// In how many at all.
    pub(super) items: u32,
    /// In how many with capitals that were a choice.
    pub(super) case_tells: u32,
}

impl Count {
    pub(super) fn add(&mut self, other: Count) {
        self.items = self.items.saturating_add(other.items);
        self.case_tells = self.case_tells.saturating_add(other.case_tells);
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.items) << 32 | u64::from(self.case_tells)).to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Count> {
        let both = u64::from_le_bytes(bytes.try_into().ok()?);
        Some(Count {
            items: (both >> 32) as u32,
            case_tells: both as u32,
        })
    }
}

/// Whether a key counts a word or a bigram. Words sort first, so that a sorted pass knows how
/// frequent the words are when it comes to the pairs of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word = 1,
    Bigram = 2,
}

/// What is counted: a term, or one written form of a term.
///
/// As bytes: the kind, the stem, a zero, the written form. The empty form stands for the term as a
/// whole and sorts first. No stem has a zero in it, as words consist of letters, digits and marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) kind: Kind,
    pub(super) stem: &'a str,
    pub(super) surface: &'a str,
}

impl<'a> Key<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Key<'a>> {
        let (&kind, rest) = bytes.split_first()?;
        let kind = match kind {
            1 => Kind::Word,
            2 => Kind::Bigram,
            _ => return None,
        };
        let (stem, surface) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
        Some(Key {
            kind,
            stem,
            surface,
        })
    }
}

/// Counts by key, in memory.
#[derive(Default)]
pub(super) struct Tally {
    counts: HashMap<Box<[u8]>, Entry>,
}

#[derive(Default)]
struct Entry {
    count: Count,
    /// Number, from 1, of the last item counted, in the order of this table.
    last_item: u32,
    last_telling_item: u32,
}

impl Tally {
    /// Counts some items.
    pub(super) fn of(items: &[Item], analyser: &Analyser) -> Tally {
        let mut tally = Tally::default();
        let mut key = Vec::new();
        for (number, item) in (1..).zip(items) {
            let analysis = analyser.analyse(item);
            for token in analysis.tokens() {
                start_key(&mut key, Kind::Word, &[token.stem]);
                tally.note(&key, number, false);
                key.extend_from_slice(token.surface.as_bytes());
                tally.note(&key, number, token.case_tells);
            }
            for pair in analysis.pairs() {
                start_key(
                    &mut key,
                    Kind::Bigram,
                    &[pair.first.stem, " ", pair.second.stem],
                );
                tally.note(&key, number, false);
                for part in [pair.first.surface, pair.joint(), pair.second.surface] {
                    key.extend_from_slice(part.as_bytes());
                }
                tally.note(
                    &key,
                    number,
                    pair.first.case_tells && pair.second.case_tells,
                );
            }
        }
        tally
    }

    /// Counts a key once for each item it occurs in.
    fn note(&mut self, key: &[u8], item: u32, case_tells: bool) {
        let entry = match self.counts.get_mut(key) {
            Some(entry) => entry,
            None => self.counts.entry(key.into()).or_default(),
        };
        if entry.last_item != item {
            entry.last_item = item;
            entry.count.items += 1;
        }
        if case_tells && entry.last_telling_item != item {
            entry.last_telling_item = item;
            entry.count.case_tells += 1;
        }
    }

    /// All counts, in no order.
    pub(super) fn into_counts(self) -> impl Iterator<Item = (Box<[u8]>, Count)> {
        self.counts
            .into_iter()
            .map(|(key, entry)| (key, entry.count))
    }
}

fn start_key(key: &mut Vec<u8>, kind: Kind, stems: &[&str]) {
    key.clear();
    key.push(kind as u8);
    for stem in stems {
        key.extend_from_slice(stem.as_bytes());
    }
    key.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::SalienceParams;

    fn count(tally: &Tally, kind: Kind, stem: &str, surface: &str) -> Count {
        tally
            .counts
            .iter()
            .find(|(key, _)| {
                Key::parse(key)
                    == Some(Key {
                        kind,
                        stem,
                        surface,
                    })
            })
            .map(|(_, entry)| entry.count)
            .unwrap_or_default()
    }

    #[test]
    fn a_term_counts_once_for_each_item_however_often_it_stands_in_it() {
        let analyser = Analyser::new(&SalienceParams::default());
        let item = |title: &str| Item {
            title: title.into(),
            ..Item::default()
        };
        let items = [item("cats and cats, black cats"), item("black  cat")];
        let tally = Tally::of(&items, &analyser);
        assert_eq!(count(&tally, Kind::Word, "cat", "").items, 2);
        assert_eq!(count(&tally, Kind::Word, "cat", "cats").items, 1);
        assert_eq!(count(&tally, Kind::Bigram, "black cat", "").items, 2);
        assert_eq!(
            count(&tally, Kind::Bigram, "black cat", "black cat").items,
            1
        );
    }

    #[test]
    fn a_count_survives_the_way_through_bytes() {
        let count = Count {
            items: 7,
            case_tells: u32::MAX,
        };
        assert_eq!(Count::from_bytes(&count.to_bytes()), Some(count));
        assert_eq!(Count::from_bytes(&[1, 2, 3]), None);
    }
}
