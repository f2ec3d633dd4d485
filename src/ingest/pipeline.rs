//! The four steps of an ingest.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;

use super::fields::Cell;
use super::progress::Phase;
use super::rejects::{Position, Reason, Rejects};
use super::rows::RowReader;
use super::sorted::{
    InteractionSorter, ItemSorter, PlacedInteraction, PlacedItem, SortedInteractions,
};
use super::source::Source;
use super::{IngestError, IngestOptions, IngestProgress};
use crate::catalogue::{Catalogue, CatalogueSummary, CatalogueWriter};
use crate::dataset::{
    CATALOGUE_FILE, Counts, FORMAT, FileSummary, MANIFEST_FILE, Manifest, REJECTS_FILE, ShardIndex,
    ShardSummary, ShardWriter, user_hash,
};
use crate::history::{History, Interaction};
use crate::item::Item;
use crate::terms::{Vocabulary, VocabularyCounter};

/// Items handed over at once: enough for all threads to have work.
const ITEMS_PER_BATCH: usize = 4_096;

/// Builds the dataset in `folder`.
pub(super) fn run(
    options: &IngestOptions,
    folder: &Path,
    progress: &IngestProgress,
) -> Result<Manifest, IngestError> {
    let item_sources = resolve(&options.items)?;
    let interaction_sources = resolve(&options.interactions)?;
    let scratch = tempfile::tempdir_in(folder).map_err(write_error(folder))?;
    std::fs::create_dir(folder.join("shards")).map_err(write_error(folder))?;
    let ingest = Ingest {
        options,
        folder,
        scratch: scratch.path(),
        progress,
    };

    let mut rejects = Rejects::create(&folder.join(REJECTS_FILE), options.max_rejects)?;
    let mut counts = Counts::default();
    let summary = ingest.catalogue(&item_sources, &mut rejects)?;
    counts.items = summary.items;
    counts.items_without_terms = summary.without_terms;
    counts.terms = summary.terms;
    let sorted = ingest.interactions(&interaction_sources, &mut rejects, &mut counts)?;
    let shards = ingest.shards(sorted, &mut rejects, &mut counts)?;
    (counts.rows, counts.rejects) = rejects.finish()?;

    let catalogue = folder.join(CATALOGUE_FILE);
    let catalogue =
        FileSummary::of_file(&catalogue, CATALOGUE_FILE.into()).map_err(write_error(&catalogue))?;
    let mut manifest = Manifest {
        format: FORMAT,
        id: String::new(),
        created_at: Timestamp::now(),
        items_from: options.items.clone(),
        interactions_from: options.interactions.clone(),
        salience: options.salience.clone(),
        counts,
        catalogue,
        shards,
    };
    manifest.id = manifest.content_id();
    let path = folder.join(MANIFEST_FILE);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| IngestError::Write {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    std::fs::write(&path, text).map_err(write_error(&path))?;
    Ok(manifest)
}

struct Ingest<'a> {
    options: &'a IngestOptions,
    folder: &'a Path,
    scratch: &'a Path,
    progress: &'a IngestProgress,
}

