//! CSV: a header row, then rows; separated by comma, semicolon or tab.

use std::borrow::Cow;
use std::cell::Cell as Counter;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::{MAX_ROW, RowReader, Sink};
use crate::ingest::IngestError;
use crate::ingest::fields::Cell;
use crate::ingest::source::Source;

/// Written at the beginning of UTF-8 by some programs.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl RowReader<'_> {
    pub(super) fn read_csv(&self, source: &Source, sink: &mut Sink<'_>) -> Result<(), IngestError> {
        let mut input = source.open(self.progress)?;
        let start = input.fill_buf().map_err(|error| source.unreadable(error))?;
        let bom = start.starts_with(BYTE_ORDER_MARK);
        let delimiter = delimiter(start);
        if bom {
            input.consume(BYTE_ORDER_MARK.len());
        }
        let row_bytes = Rc::new(Counter::new(0));
        let input = RowLimit {
            input,
            row_bytes: row_bytes.clone(),
        };
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(input);
        let broken = |line: u64, error: csv::Error| match error.kind() {
            csv::ErrorKind::Io(error) => source.unreadable(format!("line {line}: {error}")),
            _ => source.unreadable(error),
        };
        let header: Vec<String> = reader
            .byte_headers()
            .map_err(|error| broken(1, error))?
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        if header.is_empty() {
            return Ok(());
        }
        let positions = self.positions(source, &header)?;
        let mut record = csv::ByteRecord::new();
        loop {
            row_bytes.set(0);
            let next = reader.position().line();
            if !reader
                .read_byte_record(&mut record)
                .map_err(|error| broken(next, error))?
            {
                return Ok(());
            }
            let line = record.position().map_or(next, csv::Position::line);
            if record.len() != header.len() {
                let (cells, columns) = (record.len(), header.len());
                let mut message = format!("it has {cells} cells, and the header has {columns}");
                let end = reader.position().line();
                if end > line + 1 {
                    message += &format!("; it goes on to line {}: is a quote not closed?", end - 1);
                }
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
    }
}

/// Refuses to read more than the longest row into one row. The reader of CSV itself would take
/// all of a file in which a quote is not closed.
struct RowLimit<R> {
    input: R,
    row_bytes: Rc<Counter<u64>>,
}

impl<R: Read> Read for RowLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.row_bytes.get() > MAX_ROW {
            return Err(io::Error::other(format!(
                "the row that begins there is longer than {MAX_ROW} bytes: a quote in it is not \
                 closed"
            )));
        }
        let read = self.input.read(buffer)?;
        self.row_bytes.set(self.row_bytes.get() + read as u64);
        Ok(read)
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
