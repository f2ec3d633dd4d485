//! Shards: histories in Parquet, one row an interaction.
//!
//! Columns: `user` (text), `item` (u32, the catalogue's number), `timestamp` (milliseconds, UTC),
//! `weight` (f32); sorted by hash of the user, user, timestamp and item.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{
    Float32Builder, StringBuilder, TimestampMillisecondBuilder, UInt32Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, TimestampMillisecondType, UInt32Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::history::{History, Interaction};
use crate::item::ItemIndex;

/// Rows in one row group: what a writer holds in memory, however long a history is.
const ROW_GROUP: usize = 65_536;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("user", DataType::Utf8, false),
        Field::new("item", DataType::UInt32, false),
        Field::new("timestamp", time, false),
        Field::new("weight", DataType::Float32, false),
    ]))
});

/// Writes one shard.
#[derive(Debug)]
pub struct ShardWriter {
    writer: ArrowWriter<File>,
    users: u64,
    last_user: String,
    interactions: u64,
    latest: i64,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenShard {
    /// How many users.
    pub users: u64,
    /// How many interactions.
    pub interactions: u64,
    /// Time of the last one, in milliseconds since 1970.
    pub latest: i64,
}

impl ShardWriter {
    /// Creates the file. Nothing in it depends on when or with which version it is written, as far
    /// as the library allows, so that equal shards are equal files.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<ShardWriter, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("sojourn".into())
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let file = File::create(path)?;
        let writer = ArrowWriter::try_new(file, SCHEMA.clone(), Some(properties))?;
        Ok(ShardWriter {
            writer,
            users: 0,
            last_user: String::new(),
            interactions: 0,
            latest: i64::MIN,
        })
    }

    /// Adds a user's history, or the next part of the last user's. Users must come in the order of
    /// (hash, id).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, history: &History) -> Result<(), ParquetError> {
        for interactions in history.interactions.chunks(ROW_GROUP) {
            let rows = interactions.len();
            let mut users = StringBuilder::with_capacity(rows, rows * history.user.len());
            let mut items = UInt32Builder::with_capacity(rows);
            let mut times = TimestampMillisecondBuilder::with_capacity(rows);
            let mut weights = Float32Builder::with_capacity(rows);
            for interaction in interactions {
                users.append_value(&history.user);
                items.append_value(interaction.item.0);
                times.append_value(interaction.timestamp);
                weights.append_value(interaction.weight);
                self.latest = self.latest.max(interaction.timestamp);
            }
            let columns: Vec<ArrayRef> = vec![
                Arc::new(users.finish()),
                Arc::new(items.finish()),
                Arc::new(times.finish().with_timezone("UTC")),
                Arc::new(weights.finish()),
            ];
            self.writer
                .write(&RecordBatch::try_new(SCHEMA.clone(), columns)?)?;
            self.interactions += rows as u64;
        }
        if self.users == 0 || self.last_user != history.user {
            self.users += 1;
            self.last_user.clone_from(&history.user);
        }
        Ok(())
    }

    /// Finishes the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> Result<WrittenShard, ParquetError> {
        let ShardWriter {
            writer,
            users,
            interactions,
            latest,
            ..
        } = self;
        writer.close()?;
        Ok(WrittenShard {
            users,
            interactions,
            latest,
        })
    }
}

/// Reads a shard over a catalogue of `items` items.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn decode(bytes: Bytes, items: usize) -> Result<Vec<History>, String> {
    let text = |error: ParquetError| error.to_string();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(text)?;
    if reader.schema().fields() != SCHEMA.fields() {
        return Err(format!("its columns are {:?}", reader.schema().fields()));
    }
    let mut histories: Vec<History> = Vec::new();
    for batch in reader.build().map_err(text)? {
        let batch = batch.map_err(|error| error.to_string())?;
        if batch.columns().iter().any(|column| column.null_count() > 0) {
            return Err("it has empty cells".into());
        }
        let users = batch.column(0).as_string::<i32>();
        let item = batch.column(1).as_primitive::<UInt32Type>();
        let times = batch.column(2).as_primitive::<TimestampMillisecondType>();
        let weights = batch.column(3).as_primitive::<Float32Type>();
        for row in 0..batch.num_rows() {
            let interaction = Interaction {
                item: ItemIndex(item.value(row)),
                timestamp: times.value(row),
                weight: weights.value(row),
            };
            if interaction.item.position() >= items {
                let item = interaction.item.0;
                return Err(format!(
                    "it names item {item}, and the catalogue has {items}"
                ));
            }
            let user = users.value(row);
            match histories.last_mut() {
                Some(history) if history.user == user => history.interactions.push(interaction),
                _ => histories.push(History {
                    user: user.into(),
                    interactions: vec![interaction],
                }),
            }
        }
    }
    Ok(histories)
}
