//! JSON lines: one object a line.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use serde_json::{Map, Value};

use super::{MAX_ROW, RowReader, Sink, joined, missing_column};
use crate::ingest::IngestError;
use crate::ingest::cell::Cell;
use crate::ingest::mapping::FieldColumns;
use crate::ingest::source::Source;

/// Objects after which a key that none of them has is missing from the file, and not from them.
/// Keys without a value are often left out, so the first object alone proves nothing.
const PROOF: u64 = 100;

impl RowReader<'_> {
    pub(super) fn read_jsonl(
        &self,
        source: &Source,
        sink: &mut Sink<'_>,
    ) -> Result<(), IngestError> {
        let mut input = source.open(self.progress)?;
        let mut line = Vec::new();
        let mut number = 0;
        let mut keys = Keys::new(self.fields);
        loop {
            line.clear();
            let read = input.by_ref().take(MAX_ROW).read_until(b'\n', &mut line);
            if read.map_err(|error| source.failed(error))? == 0 {
                return keys.check(source);
            }
            number += 1;
            if line.len() as u64 == MAX_ROW && !line.ends_with(b"\n") {
                let message = format!("the line is longer than {MAX_ROW} bytes");
                sink.unparsable(number, 1, &message, &line)?;
                skip_line(&mut input).map_err(|error| source.failed(error))?;
                continue;
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let object = match parse(&line) {
                Ok(object) => object,
                Err(message) => {
                    sink.unparsable(number, 1, &message, &line)?;
                    continue;
                }
            };
            keys.see(&object, source)?;
            let cell = |column: &String| json_cell(object.get(column));
            let cells: Vec<Cell<'_>> = self
                .fields
                .iter()
                .map(|field| joined(field, field.columns.iter().map(cell)))
                .collect();
            sink.row(number, &cells, || {
                String::from_utf8_lossy(&line).into_owned()
            })?;
        }
    }
}

fn parse(line: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is not a JSON object".into()),
        Err(_) if std::str::from_utf8(line).is_err() => Err("it is not UTF-8".into()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

/// Which keys that must be there have not been, and the keys of the first object.
struct Keys<'a> {
    unseen: Vec<(&'a FieldColumns, &'a str)>,
    objects: u64,
    found: String,
}

impl<'a> Keys<'a> {
    fn new(fields: &'a [FieldColumns]) -> Keys<'a> {
        let needed = fields
            .iter()
            .filter(|field| field.field.required || field.named);
        let keys = needed.flat_map(|field| field.columns.iter().map(move |key| (field, &**key)));
        Keys {
            unseen: keys.collect(),
            objects: 0,
            found: String::new(),
        }
    }

    fn see(&mut self, object: &Map<String, Value>, source: &Source) -> Result<(), IngestError> {
        if self.unseen.is_empty() {
            return Ok(());
        }
        if self.objects == 0 {
            let keys: Vec<&str> = object.keys().map(String::as_str).collect();
            self.found = keys.join(", ");
        }
        self.objects += 1;
        self.unseen.retain(|(_, key)| !object.contains_key(*key));
        let required = self.unseen.iter().find(|(field, _)| field.field.required);
        match required {
            Some((field, key)) if self.objects >= PROOF => {
                Err(missing_column(source, field, key, &self.found))
            }
            _ => Ok(()),
        }
    }

    /// At the end of the file.
    fn check(&self, source: &Source) -> Result<(), IngestError> {
        match self.unseen.first() {
            Some((field, key)) if self.objects > 0 => {
                Err(missing_column(source, field, key, &self.found))
            }
            _ => Ok(()),
        }
    }
}

fn json_cell(value: Option<&Value>) -> Cell<'_> {
    match value {
        None | Some(Value::Null) => Cell::Missing,
        Some(Value::String(text)) if text.is_empty() => Cell::Missing,
        Some(Value::String(text)) => Cell::Text(Cow::Borrowed(text)),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(integer), _, _) => Cell::Integer(integer),
            // Hashes are ids, too.
            (None, Some(integer), _) => Cell::Text(Cow::Owned(integer.to_string())),
            (None, None, Some(float)) => Cell::Float(float),
            (None, None, None) => Cell::Missing,
        },
        Some(Value::Array(values)) => Cell::List(
            values
                .iter()
                .filter(|value| !value.is_null())
                .map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .collect(),
        ),
        Some(other) => Cell::Text(Cow::Owned(other.to_string())),
    }
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
