//! Rows of input files, whatever their format.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::fields::{Cell, FieldColumns, Refusal};
use super::rejects::{Position, Reason, Rejects};
use super::source::{Format, Source};
use super::{IngestError, IngestProgress};

/// Longest line of JSONL. A longer one is no row, and must not fill the memory.
const MAX_LINE: u64 = 16 << 20;

/// What became of a row that could be read: taken, refused, or a reason to stop.
pub(super) type Taken = Result<Result<(), Refusal>, IngestError>;

/// Reads all rows of some files.
pub(super) struct RowReader<'a> {
    pub fields: &'a [FieldColumns],
    pub progress: &'a IngestProgress,
    pub scratch: &'a Path,
}

/// Where a reader of one format puts its rows.
struct Sink<'a> {
    progress: &'a IngestProgress,
    rejects: &'a mut Rejects,
    file: u32,
    rows: u64,
    take: &'a mut dyn FnMut(Position, &[Cell<'_>]) -> Taken,
}

impl Sink<'_> {
    fn row(
        &mut self,
        line: u64,
        cells: &[Cell<'_>],
        excerpt: impl FnOnce() -> String,
    ) -> Result<(), IngestError> {
        self.count();
        let position = Position {
            file: self.file,
            line,
        };
        match (self.take)(position, cells)? {
            Ok(()) => Ok(()),
            Err((reason, message)) => self.rejects.reject(position, reason, &message, &excerpt()),
        }
    }

    fn unparsable(&mut self, line: u64, message: &str, row: &[u8]) -> Result<(), IngestError> {
        self.count();
        let position = Position {
            file: self.file,
            line,
        };
        let excerpt = String::from_utf8_lossy(&row[..row.len().min(1024)]);
        self.rejects
            .reject(position, Reason::Unparsable, message, &excerpt)
    }

    fn count(&mut self) {
        self.rows += 1;
        self.rejects.count_row();
        self.progress.count_row();
    }
}

