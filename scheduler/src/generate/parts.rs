//! Parquet files of items and of interactions, in the columns that an ingest reads.

use std::fmt::Write as _;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, TimestampMillisecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

use super::{GenerateError, GenerateProgress, Interaction, Item};

/// Rows that are handed to the encoder at once.
const BATCH: usize = 1 << 14;

/// Rows of a row group, which is in memory until it is full, at a few bytes each.
const ROW_GROUP: usize = 1 << 19;

/// Bytes of a dictionary, at most: the ids of nearly all items that a row group has, so that each
/// is written once.
const DICTIONARY: usize = 8 << 20;

/// Writes a file of items: item_id, title, description, tags.
pub(super) fn write_items(
    path: &Path,
    numbers: Range<u32>,
    item: impl Fn(u32) -> Item,
    progress: &GenerateProgress,
) -> Result<(), GenerateError> {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let tag = Arc::new(Field::new("item", DataType::Utf8, false));
    let schema = Schema::new(vec![
        text("item_id"),
        text("title"),
        text("description"),
        Field::new("tags", DataType::List(tag.clone()), false),
    ]);
    let properties = properties().set_dictionary_enabled(false);
    let mut part = Part::create(path, schema, properties)?;
    let mut ids = StringBuilder::new();
    let mut titles = StringBuilder::new();
    let mut descriptions = StringBuilder::new();
    let mut tags = ListBuilder::new(StringBuilder::new()).with_field(tag);
    for numbers in batches(numbers) {
        progress.check()?;
        let rows = numbers.len();
        for number in numbers {
            let item = item(number);
            append_id(&mut ids, "item", number);
            titles.append_value(item.title);
            descriptions.append_value(item.description);
            tags.append_value(item.tags.iter().map(Some));
        }
        part.write(vec![
            Arc::new(ids.finish()),
            Arc::new(titles.finish()),
            Arc::new(descriptions.finish()),
            Arc::new(tags.finish()),
        ])?;
        progress.count_items(rows);
    }
    part.close()
}

/// Writes a file of interactions: user_id, item_id, timestamp. Returns how many there are.
pub(super) fn write_interactions(
    path: &Path,
    users: Range<u32>,
    history: impl Fn(u32) -> Vec<Interaction>,
    progress: &GenerateProgress,
) -> Result<u64, GenerateError> {
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let schema = Schema::new(vec![
        Field::new("user_id", DataType::Utf8, false),
        Field::new("item_id", DataType::Utf8, false),
        Field::new("timestamp", utc.clone(), false),
    ]);
    let properties = properties()
        .set_column_dictionary_enabled("timestamp".into(), false)
        .set_column_encoding("timestamp".into(), Encoding::DELTA_BINARY_PACKED)
        .set_dictionary_page_size_limit(DICTIONARY);
    let mut part = Part::create(path, schema, properties)?;
    let mut user_ids = StringBuilder::new();
    let mut item_ids = StringBuilder::new();
    let mut timestamps = TimestampMillisecondBuilder::new().with_data_type(utc);
    let (mut total, mut rows) = (0, 0);
    let end = users.end;
    for user in users {
        let history = history(user);
        rows += history.len();
        for interaction in history {
            append_id(&mut user_ids, "user", user);
            append_id(&mut item_ids, "item", interaction.item);
            timestamps.append_value(interaction.timestamp);
        }
        if rows >= BATCH || user + 1 == end {
            progress.check()?;
            part.write(vec![
                Arc::new(user_ids.finish()),
                Arc::new(item_ids.finish()),
                Arc::new(timestamps.finish()),
            ])?;
            progress.count_interactions(rows);
            total += rows as u64;
            rows = 0;
        }
    }
    part.close()?;
    Ok(total)
}

fn properties() -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP))
}

/// The numbers in slices of a batch.
fn batches(numbers: Range<u32>) -> impl Iterator<Item = Range<u32>> {
    let end = numbers.end;
    numbers
        .step_by(BATCH)
        .map(move |from| from..end.min(from + BATCH as u32))
}

fn append_id(ids: &mut StringBuilder, kind: &str, number: u32) {
    // A builder of texts takes everything.
    let _ = write!(ids, "{kind}-{number}");
    ids.append_value("");
}

/// A file that is being written.
struct Part<'p> {
    path: &'p Path,
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
}

impl Part<'_> {
    fn create(
        path: &Path,
        schema: Schema,
        properties: WriterPropertiesBuilder,
    ) -> Result<Part<'_>, GenerateError> {
        let schema = Arc::new(schema);
        let file = File::create(path).map_err(GenerateError::write(path))?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties.build()));
        let writer = writer.map_err(GenerateError::write(path))?;
        Ok(Part {
            path,
            schema,
            writer,
        })
    }

    fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), GenerateError> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        let batch = batch.map_err(GenerateError::write(self.path))?;
        let written = self.writer.write(&batch);
        written.map_err(GenerateError::write(self.path))
    }

    fn close(self) -> Result<(), GenerateError> {
        let closed = self.writer.close();
        closed.map(|_| ()).map_err(GenerateError::write(self.path))
    }
}
