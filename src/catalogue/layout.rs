//! Where everything stands in the file.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::record::record_length;
use crate::terms::TERMS_PER_ITEM;

/// What a catalogue starts with.
const MAGIC: [u8; 8] = *b"SJRNCAT\0";

/// Counts up whenever a reader of the version before would misread the file.
const VERSION: u32 = 1;

/// Sections start at multiples of a cache line, so that a term record of 64 bytes (of 12 terms) lies
/// in one.
const ALIGNMENT: u64 = 64;

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Records,
    Popularities,
    IdEnds,
    Ids,
    TitleEnds,
    Titles,
    DocumentFrequencies,
    TermEnds,
    Terms,
    SurfaceEnds,
    Surfaces,
}

impl Section {
    /// All of them, in the order of the file.
    pub(super) const ALL: [Section; 11] = [
        Section::Records,
        Section::Popularities,
        Section::IdEnds,
        Section::Ids,
        Section::TitleEnds,
        Section::Titles,
        Section::DocumentFrequencies,
        Section::TermEnds,
        Section::Terms,
        Section::SurfaceEnds,
        Section::Surfaces,
    ];

    /// What it is called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Section::Records => "term records",
            Section::Popularities => "popularities",
            Section::IdEnds => "ends of item ids",
            Section::Ids => "item ids",
            Section::TitleEnds => "ends of titles",
            Section::Titles => "titles",
            Section::DocumentFrequencies => "document frequencies",
            Section::TermEnds => "ends of terms",
            Section::Terms => "terms",
            Section::SurfaceEnds => "ends of surfaces",
            Section::Surfaces => "surfaces",
        }
    }
}

/// How much of everything a catalogue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) terms_per_item: usize,
    pub(super) items: u64,
    pub(super) terms: u64,
}

impl Counts {
    /// Bytes of a section where the counts alone decide it.
    fn length(self, section: Section) -> Option<u64> {
        let (of, each) = match section {
            Section::Records => (self.items, record_length(self.terms_per_item) as u64),
            Section::Popularities => (self.items, 4),
            Section::IdEnds | Section::TitleEnds => (self.items, 8),
            Section::DocumentFrequencies => (self.terms, 4),
            Section::TermEnds | Section::SurfaceEnds => (self.terms, 8),
            Section::Ids | Section::Titles | Section::Terms | Section::Surfaces => return None,
        };
        of.checked_mul(each)
    }
}

/// Size and checksum of a section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) length: u64,
    pub(super) checksum: u64,
}

/// What is wrong with a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// It is not one of ours, or of another version.
    Foreign(String),
    /// It is one of ours, but changed or cut.
    Damaged(String),
}

/// The start of the file: what there is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) counts: Counts,
    pub(super) extents: [Extent; Section::ALL.len()],
}

/// Bytes of a header.
pub(super) const HEADER_LENGTH: usize = 48 + Section::ALL.len() * 24 + 8;

impl Header {
    /// Where the sections lie; none if they do not fit into 64 bits.
    pub(super) fn ranges(&self) -> Option<[Range<u64>; Section::ALL.len()]> {
        let mut end = HEADER_LENGTH as u64;
        let mut ranges = [const { 0..0 }; Section::ALL.len()];
        for (range, extent) in ranges.iter_mut().zip(&self.extents) {
            let start = end.checked_next_multiple_of(ALIGNMENT)?;
            end = start.checked_add(extent.length)?;
            *range = start..end;
        }
        Some(ranges)
    }