impl RowReader<'_> {
    /// Gives the rows of `source` to `take`, one cell for each field; what is no row, and what is
    /// refused, goes to `rejects`. Returns how many rows there were.
    pub fn read(
        &self,
        source: &Source,
        rejects: &mut Rejects,
        take: &mut dyn FnMut(Position, &[Cell<'_>]) -> Taken,
    ) -> Result<u64, IngestError> {
        let file = rejects.begin_file(&source.name);
        let mut sink = Sink {
            progress: self.progress,
            rejects,
            file,
            rows: 0,
            take,
        };
        match source.format {
            Format::Csv => self.read_csv(source, &mut sink)?,
            Format::Jsonl => self.read_jsonl(source, &mut sink)?,
            Format::Parquet => self.read_parquet(source, &mut sink)?,
            Format::Dat => self.read_dat(source, &mut sink)?,
        }
        Ok(sink.rows)
    }

    /// For each field the positions of its columns among `header`.
    fn positions(
        &self,
        source: &Source,
        header: &[String],
    ) -> Result<Vec<Vec<usize>>, IngestError> {
        let mut all = Vec::with_capacity(self.fields.len());
        for FieldColumns {
            field,
            columns,
            named,
        } in self.fields
        {
            let mut positions = Vec::with_capacity(columns.len());
            for column in columns {
                match header.iter().position(|name| name == column) {
                    Some(position) => positions.push(position),
                    None if field.required || *named => {
                        return Err(IngestError::MissingColumn {
                            file: source.name.clone(),
                            field: field.name,
                            column: column.clone(),
                            found: header.join(", "),
                        });
                    }
                    None => {}
                }
            }
            all.push(positions);
        }
        Ok(all)
    }

    fn read_csv(&self, source: &Source, sink: &mut Sink<'_>) -> Result<(), IngestError> {
        let mut input = source.open(self.progress)?;
        let start = input.fill_buf().map_err(|error| source.unreadable(error))?;
        let bom = start.starts_with(b"\xef\xbb\xbf");
        let delimiter = delimiter(start);
        if bom {
            input.consume(3);
        }
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(input);
        let broken = |error: csv::Error| source.unreadable(error);
        let header: Vec<String> = reader
            .byte_headers()
            .map_err(broken)?
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        if header.is_empty() {
            return Ok(());
        }
        let positions = self.positions(source, &header)?;
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(broken)? {
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != header.len() {
                let (cells, columns) = (record.len(), header.len());
                let message = format!("it has {cells} cells, and the header has {columns}");
                sink.unparsable(line, &message, record.as_slice())?;
                continue;
            }
            let text = |position: usize| std::str::from_utf8(&record[position]);
            if positions
                .iter()
                .flatten()
                .any(|&position| text(position).is_err())
            {
                sink.unparsable(line, "it is not UTF-8", record.as_slice())?;
                continue;
            }
            let cell = |position: usize| match text(position) {
                Ok("") | Err(_) => Cell::Missing,
                Ok(text) => Cell::Text(Cow::Borrowed(text)),
            };
            let cells = self.cells(&positions, cell);
            sink.row(line, &cells, || {
                let cells: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
                cells.join(",")
            })?;
        }
        Ok(())
    }

    fn read_jsonl(&self, source: &Source, sink: &mut Sink<'_>) -> Result<(), IngestError> {
        let mut input = source.open(self.progress)?;
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            if read.map_err(|error| source.unreadable(error))? == 0 {
                return Ok(());
            }
            number += 1;
            if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") {
                let message = format!("the line is longer than {MAX_LINE} bytes");
                sink.unparsable(number, &message, &line)?;
                skip_line(&mut input).map_err(|error| source.unreadable(error))?;
                continue;
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let object = match serde_json::from_slice::<Value>(&line) {
                Ok(Value::Object(object)) => object,
                Ok(_) => {
                    sink.unparsable(number, "it is not a JSON object", &line)?;
                    continue;
                }
                Err(error) => {
                    let message = match std::str::from_utf8(&line) {
                        Ok(_) => format!("it is not JSON: {error}"),
                        Err(_) => "it is not UTF-8".into(),
                    };
                    sink.unparsable(number, &message, &line)?;
                    continue;
                }
            };
            let missing = self.fields.iter().find(|f| {
                f.field.required && f.columns.iter().all(|column| !object.contains_key(column))
            });
            if sink.rows == 0
                && let Some(missing) = missing
            {
                let found: Vec<&str> = object.keys().map(String::as_str).collect();
                return Err(IngestError::MissingColumn {
                    file: source.name.clone(),
                    field: missing.field.name,
                    column: missing.columns.join("+"),
                    found: found.join(", "),
                });
            }
            let cells: Vec<Cell<'_>> = self
                .fields
                .iter()
                .map(|f| {
                    joined(
                        f,
                        f.columns.iter().map(|column| json_cell(object.get(column))),
                    )
                })
                .collect();
            let excerpt = || String::from_utf8_lossy(&line).into_owned();
            sink.row(number, &cells, excerpt)?;
        }
    }

    fn read_parquet(&self, source: &Source, sink: &mut Sink<'_>) -> Result<(), IngestError> {
        let file = source.open_seekable(self.progress, self.scratch)?;
        let broken = |error: parquet::errors::ParquetError| source.unreadable(error);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(broken)?;
        let names = |schema: &arrow_schema::Schema| -> Vec<String> {
            schema
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect()
        };
        let all = names(builder.schema());
        let wanted: Vec<usize> = self
            .positions(source, &all)?
            .into_iter()
            .flatten()
            .collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let mut line = 0;
        for batch in builder.with_projection(mask).build().map_err(broken)? {
            let batch = batch.map_err(|error| source.unreadable(error))?;
            let header = names(&batch.schema());
            let positions = self.positions(source, &header)?;
            let columns = batch
                .columns()
                .iter()
                .map(|column| Column::new(column).map_err(|error| source.unreadable(error)))
                .collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                line += 1;
                let cells = self.cells(&positions, |position| columns[position].cell(row));
                sink.row(line, &cells, || {
                    cells.iter().map(Cell::text).collect::<Vec<_>>().join(",")
                })?;
            }
        }
        Ok(())
    }

    /// MovieLens' older files: no header, two colons, Latin-1 where it is not UTF-8.
    fn read_dat(&self, source: &Source, sink: &mut Sink<'_>) -> Result<(), IngestError> {
        let header: &[&str] = match Path::new(&source.name).file_name().and_then(|n| n.to_str()) {
            Some(name) if name.starts_with("movies.") => &["movieId", "title", "genres"],
            Some(name) if name.starts_with("ratings.") => {
                &["userId", "movieId", "rating", "timestamp"]
            }
            _ => {
                return Err(source.unreadable(
                    "of .dat files only MovieLens' movies.dat and ratings.dat are known",
                ));
            }
        };
        let header: Vec<String> = header.iter().map(|&name| name.into()).collect();
        let positions = self.positions(source, &header)?;
        for (number, line) in source.open(self.progress)?.split(b'\n').enumerate() {
            let line = line.map_err(|error| source.unreadable(error))?;
            let number = number as u64 + 1;
            let text = match String::from_utf8(line) {
                Ok(text) => text,
                Err(error) => error
                    .as_bytes()
                    .iter()
                    .map(|&byte| char::from(byte))
                    .collect(),
            };
            let text = text.trim_end_matches('\r');
            if text.is_empty() {
                continue;
            }
            let values: Vec<&str> = text.split("::").collect();
            if values.len() != header.len() {
                let message = format!("it has {} cells instead of {}", values.len(), header.len());
                sink.unparsable(number, &message, text.as_bytes())?;
                continue;
            }
            let cell = |position: usize| Cell::Text(Cow::Borrowed(values[position]));
            let cells = self.cells(&positions, cell);
            sink.row(number, &cells, || text.to_owned())?;
        }
        Ok(())
    }

    /// One cell for each field, joined from those of its columns.
    fn cells<'c>(
        &self,
        positions: &[Vec<usize>],
        cell: impl Fn(usize) -> Cell<'c>,
    ) -> Vec<Cell<'c>> {
        self.fields
            .iter()
            .zip(positions)
            .map(|(field, positions)| joined(field, positions.iter().map(|&at| cell(at))))
            .collect()
    }
}

