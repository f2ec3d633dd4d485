//! Reading a catalogue.

use std::cmp::Ordering;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use xxhash_rust::xxh3::xxh3_64;

use super::CatalogueError;
use super::layout::{Counts, Header, HeaderFault, Section};
use super::record::{Record, record_length};
use crate::item::ItemIndex;
use crate::terms::TermId;

/// A catalogue, mapped into memory.
///
/// [`Catalogue::open`] has checked all of the file, so what the methods return is what was written.
/// They check again what they touch, and return what their docs say for a missing item or term:
/// even a file that is changed while it is mapped cannot make them read outside of it.
#[derive(Debug)]
pub struct Catalogue {
    map: Mmap,
    counts: Counts,
    ranges: [Range<usize>; Section::ALL.len()],
}

impl Catalogue {
    /// Maps the file and checks it from end to end: header, checksums, order, text, terms.
    ///
    /// The file must not be cut while it is mapped (the system would end the process); a dataset
    /// is never changed once it is written.
    pub fn open(path: &Path) -> Result<Catalogue, CatalogueError> {
        let failed = |source| CatalogueError::Io {
            action: "open",
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        // SAFETY: the file is part of a dataset, which nobody changes once it is written; and all
        // of it is read as plain bytes, so that a change would give wrong values, not wrong memory.
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        let damaged = |section, reason| CatalogueError::Damaged {
            path: path.to_owned(),
            section,
            reason,
        };
        let header = Header::parse(&map).map_err(|fault| match fault {
            HeaderFault::Foreign(reason) => CatalogueError::Foreign {
                path: path.to_owned(),
                reason,
            },
            HeaderFault::Damaged(reason) => damaged("header", reason),
        })?;
        let ranges = header
            .ranges()
            .unwrap_or_default()
            .map(|range| range.start as usize..range.end as usize);
        let catalogue = Catalogue {
            map,
            counts: header.counts,
            ranges,
        };
        for (section, extent) in Section::ALL.into_iter().zip(header.extents) {
            if xxh3_64(catalogue.section(section)) != extent.checksum {
                let reason = "its checksum does not fit its bytes".to_owned();
                return Err(damaged(section.name(), reason));
            }
        }
        match catalogue.fault() {
            Some((section, reason)) => Err(damaged(section.name(), reason)),
            None => Ok(catalogue),
        }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.counts.items as usize
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of an item; empty for an item that is not in the catalogue.
    pub fn item_id(&self, item: ItemIndex) -> &str {
        self.ids().get(item.position()).unwrap_or("")
    }

    /// The item with this id.
    pub fn find(&self, id: &str) -> Option<ItemIndex> {
        let ids = self.ids();
        let mut low = 0;
        let mut high = self.len();
        while low < high {
            let middle = low + (high - low) / 2;
            // Bytes compare as the ids do, and need no check for UTF-8.
            match ids.bytes_at(middle)?.cmp(id.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(ItemIndex(middle as u32)),
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The title of an item; empty for an item that is not in the catalogue.
    pub fn title(&self, item: ItemIndex) -> &str {
        self.titles().get(item.position()).unwrap_or("")
    }

    /// The terms of an item with weights of unit norm, in descending order of weight, no term twice;
    /// none for an item that is not in the catalogue.
    pub fn terms(&self, item: ItemIndex) -> impl Iterator<Item = (TermId, f32)> + '_ {
        self.record(item.position())
            .into_iter()
            .flat_map(Record::terms)
    }

    /// [`Catalogue::terms`] of each of some items, which lie anywhere in the catalogue. A little of all
    /// of them is read first, so that they are in the processor's cache by then: one after the other
    /// they would be waited for one by one.
    pub fn gather(
        &self,
        items: impl Iterator<Item = ItemIndex> + Clone,
    ) -> impl Iterator<Item = impl Iterator<Item = (TermId, f32)> + '_> {
        let records = items.clone();
        warmed(records.filter_map(|item| self.record_bytes(item.position())));
        items.map(|item| self.terms(item))
    }

    /// Reads a little of the ids and titles of some items, likewise, before they are asked for.
    pub(crate) fn warm_texts(&self, items: impl Iterator<Item = ItemIndex> + Clone) {
        for strings in [self.ids(), self.titles()] {
            let places = items.clone().map(|item| item.position());
            warmed(
                places
                    .clone()
                    .filter_map(|place| strings.ends.get(place).map(|end| &end[..])),
            );
            warmed(places.filter_map(|place| strings.bytes_at(place)));
        }
    }

    /// The term in the form that is written most, for display. Empty for a term that is not in
    /// the catalogue.
    pub fn surface(&self, term: TermId) -> &str {
        self.surfaces().get(term.position()).unwrap_or("")
    }

    fn section(&self, section: Section) -> &[u8] {
        self.map
            .get(self.ranges[section as usize].clone())
            .unwrap_or_default()
    }

    fn record_bytes(&self, item: usize) -> Option<&[u8]> {
        let length = record_length(self.counts.terms_per_item);
        let start = item.checked_mul(length)?;
        self.section(Section::Records)
            .get(start..start.checked_add(length)?)
    }

    fn record(&self, item: usize) -> Option<Record<'_>> {
        Record::parse(self.record_bytes(item)?, self.counts.terms_per_item)
    }

    fn ids(&self) -> StringTable<'_> {
        self.strings(Section::IdEnds, Section::Ids)
    }

    fn titles(&self) -> StringTable<'_> {
        self.strings(Section::TitleEnds, Section::Titles)
    }

