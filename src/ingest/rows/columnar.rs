//! Parquet.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::{RowReader, Sink};
use crate::ingest::IngestError;
use crate::ingest::cell::Cell;
use crate::ingest::source::Source;

impl RowReader<'_> {
    pub(super) fn read_parquet(
        &self,
        source: &Source,
        sink: &mut Sink<'_>,
    ) -> Result<(), IngestError> {
        let (file, uncounted) = source.open_seekable(self.progress, self.scratch)?;
        let broken = |error: ParquetError| source.unreadable(error);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(broken)?;
        let wanted = self.positions(source, &names(builder.schema()))?.concat();
        self.check_types(source, builder.schema())?;
        let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let mut line = 0;
        for batch in builder.with_projection(mask).build().map_err(broken)? {
            let batch = batch.map_err(|error| source.unreadable(error))?;
            let before = line;
            self.progress.check()?;
            self.read_batch(source, &batch, &mut line, sink)?;
            // Columns are not read from front to back: what is done is told by rows.
            let share = |rows_done: u64| {
                (u128::from(uncounted) * u128::from(rows_done) / u128::from(rows)) as u64
            };
            self.progress
                .advance(share(line).saturating_sub(share(before)));
        }
        Ok(())
    }

    fn read_batch(
        &self,
        source: &Source,
        batch: &RecordBatch,
        line: &mut u64,
        sink: &mut Sink<'_>,
    ) -> Result<(), IngestError> {
        let positions = self.positions(source, &names(&batch.schema()))?;
        let columns = batch
            .columns()
            .iter()
            .map(|column| Column::new(column).map_err(|error| source.unreadable(error)))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            *line += 1;
            let cells = self.cells(&positions, |position| columns[position].cell(row));
            let excerpt = || {
                let texts: Vec<String> = cells.iter().map(Cell::text).collect();
                texts.join(",")
            };
            let lost = (0..columns.len()).find(|&position| columns[position].has_lost(row));
            match lost {
                None => sink.row(*line, &cells, excerpt)?,
                Some(position) => {
                    let name = batch.schema_ref().field(position).name();
                    let why = columns[position].why_lost();
                    let message = format!("column {name:?} {why}");
                    sink.unparsable(*line, 1, &message, excerpt().as_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// Whether every column can be what it is for.
    fn check_types(&self, source: &Source, schema: &Schema) -> Result<(), IngestError> {
        for field in self.fields {
            for column in &field.columns {
                let Ok(found) = schema.field_with_name(column) else {
                    continue;
                };
                let expected = match (field.field.list, kind(found.data_type())) {
                    (true, Some(_)) => continue,
                    (false, Some(kind)) if kind != Kind::List => continue,
                    (true, None) => "a list of texts, or text",
                    (false, _) => "text, a number, a time or a date",
                };
                return Err(IngestError::ColumnType {
                    file: source.name.clone(),
                    column: column.clone(),
                    field: field.field.name,
                    found: found.data_type().to_string(),
                    expected,
                });
            }
        }
        Ok(())
    }
}

fn names(schema: &Schema) -> Vec<String> {
    schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

/// What the cells of a column are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Float,
    Time,
    List,
}

/// What a type is read as, if it can be a field at all.
fn kind(found: &DataType) -> Option<Kind> {
    Some(match found {
        // As text, because a hash may not fit into a signed number.
        DataType::UInt64 => Kind::Text,
        found if found.is_integer() => Kind::Integer,
        found if found.is_floating() => Kind::Float,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Kind::Time,
        DataType::List(item) | DataType::LargeList(item) => match kind(item.data_type()) {
            None | Some(Kind::List) => return None,
            Some(_) => Kind::List,
        },
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        // Text, where whoever wrote the file did not say so.
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Kind::Text,
        DataType::Boolean | DataType::Decimal128(..) | DataType::Decimal256(..) => Kind::Text,
        DataType::Dictionary(_, value) => kind(value)?,
        // Of a column without any value.
        DataType::Null => Kind::Text,
        _ => return None,
    })
}

/// A column in the form in which its cells are read.
struct Column {
    kind: Kind,
    array: ArrayRef,
    /// As it is in the file, if some of its values got lost on the way into that form.
    original: Option<ArrayRef>,
}

impl Column {
    fn new(original: &ArrayRef) -> Result<Column, arrow_schema::ArrowError> {
        let kind = kind(original.data_type()).unwrap_or(Kind::Text);
        let target = match (kind, original.data_type()) {
            (Kind::Text, _) => DataType::Utf8,
            (Kind::Integer, _) => DataType::Int64,
            (Kind::Float, _) => DataType::Float64,
            (Kind::Time, _) => DataType::Timestamp(TimeUnit::Millisecond, None),
            (Kind::List, DataType::List(item) | DataType::LargeList(item)) => {
                DataType::List(item.as_ref().clone().with_data_type(DataType::Utf8).into())
            }
            (Kind::List, found) => found.clone(),
        };
        // What cannot be cast becomes null, and is found by that.
        let array = arrow_cast::cast(original, &target)?;
        let lost = nulls(&array) > nulls(original);
        Ok(Column {
            kind,
            array,
            original: lost.then(|| original.clone()),
        })
    }

    /// Whether the file has a value there that cannot be read.
    fn has_lost(&self, row: usize) -> bool {
        let Some(original) = &self.original else {
            return false;
        };
        nulls(&self.array.slice(row, 1)) > nulls(&original.slice(row, 1))
    }

    /// What is to be said of such values.
    fn why_lost(&self) -> &'static str {
        match self.kind {
            Kind::Text | Kind::List => "is not UTF-8",
            Kind::Time => "is a time beyond what can be counted in milliseconds",
            Kind::Integer | Kind::Float => "is a number beyond what can be read",
        }
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        if self.array.is_null(row) {
            return Cell::Missing;
        }
        match self.kind {
            Kind::Text => match self.array.as_string::<i32>().value(row) {
                "" => Cell::Missing,
                text => Cell::Text(Cow::Borrowed(text)),
            },
            Kind::Integer => Cell::Integer(self.array.as_primitive::<Int64Type>().value(row)),
            Kind::Float => Cell::Float(self.array.as_primitive::<Float64Type>().value(row)),
            Kind::Time => {
                let times = self.array.as_primitive::<TimestampMillisecondType>();
                Cell::Time(times.value(row))
            }
            Kind::List => {
                let texts = self.array.as_list::<i32>().value(row);
                let texts = texts.as_string::<i32>().iter().flatten().map(str::to_owned);
                Cell::List(texts.collect())
            }
        }
    }
}

/// How many values a column has not, in lists and in dictionaries, too.
fn nulls(array: &ArrayRef) -> usize {
    fn in_lists<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> usize {
        let offsets = lists.value_offsets();
        let (first, last) = (offsets[0].as_usize(), offsets[lists.len()].as_usize());
        lists
            .values()
            .slice(first, last - first)
            .logical_null_count()
    }
    let lists = array.as_list_opt::<i32>().map(in_lists);
    let large = || array.as_list_opt::<i64>().map(in_lists);
    array.logical_null_count() + lists.or_else(large).unwrap_or(0)
}