/// One cell out of those of a field's columns: lists are put one after the other, texts are joined
/// by a space.
fn joined<'c>(field: &FieldColumns, mut cells: impl Iterator<Item = Cell<'c>>) -> Cell<'c> {
    let Some(first) = cells.next() else {
        return Cell::Missing;
    };
    let rest: Vec<Cell<'c>> = cells.collect();
    if rest.is_empty() {
        return first;
    }
    let all = || std::iter::once(&first).chain(&rest);
    if field.field.list {
        return Cell::List(all().flat_map(Cell::list).collect());
    }
    let texts: Vec<String> = all()
        .map(Cell::text)
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() {
        Cell::Missing
    } else {
        Cell::Text(Cow::Owned(texts.join(" ")))
    }
}

fn json_cell(value: Option<&Value>) -> Cell<'_> {
    match value {
        None | Some(Value::Null) => Cell::Missing,
        Some(Value::String(text)) if text.is_empty() => Cell::Missing,
        Some(Value::String(text)) => Cell::Text(Cow::Borrowed(text)),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Cell::Integer(integer),
            (None, Some(float)) => Cell::Float(float),
            (None, None) => Cell::Missing,
        },
        Some(Value::Array(values)) => Cell::List(
            values
                .iter()
                .map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .collect(),
        ),
        Some(other) => Cell::Text(Cow::Owned(other.to_string())),
    }
}

/// Which of comma, semicolon and tab the header has most of.
fn delimiter(start: &[u8]) -> u8 {
    let header = start
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let count = |delimiter: u8| header.iter().filter(|&&byte| byte == delimiter).count();
    // The last of equals wins, so the comma does when there is none of any.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|&delimiter| count(delimiter))
        .unwrap_or(b',')
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let (used, done) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(used);
        if done {
            return Ok(());
        }
    }
}

/// A column of Parquet in the form in which its cells are read.
enum Column {
    Text(ArrayRef),
    Integer(ArrayRef),
    Float(ArrayRef),
    Time(ArrayRef),
    List(ArrayRef),
}

impl Column {
    fn new(array: &ArrayRef) -> Result<Column, arrow_schema::ArrowError> {
        let cast = |to: DataType| arrow_cast::cast(array, &to);
        Ok(match array.data_type() {
            kind if kind.is_integer() => Column::Integer(cast(DataType::Int64)?),
            kind if kind.is_floating() => Column::Float(cast(DataType::Float64)?),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                Column::Time(cast(DataType::Timestamp(TimeUnit::Millisecond, None))?)
            }
            DataType::List(item) | DataType::LargeList(item) => {
                let text = item.as_ref().clone().with_data_type(DataType::Utf8);
                Column::List(cast(DataType::List(text.into()))?)
            }
            _ => Column::Text(cast(DataType::Utf8)?),
        })
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        let (Column::Text(array)
        | Column::Integer(array)
        | Column::Float(array)
        | Column::Time(array)
        | Column::List(array)) = self;
        if array.is_null(row) {
            return Cell::Missing;
        }
        match self {
            Column::Text(array) => match array.as_string::<i32>().value(row) {
                "" => Cell::Missing,
                text => Cell::Text(Cow::Borrowed(text)),
            },
            Column::Integer(array) => Cell::Integer(array.as_primitive::<Int64Type>().value(row)),
            Column::Float(array) => Cell::Float(array.as_primitive::<Float64Type>().value(row)),
            Column::Time(array) => {
                Cell::Time(array.as_primitive::<TimestampMillisecondType>().value(row))
            }
            Column::List(array) => {
                let texts = array.as_list::<i32>().value(row);
                let texts = texts.as_string::<i32>().iter().flatten().map(str::to_owned);
                Cell::List(texts.collect())
            }
        }
    }
}
