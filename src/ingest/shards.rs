//! Shards: the sorted interactions, cut where one user ends and the next begins.

use std::path::PathBuf;

use bytes::Bytes;

use super::IngestError;
use super::interactions::UniqueInteractions;
use super::pipeline::Ingest;
use super::rejects::Rejects;
use super::sorted::PlacedInteraction;
use crate::dataset::{
    Counts, FileSummary, SHARDS_FOLDER, ShardIndex, ShardSummary, ShardWriter, decode_shard,
    user_hash,
};
use crate::history::History;

/// Writes all shards. Whatever the number of interactions, those of at most one shard are in
/// memory: a user with more than a shard holds is written as they come.
pub(super) fn cut(
    ingest: &Ingest<'_>,
    mut interactions: UniqueInteractions,
    rejects: &mut Rejects,
    counts: &mut Counts,
) -> Result<Vec<ShardSummary>, IngestError> {
    (counts.first_timestamp, counts.last_timestamp) = (i64::MAX, i64::MIN);
    let mut cutter = Cutter::new(ingest);
    while let Some(placed) = interactions.next(ingest, rejects)? {
        let time = placed.interaction.timestamp;
        counts.first_timestamp = counts.first_timestamp.min(time);
        counts.last_timestamp = counts.last_timestamp.max(time);
        counts.interactions += 1;
        cutter.add(placed)?;
    }
    let shards = cutter.finish()?;
    (counts.out_of_order, counts.first_out_of_order) = interactions.out_of_order(rejects);
    counts.users = shards.iter().map(|shard| shard.users).sum();
    if shards.is_empty() {
        return Err(rejects.nothing_taken());
    }
    Ok(shards)
}

/// Shards that are looked at where some histories are enough, evenly spaced. Users are spread over
/// shards by a hash, so that a few shards say what all do.
const MOST_SAMPLED: usize = 16;

/// The shards that are looked at.
pub(super) fn sampled(shards: &[ShardSummary]) -> impl Iterator<Item = &ShardSummary> {
    shards
        .iter()
        .step_by(shards.len().div_ceil(MOST_SAMPLED).max(1))
}

/// Gives their histories to `see`.
pub(super) fn sample(
    ingest: &Ingest<'_>,
    shards: &[ShardSummary],
    items: usize,
    mut see: impl FnMut(History),
) -> Result<(), IngestError> {
    for shard in sampled(shards) {
        ingest.progress.check()?;
        let path = ingest.folder.join(&shard.file.name);
        let bytes = std::fs::read(&path).map_err(|error| IngestError::write(&path, error))?;
        let histories = decode_shard(Bytes::from(bytes), items)
            .map_err(|reason| IngestError::write(&path, std::io::Error::other(reason)))?;
        histories.into_iter().for_each(&mut see);
    }
    Ok(())
}

struct Cutter<'a> {
    ingest: &'a Ingest<'a>,
    written: Vec<ShardSummary>,
    /// Whole histories of the shard at hand.
    shard: Vec<History>,
    /// How many interactions those have.
    interactions: usize,
    /// The history at hand, or its end if its user has a shard open.
    history: Option<History>,
    /// The shard of a user who fills it alone.
    open: Option<OpenShard>,
}

struct OpenShard {
    writer: ShardWriter,
    name: String,
    path: PathBuf,
    hashes: (u64, u64),
}

impl<'a> Cutter<'a> {
    fn new(ingest: &'a Ingest<'a>) -> Cutter<'a> {
        let (written, shard) = (Vec::new(), Vec::new());
        Cutter {
            ingest,
            written,
            shard,
            interactions: 0,
            history: None,
            open: None,
        }
    }

    fn add(&mut self, placed: PlacedInteraction) -> Result<(), IngestError> {
        match &mut self.history {
            Some(history) if history.user == placed.user => {
                history.interactions.push(placed.interaction);
                if history.interactions.len() > self.ingest.options.interactions_per_shard {
                    self.write_through()?;
                }
            }
            _ => {
                self.end_user()?;
                self.history = Some(History {
                    user: placed.user,
                    interactions: vec![placed.interaction],
                });
            }
        }
        Ok(())
    }

    /// Writes what there is of a history that no shard holds beside others.
    fn write_through(&mut self) -> Result<(), IngestError> {
        let Some(mut history) = self.history.take() else {
            return Ok(());
        };
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                self.write_shard()?;
                let hash = user_hash(&history.user);
                self.create((hash, hash))?
            }
        };
        open.write(&history)?;
        self.open = Some(open);
        history.interactions.clear();
        self.history = Some(history);
        Ok(())
    }

    fn end_user(&mut self) -> Result<(), IngestError> {
        if self.open.is_some() {
            self.write_through()?;
            self.history = None;
            if let Some(open) = self.open.take() {
                self.close(open)?;
            }
        }
        let Some(history) = self.history.take() else {
            return Ok(());
        };
        let options = self.ingest.options;
        let count = history.interactions.len();
        let full = self.shard.len() >= options.users_per_shard
            || self.interactions + count > options.interactions_per_shard;
        if full {
            self.write_shard()?;
        }
        self.interactions += count;
        self.shard.push(history);
        Ok(())
    }

    /// Writes the shard at hand, if it has users.
    fn write_shard(&mut self) -> Result<(), IngestError> {
        let shard = std::mem::take(&mut self.shard);
        self.interactions = 0;
        let (Some(first), Some(last)) = (shard.first(), shard.last()) else {
            return Ok(());
        };
        let mut open = self.create((user_hash(&first.user), user_hash(&last.user)))?;
        for history in &shard {
            open.write(history)?;
        }
        self.close(open)
    }

    fn create(&self, hashes: (u64, u64)) -> Result<OpenShard, IngestError> {
        let name = format!("{SHARDS_FOLDER}/{:05}.parquet", self.written.len());
        let path = self.ingest.folder.join(&name);
        let writer =
            ShardWriter::create(&path).map_err(|error| IngestError::write(&path, error))?;
        Ok(OpenShard {
            writer,
            name,
            path,
            hashes,
        })
    }

    fn close(&mut self, open: OpenShard) -> Result<(), IngestError> {
        let OpenShard {
            writer,
            name,
            path,
            hashes,
        } = open;
        let failed = |error: &dyn std::fmt::Display| IngestError::write(&path, error);
        let written = writer.finish().map_err(|error| failed(&error))?;
        self.written.push(ShardSummary {
            index: ShardIndex(self.written.len() as u32),
            file: FileSummary::of_file(&path, name).map_err(|error| failed(&error))?,
            users: written.users,
            interactions: written.interactions,
            first_hash: hashes.0,
            last_hash: hashes.1,
            latest: written.latest,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<ShardSummary>, IngestError> {
        self.end_user()?;
        self.write_shard()?;
        Ok(self.written)
    }
}

impl OpenShard {
    fn write(&mut self, history: &History) -> Result<(), IngestError> {
        self.writer
            .write(history)
            .map_err(|error| IngestError::write(&self.path, error))
    }
}
