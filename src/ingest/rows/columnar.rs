//! Parquet.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::{RowReader, Sink};
use crate::ingest::IngestError;
use crate::ingest::fields::Cell;
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
            sink.row(*line, &cells, || {
                let texts: Vec<String> = cells.iter().map(Cell::text).collect();
                texts.join(",")
            })?;
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
}

impl Column {
    fn new(array: &ArrayRef) -> Result<Column, arrow_schema::ArrowError> {
        let kind = kind(array.data_type()).unwrap_or(Kind::Text);
        let target = match (kind, array.data_type()) {
            (Kind::Text, _) => DataType::Utf8,
            (Kind::Integer, _) => DataType::Int64,
            (Kind::Float, _) => DataType::Float64,
            (Kind::Time, _) => DataType::Timestamp(TimeUnit::Millisecond, None),
            (Kind::List, DataType::List(item) | DataType::LargeList(item)) => {
                DataType::List(item.as_ref().clone().with_data_type(DataType::Utf8).into())
            }
            (Kind::List, found) => found.clone(),
        };
        let array = arrow_cast::cast(array, &target)?;
        Ok(Column { kind, array })
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