impl Ingest<'_> {
    /// Steps 1 and 2.
    fn catalogue(
        &self,
        sources: &[Source],
        rejects: &mut Rejects,
    ) -> Result<CatalogueSummary, IngestError> {
        let items = self.sort_items(sources, rejects)?;
        let (vocabulary, sorted, count) = self.count_terms(items, rejects)?;
        self.progress.begin(Phase::Catalogue, count);
        let path = self.folder.join(CATALOGUE_FILE);
        let mut writer =
            CatalogueWriter::create(&path, &vocabulary, &self.options.salience, self.scratch)?;
        let mut batch: Vec<Item> = Vec::with_capacity(ITEMS_PER_BATCH);
        for line in BufReader::new(sorted).lines() {
            let line = line.map_err(write_error(self.scratch))?;
            let item = serde_json::from_str(&line)
                .map_err(|error| write_error(self.scratch)(error.into()))?;
            batch.push(item);
            if batch.len() == ITEMS_PER_BATCH {
                writer.add(&batch)?;
                self.progress.advance(batch.len() as u64);
                batch.clear();
            }
        }
        writer.add(&batch)?;
        Ok(writer.finish()?)
    }

    fn sort_items(
        &self,
        sources: &[Source],
        rejects: &mut Rejects,
    ) -> Result<ItemSorter, IngestError> {
        self.progress.begin(
            Phase::Items,
            sources.iter().map(|source| source.bytes).sum(),
        );
        let mut sorter = ItemSorter::new(self.options.memory / 2, self.scratch);
        let mut take = |position: Position, cells: &[Cell<'_>]| {
            let item = match item(cells) {
                Ok(item) => item,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let placed = PlacedItem {
                item,
                file: position.file,
                line: position.line,
            };
            sorter.insert(&placed).map_err(write_error(self.scratch))?;
            Ok(Ok(()))
        };
        let fields = self.options.fields.item_columns();
        let reader = RowReader {
            fields: &fields,
            progress: self.progress,
            scratch: self.scratch,
        };
        let mut rows = 0;
        for source in sources {
            rows += reader.read(source, rejects, &mut take)?;
        }
        if rows == 0 {
            return Err(empty(sources, "items"));
        }
        rejects.check()?;
        Ok(sorter)
    }

    /// Counts the terms of all items but the repeated ones. Returns the items, sorted, as JSON
    /// lines in a scratch file, and how many there are.
    fn count_terms(
        &self,
        items: ItemSorter,
        rejects: &mut Rejects,
    ) -> Result<(Vocabulary, File, u64), IngestError> {
        self.progress.begin(Phase::Terms, 0);
        let file = tempfile::tempfile_in(self.scratch).map_err(write_error(self.scratch))?;
        let mut sorted = BufWriter::new(file);
        let mut counter = VocabularyCounter::new(
            &self.options.salience,
            self.options.memory / 2,
            self.scratch,
        )?;
        let mut batch: Vec<Item> = Vec::with_capacity(ITEMS_PER_BATCH);
        let mut last: Option<String> = None;
        let mut count = 0;
        let mut items = items.finish().map_err(write_error(self.scratch))?;
        while let Some(placed) = items.next().map_err(write_error(self.scratch))? {
            let PlacedItem { item, file, line } = placed;
            if last.as_ref() == Some(&item.id) {
                let message = format!("item {:?} is there already", item.id);
                let position = Position { file, line };
                rejects.reject(position, Reason::DuplicateItem, &message, &item.title)?;
                continue;
            }
            last = Some(item.id.clone());
            serde_json::to_writer(&mut sorted, &item)
                .map_err(io::Error::from)
                .and_then(|()| sorted.write_all(b"\n"))
                .map_err(write_error(self.scratch))?;
            count += 1;
            batch.push(item);
            if batch.len() == ITEMS_PER_BATCH {
                counter.add(&batch)?;
                self.progress.advance(batch.len() as u64);
                batch.clear();
            }
        }
        counter.add(&batch)?;
        let rewound = sorted
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|mut file| {
                io::Seek::rewind(&mut file)?;
                Ok(file)
            });
        let file = rewound.map_err(write_error(self.scratch))?;
        Ok((counter.finish()?, file, count))
    }

    /// Step 3.
    fn interactions(
        &self,
        sources: &[Source],
        rejects: &mut Rejects,
        counts: &mut Counts,
    ) -> Result<InteractionSorter, IngestError> {
        self.progress.begin(
            Phase::Interactions,
            sources.iter().map(|source| source.bytes).sum(),
        );
        let catalogue = Catalogue::open(&self.folder.join(CATALOGUE_FILE))?;
        let mut sorter = InteractionSorter::new(self.options.memory, self.scratch);
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        let mut out_of_order = 0;
        let mut previous: Option<(String, i64)> = None;
        let mut take = |position: Position, cells: &[Cell<'_>]| {
            let placed = match interaction(cells, position, &catalogue) {
                Ok(placed) => placed,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let time = placed.interaction.timestamp;
            (first, last) = (first.min(time), last.max(time));
            if let Some((user, before)) = &previous
                && *user == placed.user
                && time < *before
            {
                out_of_order += 1;
            }
            sorter.insert(&placed).map_err(write_error(self.scratch))?;
            previous = Some((placed.user, time));
            Ok(Ok(()))
        };
        let fields = self.options.fields.interaction_columns();
        let reader = RowReader {
            fields: &fields,
            progress: self.progress,
            scratch: self.scratch,
        };
        let mut rows = 0;
        for source in sources {
            rows += reader.read(source, rejects, &mut take)?;
        }
        if rows == 0 {
            return Err(empty(sources, "interactions"));
        }
        rejects.check()?;
        counts.out_of_order = out_of_order;
        (counts.first_timestamp, counts.last_timestamp) =
            if first <= last { (first, last) } else { (0, 0) };
        match self.options.window {
            None => Ok(sorter),
            Some(window) => self.windows(sorter, window),
        }
    }

    /// Makes a user of every `window` interactions of a user, and sorts again: a window's hash is
    /// not its user's.
    fn windows(
        &self,
        sorter: InteractionSorter,
        window: usize,
    ) -> Result<InteractionSorter, IngestError> {
        let mut windows = InteractionSorter::new(self.options.memory, self.scratch);
        let mut sorted = sorter.finish().map_err(write_error(self.scratch))?;
        let mut current: Option<String> = None;
        let mut count = 0;
        while let Some(mut placed) = sorted.next().map_err(write_error(self.scratch))? {
            if current.as_ref() != Some(&placed.user) {
                current = Some(placed.user.clone());
                count = 0;
            }
            placed.user = format!("{}/{}", placed.user, count / window);
            count += 1;
            windows.insert(&placed).map_err(write_error(self.scratch))?;
        }
        Ok(windows)
    }

    /// Step 4.
    fn shards(
        &self,
        sorter: InteractionSorter,
        rejects: &mut Rejects,
        counts: &mut Counts,
    ) -> Result<Vec<ShardSummary>, IngestError> {
        self.progress.begin(Phase::Shards, sorter.len());
        let mut sorted = sorter.finish().map_err(write_error(self.scratch))?;
        let mut shards = Vec::new();
        let mut shard: Vec<History> = Vec::new();
        let mut interactions = 0;
        while let Some(history) = self.next_history(&mut sorted, rejects)? {
            counts.users += 1;
            counts.interactions += history.interactions.len() as u64;
            let full = shard.len() >= self.options.users_per_shard
                || interactions + history.interactions.len() > self.options.interactions_per_shard;
            if full && !shard.is_empty() {
                shards.push(self.write_shard(shards.len(), std::mem::take(&mut shard))?);
                interactions = 0;
            }
            interactions += history.interactions.len();
            shard.push(history);
        }
        if !shard.is_empty() {
            shards.push(self.write_shard(shards.len(), shard)?);
        }
        Ok(shards)
    }

    /// The next user's history, without repeated interactions.
    fn next_history(
        &self,
        sorted: &mut SortedInteractions,
        rejects: &mut Rejects,
    ) -> Result<Option<History>, IngestError> {
        let next = sorted.next().map_err(write_error(self.scratch))?;
        let Some(PlacedInteraction {
            user, interaction, ..
        }) = next
        else {
            return Ok(None);
        };
        self.progress.advance(1);
        let mut last = interaction;
        let mut history = History {
            user,
            interactions: vec![interaction],
        };
        loop {
            let next = sorted
                .next_of(&history.user)
                .map_err(write_error(self.scratch))?;
            let Some(PlacedInteraction {
                interaction,
                position,
                ..
            }) = next
            else {
                return Ok(Some(history));
            };
            self.progress.advance(1);
            if interaction.item == last.item && interaction.timestamp == last.timestamp {
                let message = format!("user {:?} has the same interaction already", history.user);
                rejects.reject(position, Reason::DuplicateInteraction, &message, "")?;
            } else {
                history.interactions.push(interaction);
                last = interaction;
            }
        }
    }

    /// Writes a shard. Its users lie in a range of hashes, and are put in the order of their ids.
    fn write_shard(
        &self,
        number: usize,
        mut users: Vec<History>,
    ) -> Result<ShardSummary, IngestError> {
        let hashes = || users.iter().map(|history| user_hash(&history.user));
        let (first_hash, last_hash) = (hashes().min().unwrap_or(0), hashes().max().unwrap_or(0));
        users.sort_by(|a, b| a.user.cmp(&b.user));
        let name = format!("shards/{number:05}.parquet");
        let path = self.folder.join(&name);
        let write = || {
            let mut writer = ShardWriter::create(&path)?;
            for history in &users {
                writer.write(history)?;
            }
            writer.finish()
        };
        let written = write().map_err(|error| IngestError::Write {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(ShardSummary {
            index: ShardIndex(number as u32),
            file: FileSummary::of_file(&path, name).map_err(write_error(&path))?,
            users: written.users,
            interactions: written.interactions,
            first_hash,
            last_hash,
            latest: written.latest,
        })
    }
}

/// An item from the cells of its fields.
fn item(cells: &[Cell<'_>]) -> Result<Item, super::fields::Refusal> {
    let [id, title, description, tags, queries, popularity] = cells else {
        return Err((Reason::Unparsable, "it has not the cells of an item".into()));
    };
    Ok(Item {
        id: id.id("item_id")?,
        title: title.text(),
        description: description.text(),
        tags: tags.list(),
        queries: queries.list(),
        popularity: popularity.weight("popularity")?,
    })
}

/// An interaction from the cells of its fields, with an item of the catalogue.
fn interaction(
    cells: &[Cell<'_>],
    position: Position,
    catalogue: &Catalogue,
) -> Result<PlacedInteraction, super::fields::Refusal> {
    let [user, item, timestamp, weight] = cells else {
        return Err((
            Reason::Unparsable,
            "it has not the cells of an interaction".into(),
        ));
    };
    let user = user.id("user_id")?;
    let id = item.id("item_id")?;
    let timestamp = timestamp.time("timestamp")?;
    let weight = weight.weight("weight")?.unwrap_or(1.0);
    let Some(item) = catalogue.find(&id) else {
        return Err((
            Reason::UnknownItem,
            format!("item {id:?} is not among the items"),
        ));
    };
    Ok(PlacedInteraction {
        user,
        interaction: Interaction {
            item,
            timestamp,
            weight,
        },
        position,
    })
}

fn resolve(locations: &[String]) -> Result<Vec<Source>, IngestError> {
    let mut sources = Vec::new();
    for location in locations {
        sources.extend(Source::resolve(location)?);
    }
    Ok(sources)
}

fn empty(sources: &[Source], what: &'static str) -> IngestError {
    let names: Vec<&str> = sources
        .iter()
        .take(3)
        .map(|source| source.name.as_str())
        .collect();
    IngestError::Empty {
        file: names.join(", "),
        what,
    }
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> IngestError {
    let path = path.to_owned();
    move |error| IngestError::Write {
        path: path.clone(),
        reason: error.to_string(),
    }
}
