//! Writing a catalogue.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::CatalogueError;
use super::layout::{Counts, Header, Section};
use super::record::{Record, record_length, write_record};
use super::sections::{SectionFile, StringSections};
use crate::item::Item;
use crate::terms::strings::Strings;
use crate::terms::{
    Analyser, QuantisedVector, RelatedCounter, RelatedTerms, Salience, SalienceParams, TermId,
    TermVector, Vocabulary,
};

/// Most items: positions are `u32`, and the last one is kept for "none".
const MOST_ITEMS: u64 = u32::MAX as u64 - 1;

/// Records that get their related terms at a time: enough for all threads to have work.
const RECORDS_AT_ONCE: usize = 4_096;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueSummary {
    /// Items in the catalogue.
    pub items: u64,
    /// Items among them that have no term: nothing in their text is shared with another item.
    pub without_terms: u64,
    /// Terms in the vocabulary.
    pub terms: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Writes a catalogue, one batch of items after the other, in memory that does not grow with
/// the number of items.
pub struct CatalogueWriter<'v> {
    path: PathBuf,
    scratch: PathBuf,
    vocabulary: &'v Vocabulary,
    salience: &'v Salience,
    analyser: Analyser,
    /// Of the items' own terms.
    records: SectionFile,
    /// What goes together, unless nothing is to be made of it.
    related: Option<RelatedCounter>,
    popularities: SectionFile,
    ids: StringSections,
    titles: StringSections,
    last_id: Option<String>,
    items: u64,
    without_terms: u64,
}