    /// The header as it stands in the file; none if the file would not fit into 64 bits.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let ranges = self.ranges()?;
        let mut bytes = Vec::with_capacity(HEADER_LENGTH);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((HEADER_LENGTH as u32).to_le_bytes());
        bytes.extend((self.counts.terms_per_item as u32).to_le_bytes());
        bytes.extend((record_length(self.counts.terms_per_item) as u32).to_le_bytes());
        bytes.extend(self.counts.items.to_le_bytes());
        bytes.extend(self.counts.terms.to_le_bytes());
        bytes.extend(ranges.last()?.end.to_le_bytes());
        for (range, extent) in ranges.iter().zip(&self.extents) {
            bytes.extend(range.start.to_le_bytes());
            bytes.extend(extent.length.to_le_bytes());
            bytes.extend(extent.checksum.to_le_bytes());
        }
        let checksum = xxh3_64(&bytes);
        bytes.extend(checksum.to_le_bytes());
        Some(bytes)
    }

    /// Reads the header of a file. What it returns has been checked: the sections have the lengths
    /// that the counts ask for, and together with the header they are the file.
    pub(super) fn parse(file: &[u8]) -> Result<Header, HeaderFault> {
        let mut fields = Fields { rest: file };
        if fields.take() != Some(MAGIC) {
            return Err(HeaderFault::Foreign(format!(
                "its first bytes are not {MAGIC:?}"
            )));
        }
        let version = fields.u32()?;
        if version != VERSION {
            return Err(HeaderFault::Foreign(format!(
                "it has format version {version}, expected {VERSION}"
            )));
        }
        let Some(bytes) = file.get(..HEADER_LENGTH) else {
            return Err(cut_off(file.len()));
        };
        let (summed, checksum) = bytes.split_at(HEADER_LENGTH - 8);
        if checksum != xxh3_64(summed).to_le_bytes() {
            return Err(HeaderFault::Damaged(
                "its checksum does not fit its bytes".into(),
            ));
        }

        let header_length = fields.u32()?;
        let terms_per_item = fields.u32()? as usize;
        let record = fields.u32()?;
        let counts = Counts {
            terms_per_item,
            items: fields.u64()?,
            terms: fields.u64()?,
        };
        let file_length = fields.u64()?;
        let mut extents = [Extent::default(); Section::ALL.len()];
        let mut starts = [0; Section::ALL.len()];
        for (extent, start) in extents.iter_mut().zip(&mut starts) {
            *start = fields.u64()?;
            *extent = Extent {
                length: fields.u64()?,
                checksum: fields.u64()?,
            };
        }

        if !TERMS_PER_ITEM.contains(&terms_per_item)
            || record as usize != record_length(terms_per_item)
            || header_length as usize != HEADER_LENGTH
        {
            return Err(HeaderFault::Damaged(format!(
                "{terms_per_item} terms an item in records of {record} bytes behind a header of \
                 {header_length} are no layout of version {VERSION}"
            )));
        }
        // Positions are u32, and the last one marks an empty slot.
        if counts.items >= u64::from(u32::MAX) || counts.terms >= u64::from(u32::MAX) {
            return Err(HeaderFault::Damaged(format!(
                "{} items and {} terms are more than {} of each",
                counts.items,
                counts.terms,
                u32::MAX - 1
            )));
        }
        let header = Header { counts, extents };
        let Some(ranges) = header.ranges() else {
            return Err(HeaderFault::Damaged(
                "its sections are longer than 64 bits".into(),
            ));
        };
        for ((section, range), (extent, start)) in Section::ALL
            .iter()
            .zip(&ranges)
            .zip(extents.iter().zip(starts))
        {
            let expected = counts.length(*section);
            if range.start != start || expected.is_some_and(|length| length != extent.length) {
                return Err(HeaderFault::Damaged(format!(
                    "section {} is said to be {} bytes from {start}, expected {} from {}",
                    section.name(),
                    extent.length,
                    expected.unwrap_or(extent.length),
                    range.start,
                )));
            }
        }
        let end = ranges.last().map_or(0, |range| range.end);
        if file_length != end || file.len() as u64 != end {
            return Err(HeaderFault::Damaged(format!(
                "the file has {} bytes, expected {end}; it was cut or something was appended",
                file.len()
            )));
        }
        Ok(header)
    }
}

fn cut_off(length: usize) -> HeaderFault {
    HeaderFault::Damaged(format!(
        "the file ends after {length} bytes, inside of the header"
    ))
}

/// Reads numbers one after the other.
struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Result<u32, HeaderFault> {
        self.take()
            .map(u32::from_le_bytes)
            .ok_or_else(|| cut_off(0))
    }

    fn u64(&mut self) -> Result<u64, HeaderFault> {
        self.take()
            .map(u64::from_le_bytes)
            .ok_or_else(|| cut_off(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let counts = Counts {
            terms_per_item: 12,
            items: 3,
            terms: 2,
        };
        let extents = Section::ALL.map(|section| Extent {
            length: counts.length(section).unwrap_or(5),
            checksum: section as u64,
        });
        Header { counts, extents }
    }

    fn file(header: &Header) -> Vec<u8> {
        let mut file = header.to_bytes().expect("it is small");
        let end = header.ranges().expect("it is small")[Section::ALL.len() - 1].end;
        file.resize(end as usize, 0);
        file
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        assert_eq!(Header::parse(&file(&header())), Ok(header()));
    }

    #[test]
    fn sections_start_at_cache_lines_and_the_header_has_its_documented_size() {
        assert_eq!(HEADER_LENGTH, 320);
        for range in header().ranges().expect("it is small") {
            assert_eq!(range.start % ALIGNMENT, 0);
        }
    }

    #[test]
    fn a_file_of_another_kind_or_version_is_foreign() {
        assert!(matches!(
            Header::parse(b"PAR1"),
            Err(HeaderFault::Foreign(_))
        ));
        assert!(matches!(Header::parse(b""), Err(HeaderFault::Foreign(_))));
        let mut newer = file(&header());
        newer[8] = 2;
        assert!(
            matches!(Header::parse(&newer), Err(HeaderFault::Foreign(reason)) if reason.contains("version 2"))
        );
    }

    #[test]
    fn lengths_that_overflow_are_refused_though_the_checksum_fits() {
        for extent in 0..Section::ALL.len() {
            let mut hostile = header();
            hostile.extents[extent].length = u64::MAX - 100;
            assert_eq!(hostile.to_bytes(), None);
        }
        let mut hostile = header();
        hostile.counts.items = u64::from(u32::MAX);
        assert!(matches!(
            Header::parse(&file(&hostile)),
            Err(HeaderFault::Damaged(_))
        ));
        let mut hostile = header();
        hostile.counts.terms_per_item = 1_000;
        assert!(matches!(
            Header::parse(&file(&hostile)),
            Err(HeaderFault::Damaged(_))
        ));
    }
}
