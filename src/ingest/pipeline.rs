//! The steps of an ingest, in their order, and the manifest of what they made.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::cell::Cell;
use super::location;
use super::mapping::FieldColumns;
use super::rejects::{InputKind, Position, Rejects};
use super::rows::{RowReader, Taken};
use super::source::Source;
use super::staging::Staging;
use super::{
    IngestError, IngestOptions, IngestProgress, exploration, interactions, items, salience, shards,
};
use crate::dataset::{
    CATALOGUE_FILE, Counts, FORMAT, FileSummary, MANIFEST_FILE, Manifest, REJECTS_FILE,
    SHARDS_FOLDER,
};

/// What all steps share.
pub(super) struct Ingest<'a> {
    pub options: &'a IngestOptions,
    /// Where the dataset is built.
    pub folder: PathBuf,
    /// For files that are gone afterwards.
    pub scratch: PathBuf,
    pub progress: &'a IngestProgress,
}

/// Builds the dataset.
pub(super) fn run(
    options: &IngestOptions,
    staging: &Staging,
    progress: &IngestProgress,
) -> Result<Manifest, IngestError> {
    let item_sources = location::resolve_all(&options.items)?;
    let interaction_sources = location::resolve_all(&options.interactions)?;
    let ingest = Ingest {
        options,
        folder: staging.dataset(),
        scratch: staging.scratch(),
        progress,
    };
    let folder = &ingest.folder;
    let shards = folder.join(SHARDS_FOLDER);
    std::fs::create_dir(&shards).map_err(|error| IngestError::write(&shards, error))?;

    let mut rejects = Rejects::create(&folder.join(REJECTS_FILE), options.max_rejects)?;
    let mut counts = Counts::default();
    rejects.begin_input(InputKind::Items);
    let shared = shared_files(&item_sources, &interaction_sources);
    let items = items::count(&ingest, &item_sources, shared, &mut rejects, &mut counts)?;
    let unfinished = salience::begin(&ingest, items, &mut counts)?;
    rejects.begin_input(InputKind::Interactions);
    let sorted = interactions::sort(&ingest, &interaction_sources, &mut rejects)?;
    let shards = shards::cut(&ingest, sorted, &mut rejects, &mut counts)?;
    (counts.rows, counts.rejects) = rejects.finish()?;
    let relevance = salience::finish(&ingest, unfinished, &shards, &mut counts)?;
    let exploration = exploration::learn(&ingest, &shards)?;

    let summary = |name: &str| {
        let path = folder.join(name);
        FileSummary::of_file(&path, name.into()).map_err(|error| IngestError::write(&path, error))
    };
    let mut manifest = Manifest {
        format: FORMAT,
        id: String::new(),
        created_at: Timestamp::now(),
        items_from: options.items.clone(),
        interactions_from: options.interactions.clone(),
        mapping: options.fields.columns().clone(),
        window: options.window.map(|window| window as u64),
        salience: options.salience.clone(),
        relevance,
        exploration,
        counts,
        catalogue: summary(CATALOGUE_FILE)?,
        shards,
        rejects: Some(summary(REJECTS_FILE)?),
    };
    manifest.id = manifest.content_id();
    let path = folder.join(MANIFEST_FILE);
    let written = serde_json::to_vec_pretty(&manifest)
        .map_err(io::Error::from)
        .and_then(|text| std::fs::write(&path, text));
    written.map_err(|error| IngestError::write(&path, error))?;
    Ok(manifest)
}

impl Ingest<'_> {
    /// Gives all rows of all files of one input to `take`, and checks the share of rejects.
    pub fn read(
        &self,
        sources: &[Source],
        what: InputKind,
        fields: &[FieldColumns],
        rejects: &mut Rejects,
        take: &mut dyn FnMut(Position, &[Cell<'_>]) -> Taken,
    ) -> Result<(), IngestError> {
        let reader = RowReader {
            fields,
            progress: self.progress,
            scratch: &self.scratch,
        };
        let mut rows = 0;
        for source in sources {
            let read = reader.read(source, rejects, take)?;
            if read == 0 {
                let empty = IngestError::Empty {
                    file: source.name.clone(),
                    what: what.as_str(),
                };
                // Jobs that write a folder of parts leave empty ones; a file that was named is
                // expected to have something.
                if source.named {
                    return Err(empty);
                }
                tracing::warn!("{empty}");
            }
            rows += read;
        }
        if rows == 0 {
            let names: Vec<&str> = sources
                .iter()
                .take(3)
                .map(|source| source.name.as_str())
                .collect();
            return Err(IngestError::Empty {
                file: names.join(", "),
                what: what.as_str(),
            });
        }
        rejects.check()
    }

    /// The error for a scratch file.
    pub fn scratch_error(&self) -> impl Fn(io::Error) -> IngestError + use<> {
        let scratch = self.scratch.clone();
        move |error| IngestError::write(&scratch, error)
    }
}

/// Which item files are read for interactions as well: by number among the item files.
fn shared_files(items: &[Source], interactions: &[Source]) -> Vec<bool> {
    items
        .iter()
        .map(|source| {
            interactions
                .iter()
                .any(|other| other.identity == source.identity)
        })
        .collect()
}