    fn stems(&self) -> StringTable<'_> {
        self.strings(Section::TermEnds, Section::Terms)
    }

    fn surfaces(&self) -> StringTable<'_> {
        self.strings(Section::SurfaceEnds, Section::Surfaces)
    }

    fn strings(&self, ends: Section, bytes: Section) -> StringTable<'_> {
        StringTable {
            ends: self.section(ends).as_chunks().0,
            bytes: self.section(bytes),
        }
    }

    /// What is wrong inside of the sections.
    fn fault(&self) -> Option<(Section, String)> {
        for item in 0..self.len() {
            let fault = match self.record(item) {
                Some(record) => record.fault(self.counts.terms),
                None => Some("it is missing".to_owned()),
            };
            if let Some(fault) = fault {
                return Some((
                    Section::Records,
                    format!("in the record of item {item} {fault}"),
                ));
            }
        }
        let tables = [
            (Section::Ids, self.ids(), true),
            (Section::Titles, self.titles(), false),
            (Section::Terms, self.stems(), true),
            (Section::Surfaces, self.surfaces(), false),
        ];
        tables
            .into_iter()
            .find_map(|(section, strings, ascending)| {
                strings.fault(ascending).map(|fault| (section, fault))
            })
    }
}

/// What is in the file though no process asks for it yet, for tests of what was written.
#[cfg(test)]
impl Catalogue {
    pub(super) fn popularity(&self, item: ItemIndex) -> Option<f32> {
        let popularities = self.section(Section::Popularities).as_chunks().0;
        let popularity = f32::from_le_bytes(*popularities.get(item.position())?);
        (!popularity.is_nan()).then_some(popularity)
    }

    /// The term in the form that is matched: stems, a space between two.
    pub(super) fn term(&self, term: TermId) -> &str {
        self.stems().get(term.position()).unwrap_or("")
    }

    pub(super) fn document_frequency(&self, term: TermId) -> u32 {
        let frequencies = self.section(Section::DocumentFrequencies).as_chunks().0;
        frequencies
            .get(term.position())
            .map_or(0, |&frequency| u32::from_le_bytes(frequency))
    }

    pub(super) fn vocabulary_len(&self) -> usize {
        self.counts.terms as usize
    }
}

/// Reads the first and the last byte of each of these. The items of a history lie anywhere in the
/// catalogue, and each that is not in the processor's cache is waited for; but as these reads do not
/// hang on each other, it has a dozen of them under way at once.
fn warmed<'a>(places: impl Iterator<Item = &'a [u8]>) {
    let ends = places.map(|bytes| bytes.first().unwrap_or(&0) ^ bytes.last().unwrap_or(&0));
    std::hint::black_box(ends.fold(0, |all, of| all ^ of));
}

/// Strings one after the other, with the place where each ends.
#[derive(Clone, Copy)]
struct StringTable<'a> {
    ends: &'a [[u8; 8]],
    bytes: &'a [u8],
}

impl<'a> StringTable<'a> {
    fn bytes_at(self, position: usize) -> Option<&'a [u8]> {
        let end = |position: usize| {
            self.ends
                .get(position)
                .and_then(|&end| usize::try_from(u64::from_le_bytes(end)).ok())
        };
        let start = match position.checked_sub(1) {
            Some(before) => end(before)?,
            None => 0,
        };
        self.bytes.get(start..end(position)?)
    }

    fn get(self, position: usize) -> Option<&'a str> {
        std::str::from_utf8(self.bytes_at(position)?).ok()
    }

    /// What is wrong with the table, which may have to be in strictly ascending byte order.
    fn fault(self, ascending: bool) -> Option<String> {
        let mut before: Option<&[u8]> = None;
        for position in 0..self.ends.len() {
            let Some(bytes) = self.bytes_at(position) else {
                return Some(format!(
                    "string {position} ends before it starts or beyond the last"
                ));
            };
            if std::str::from_utf8(bytes).is_err() {
                return Some(format!("string {position} is not UTF-8"));
            }
            if ascending && before.is_some_and(|before| before >= bytes) {
                return Some(format!("string {position} is not above the one before it"));
            }
            before = Some(bytes);
        }
        let end = self.ends.last().map_or(0, |&end| u64::from_le_bytes(end));
        let length = self.bytes.len() as u64;
        (end != length).then(|| format!("its strings end at {end}, expected {length}"))
    }
}