impl<'v> CatalogueWriter<'v> {
    /// Starts a catalogue that will stand at `path` once it is finished; until then nothing
    /// stands there. `scratch` takes unnamed files of about the size of the catalogue.
    pub fn create(
        path: &Path,
        vocabulary: &'v Vocabulary,
        salience: &'v Salience,
        scratch: &Path,
    ) -> Result<CatalogueWriter<'v>, CatalogueError> {
        let params = salience.params();
        params.validate()?;
        let open = || -> io::Result<_> {
            Ok(CatalogueWriter {
                path: path.to_owned(),
                scratch: scratch.to_owned(),
                vocabulary,
                salience,
                analyser: Analyser::new(params),
                records: SectionFile::create(scratch)?,
                related: (params.related_share > 0.0).then(|| {
                    RelatedCounter::new(vocabulary.stats().items, vocabulary.len(), scratch)
                }),
                popularities: SectionFile::create(scratch)?,
                ids: StringSections::create(scratch)?,
                titles: StringSections::create(scratch)?,
                last_id: None,
                items: 0,
                without_terms: 0,
            })
        };
        open().map_err(|source| CatalogueError::Io {
            action: "make scratch files in",
            path: scratch.to_owned(),
            source,
        })
    }

    /// Adds a batch of items, in strictly ascending order of ids, over all batches.
    ///
    /// After an error the writer is of no use any more.
    pub fn add(&mut self, batch: &[Item]) -> Result<(), CatalogueError> {
        let vectors: Vec<QuantisedVector> = batch
            .par_iter()
            .map(|item| {
                let analysis = self.analyser.analyse(item);
                QuantisedVector::of(&TermVector::of(&analysis, self.vocabulary, self.salience))
            })
            .collect();
        self.add_vectors(batch, &vectors)
    }

    /// Adds a batch of items without their terms, likewise: a catalogue to look up items in.
    pub fn add_without_terms(&mut self, batch: &[Item]) -> Result<(), CatalogueError> {
        let none = QuantisedVector::of(&TermVector::default());
        self.add_vectors(batch, &vec![none; batch.len()])
    }

    fn add_vectors(
        &mut self,
        batch: &[Item],
        vectors: &[QuantisedVector],
    ) -> Result<(), CatalogueError> {
        self.check_order(batch)?;
        self.items += batch.len() as u64;
        if self.items > MOST_ITEMS {
            return Err(CatalogueError::TooManyItems { limit: MOST_ITEMS });
        }
        self.append(batch, vectors)
            .map_err(|source| CatalogueError::Io {
                action: "write scratch files in",
                path: self.scratch.clone(),
                source,
            })
    }

    fn check_order(&mut self, batch: &[Item]) -> Result<(), CatalogueError> {
        let mut previous = self.last_id.as_deref();
        for item in batch {
            if let Some(previous) = previous.filter(|&previous| previous >= item.id.as_str()) {
                return Err(CatalogueError::OutOfOrder {
                    id: item.id.clone(),
                    previous: previous.to_owned(),
                });
            }
            previous = Some(&item.id);
        }
        self.last_id = previous.map(str::to_owned);
        Ok(())
    }

    fn append(&mut self, batch: &[Item], vectors: &[QuantisedVector]) -> io::Result<()> {
        let mut record = Vec::new();
        for (item, vector) in batch.iter().zip(vectors) {
            record.clear();
            write_record(vector, self.salience.params().terms_per_item, &mut record);
            self.records.append(&record)?;
            if let Some(related) = &mut self.related {
                related.add(vector.terms().map(|(term, _)| term))?;
            }
            self.popularities
                .append(&item.popularity.unwrap_or(f32::NAN).to_le_bytes())?;
            self.ids.append(&item.id)?;
            self.titles.append(&item.title)?;
            self.without_terms += u64::from(vector.terms().next().is_none());
        }
        Ok(())
    }

    /// Puts the file together and moves it to its place. The related terms of all items are looked up
    /// first; `advance` is told of how many, now and then.
    pub fn finish(
        mut self,
        mut advance: impl FnMut(u64),
    ) -> Result<CatalogueSummary, CatalogueError> {
        let counted = self.vocabulary.stats().items;
        if self.items != counted {
            return Err(CatalogueError::ItemsDiffer {
                written: self.items,
                counted,
            });
        }
        if let Some(related) = self.related.take() {
            let widened = related.finish().and_then(|related| {
                widened(
                    self.records,
                    &related,
                    self.salience.params(),
                    &self.scratch,
                    &mut advance,
                )
            });
            self.records = widened.map_err(|source| CatalogueError::Io {
                action: "write scratch files in",
                path: self.scratch.clone(),
                source,
            })?;
        }
        let path = self.path.clone();
        let mut summary = CatalogueSummary {
            items: self.items,
            without_terms: self.without_terms,
            terms: self.vocabulary.len() as u64,
            bytes: 0,
        };
        // Beside its final place, so that moving it there is one step of one file system.
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let written = self.assemble(&partial).and_then(|bytes| {
            summary.bytes = bytes;
            fs::rename(&partial, &path)
        });
        written.map_err(|source| {
            // The first error is the one to report; what is left behind is named as unfinished.
            let _ = fs::remove_file(&partial);
            CatalogueError::Io {
                action: "write",
                path,
                source,
            }
        })?;
        Ok(summary)
    }

    fn assemble(self, path: &Path) -> io::Result<u64> {
        let mut frequencies = SectionFile::create(&self.scratch)?;
        for frequency in self.vocabulary.document_frequencies() {
            frequencies.append(&frequency.to_le_bytes())?;
        }
        let terms = strings(self.vocabulary.stems(), &self.scratch)?;
        let surfaces = strings(self.vocabulary.surfaces(), &self.scratch)?;
        let counts = Counts {
            terms_per_item: self.salience.params().terms_per_item,
            items: self.items,
            terms: self.vocabulary.len() as u64,
        };
        let sections: [SectionFile; Section::ALL.len()] = [
            self.records,
            self.popularities,
            self.ids.ends,
            self.ids.bytes,
            self.titles.ends,
            self.titles.bytes,
            frequencies,
            terms.ends,
            terms.bytes,
            surfaces.ends,
            surfaces.bytes,
        ];

        let header = Header {
            counts,
            extents: sections.each_ref().map(SectionFile::extent),
        };
        let too_long = || io::Error::from(io::ErrorKind::FileTooLarge);
        let ranges = header.ranges().ok_or_else(too_long)?;
        let mut file = BufWriter::new(File::create(path)?);
        let head = header.to_bytes().ok_or_else(too_long)?;
        file.write_all(&head)?;
        let mut end = head.len() as u64;
        for (section, range) in sections.into_iter().zip(&ranges) {
            io::copy(
                &mut io::Read::take(io::repeat(0), range.start - end),
                &mut file,
            )?;
            section.copy_to(&mut file)?;
            end = range.end;
        }
        file.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        Ok(end)
    }
}

/// Records of the items' own terms, with those that they go together with.
fn widened(
    records: SectionFile,
    related: &RelatedTerms,
    params: &SalienceParams,
    scratch: &Path,
    advance: &mut impl FnMut(u64),
) -> io::Result<SectionFile> {
    let length = record_length(params.terms_per_item);
    let mut file = records.into_file()?;
    let mut widened = SectionFile::create(scratch)?;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let most = (RECORDS_AT_ONCE * length) as u64;
        io::Read::take(&mut file, most).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(widened);
        }
        let records: Vec<Vec<u8>> = bytes
            .par_chunks(length)
            .map(|record| {
                let own: Vec<(TermId, f32)> = Record::parse(record, params.terms_per_item)
                    .map(|record| record.terms().collect())
                    .unwrap_or_default();
                let vector = QuantisedVector::of(&related.widen(&own, params));
                let mut record = Vec::with_capacity(length);
                write_record(&vector, params.terms_per_item, &mut record);
                record
            })
            .collect();
        for record in &records {
            widened.append(record)?;
        }
        advance(records.len() as u64);
    }
}

fn strings(strings: &Strings, scratch: &Path) -> io::Result<StringSections> {
    let mut sections = StringSections::create(scratch)?;
    for string in strings.iter() {
        sections.append(string)?;
    }
    Ok(sections)
}
