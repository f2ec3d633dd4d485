//! The rows of a CSV file and their cells, with the line on which each begins.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::MAX_ROW;

/// Splits bytes into rows. Blank lines are no rows. Lines end in a line feed, a carriage return, or
/// both.
pub(super) struct Records<R> {
    input: R,
    reader: Reader,
    delimiter: u8,
    /// Number of the line at hand, from 1.
    line: u64,
    /// Whether a carriage return was the last byte: a line feed then belongs to it.
    after_return: bool,
}

/// One row.
#[derive(Default)]
pub(super) struct Record {
    /// As it stands in the file, with what ends it.
    pub raw: Vec<u8>,
    /// The line on which it begins.
    pub line: u64,
    /// How many lines it takes: more than one where a quoted cell has line ends.
    pub lines: u64,
    text: Vec<u8>,
    ends: Vec<usize>,
    cells: usize,
}

/// What came next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Row,
    /// One that is longer than any row may be. There is no going on from there.
    TooLong,
    End,
}

impl<R: BufRead> Records<R> {
    pub fn new(input: R, delimiter: u8) -> Records<R> {
        Records {
            input,
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            delimiter,
            line: 1,
            after_return: false,
        }
    }

    /// Reads the next row into `record`.
    pub fn read(&mut self, record: &mut Record) -> io::Result<Next> {
        record.raw.clear();
        record.cells = 0;
        if !self.skip_line_ends()? {
            return Ok(Next::End);
        }
        record.line = self.line;
        let mut filled = 0;
        loop {
            let bytes = self.input.fill_buf()?;
            let text = &mut record.text[filled..];
            let ends = &mut record.ends[record.cells..];
            let (result, read, written, ended) = self.reader.read_record(bytes, text, ends);
            record.raw.extend_from_slice(&bytes[..read]);
            self.input.consume(read);
            filled += written;
            record.cells += ended;
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(Next::End),
                ReadRecordResult::OutputFull => grow(&mut record.text),
                ReadRecordResult::OutputEndsFull => grow(&mut record.ends),
                ReadRecordResult::InputEmpty if record.raw.len() as u64 > MAX_ROW => {
                    return Ok(Next::TooLong);
                }
                ReadRecordResult::InputEmpty => {}
            }
        }
        let feeds = record.raw.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.line += feeds;
        self.after_return = record.raw.ends_with(b"\r");
        record.lines = feeds + u64::from(!record.raw.ends_with(b"\n"));
        Ok(Next::Row)
    }

    /// Skips to the next row; `false` if there is none.
    fn skip_line_ends(&mut self) -> io::Result<bool> {
        loop {
            let Some(&byte) = self.input.fill_buf()?.first() else {
                return Ok(false);
            };
            if self.after_return || byte == b'\n' {
                self.line += 1;
            }
            self.after_return = byte == b'\r';
            if !matches!(byte, b'\n' | b'\r') {
                return Ok(true);
            }
            self.input.consume(1);
        }
    }

    /// Whether a row was put together from several lines, or up to the end of the file, by a quote
    /// that is no quotation mark. Where quotes are right, whatever they enclose is a cell's text.
    pub fn is_spoiled(&self, record: &Record) -> bool {
        let whole = record.lines == 1 && record.raw.ends_with(b"\n");
        !whole && record.raw.contains(&b'"') && !quotes_are_right(&record.raw, self.delimiter)
    }
}

impl Record {
    /// How many cells it has.
    pub fn len(&self) -> usize {
        self.cells
    }

    pub fn cell(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[at]]
    }

    pub fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.cells).map(|at| self.cell(at))
    }
}

fn grow<T: Copy + Default>(buffer: &mut Vec<T>) {
    const FIRST: usize = 256;
    buffer.resize((2 * buffer.len()).max(FIRST), T::default());
}

/// Whether every quoted cell of a row is closed, and ends where its quotes do.
fn quotes_are_right(row: &[u8], delimiter: u8) -> bool {
    let ends_cell = |byte: Option<&u8>| match byte {
        None | Some(b'\n' | b'\r') => true,
        Some(&byte) => byte == delimiter,
    };
    let mut bytes = row.iter().peekable();
    let mut at_start = true;
    while let Some(&byte) = bytes.next() {
        if at_start && byte == b'"' {
            loop {
                match bytes.next() {
                    None => return false,
                    Some(b'"') if bytes.peek() == Some(&&b'"') => {
                        bytes.next();
                    }
                    Some(b'"') => break,
                    Some(_) => {}
                }
            }
            if !ends_cell(bytes.peek().copied()) {
                return false;
            }
        }
        at_start = byte == delimiter;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line, number of lines and cells of every row.
    fn rows(text: &str) -> Vec<(u64, u64, Vec<String>)> {
        // A small buffer, so that rows lie across its ends.
        let mut records = Records::new(io::BufReader::with_capacity(3, text.as_bytes()), b',');
        let mut record = Record::default();
        let mut rows = Vec::new();
        while records.read(&mut record).unwrap() == Next::Row {
            let cells = record
                .cells()
                .map(|cell| String::from_utf8_lossy(cell).into());
            rows.push((record.line, record.lines, cells.collect()));
        }
        rows
    }

    fn lines(text: &str) -> Vec<u64> {
        rows(text).into_iter().map(|(line, ..)| line).collect()
    }

    #[test]
    fn a_row_has_the_line_that_an_editor_shows() {
        assert_eq!(lines("a,b\nc,d\ne,f\n"), [1, 2, 3]);
        assert_eq!(lines("a,b\r\nc,d\r\ne,f\r\n"), [1, 2, 3]);
        assert_eq!(lines("a,b\rc,d\re,f"), [1, 2, 3]);
        assert_eq!(lines("\n\na,b\n\n\nc,d\n\n"), [3, 6]);
        assert_eq!(lines("\r\n\r\na,b\r\n\r\n\r\nc,d"), [3, 6]);
        assert_eq!(lines("a,b\nc,d"), [1, 2]);
        assert_eq!(lines("a,\"b\n\nb\"\nc,d\n"), [1, 4]);
        assert_eq!(lines("a,\"b\r\nb\"\r\nc,d\r\n"), [1, 3]);
        assert_eq!(lines(""), [] as [u64; 0]);
    }

    #[test]
    fn cells_are_what_is_between_separators_and_in_quotes() {
        let (_, lines, cells) = &rows("x\na,\"b, \"\"c\"\"\nd\",,e\"f\n")[1];
        assert_eq!(*lines, 2);
        assert_eq!(*cells, ["a", "b, \"c\"\nd", "", "e\"f"]);
    }

    #[test]
    fn a_row_that_a_stray_quote_has_put_together_is_told_from_text_of_several_lines() {
        let spoiled = |text: &str| {
            let mut records = Records::new(text.as_bytes(), b',');
            let mut record = Record::default();
            assert_eq!(records.read(&mut record).unwrap(), Next::Row);
            records.is_spoiled(&record)
        };
        assert!(spoiled("1,\"Alien\n2,\"Aliens, too\"\n"));
        assert!(spoiled("1,\"Alien\n2,Aliens\n"));
        assert!(spoiled("1,\"Alien"));
        assert!(!spoiled("1,\"Alien,\nthe \"\"film\"\"\"\n"));
        assert!(!spoiled("1,\"Alien\"\r\n"));
        assert!(!spoiled("1,5\" disk\n"));
        // As it was meant, because it does no harm.
        assert!(!spoiled("1,\"Alien\" (1979)\n"));
    }
}
