//! CSV: a header row, then rows; separated by comma, semicolon or tab.

use std::borrow::Cow;
use std::io::BufRead;

use super::records::{Next, Record, Records};
use super::{MAX_ROW, RowReader, Sink};
use crate::ingest::IngestError;
use crate::ingest::cell::Cell;
use crate::ingest::source::Source;

impl RowReader<'_> {
    pub(super) fn read_csv(&self, source: &Source, sink: &mut Sink<'_>) -> Result<(), IngestError> {
        let mut input = source.open(self.progress)?;
        let start = input.fill_buf().map_err(|error| source.failed(error))?;
        let delimiter = delimiter(start);
        let mut records = Records::new(input, delimiter);
        let mut record = Record::default();
        if !next(source, &mut records, &mut record)? {
            return Ok(());
        }
        let header: Vec<String> = record
            .cells()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        let positions = self.positions(source, &header)?;
        while next(source, &mut records, &mut record)? {
            let problem = if records.is_spoiled(&record) {
                Some("a quote in it is not closed, or stands where none may".to_owned())
            } else if record.len() != header.len() {
                let (cells, columns) = (record.len(), header.len());
                Some(format!(
                    "it has {cells} cells, and the header has {columns}"
                ))
            } else {
                None
            };
            if let Some(mut problem) = problem {
                if record.lines > 1 {
                    let last = record.line + record.lines - 1;
                    problem += &format!("; with its quotes it goes on to line {last}");
                }
                sink.unparsable(record.line, record.lines, &problem, &record.raw)?;
                continue;
            }
            let text = |position: usize| std::str::from_utf8(record.cell(position));
            if positions
                .iter()
                .flatten()
                .any(|&position| text(position).is_err())
            {
                sink.unparsable(record.line, 1, "it is not UTF-8", &record.raw)?;
                continue;
            }
            let cell = |position: usize| match text(position) {
                Ok("") | Err(_) => Cell::Missing,
                Ok(text) => Cell::Text(Cow::Borrowed(text)),
            };
            let cells = self.cells(&positions, cell);
            sink.row(record.line, &cells, || {
                String::from_utf8_lossy(&record.raw).trim_end().to_owned()
            })?;
        }
        Ok(())
    }
}

fn next(
    source: &Source,
    records: &mut Records<impl BufRead>,
    record: &mut Record,
) -> Result<bool, IngestError> {
    match records.read(record).map_err(|error| source.failed(error))? {
        Next::Row => Ok(true),
        Next::End => Ok(false),
        Next::TooLong => Err(source.unreadable(format!(
            "the row that begins on line {} is longer than {MAX_ROW} bytes: a quote in it is not \
             closed",
            record.line
        ))),
    }
}

/// Which of comma, semicolon and tab the header has most of, outside of quotes.
fn delimiter(start: &[u8]) -> u8 {
    // The last of equals wins, so the comma does when there is none of any.
    const DELIMITERS: [u8; 3] = [b'\t', b';', b','];
    let mut counts = [0; DELIMITERS.len()];
    let mut quoted = false;
    for &byte in start {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            _ => {
                if let Some(at) = DELIMITERS.iter().position(|&delimiter| delimiter == byte) {
                    counts[at] += 1;
                }
            }
        }
    }
    let most = (0..DELIMITERS.len()).max_by_key(|&at| counts[at]);
    most.map_or(b',', |at| DELIMITERS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_one_that_separates_the_header() {
        assert_eq!(delimiter(b"a,b,c\n1;2;3;4;5"), b',');
        assert_eq!(delimiter(b"a;b\n"), b';');
        assert_eq!(delimiter(b"a\tb,c\td\n"), b'\t');
        assert_eq!(delimiter(b"\"a,b,c\";d\n"), b';');
        assert_eq!(delimiter(b"alone"), b',');
    }
}
