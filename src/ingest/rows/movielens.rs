//! MovieLens' older files: no header, two colons, Latin-1 where it is not UTF-8.

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::path::Path;

use super::{MAX_ROW, RowReader, Sink};
use crate::ingest::IngestError;
use crate::ingest::fields::Cell;
use crate::ingest::source::Source;

const MOVIES: &[&str] = &["movieId", "title", "genres"];
const RATINGS: &[&str] = &["userId", "movieId", "rating", "timestamp"];

impl RowReader<'_> {
    pub(super) fn read_dat(&self, source: &Source, sink: &mut Sink<'_>) -> Result<(), IngestError> {
        let name = Path::new(&source.name)
            .file_name()
            .and_then(|name| name.to_str());
        let header = match name {
            Some(name) if name.starts_with("movies.") => MOVIES,
            Some(name) if name.starts_with("ratings.") => RATINGS,
            _ => {
                return Err(source.unreadable("only movies.dat and ratings.dat are known"));
            }
        };
        let header: Vec<String> = header.iter().map(|&name| name.into()).collect();
        let positions = self.positions(source, &header)?;
        let mut input = source.open(self.progress)?;
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let read = input.by_ref().take(MAX_ROW).read_until(b'\n', &mut line);
            if read.map_err(|error| source.unreadable(error))? == 0 {
                return Ok(());
            }
            number += 1;
            let text = match std::str::from_utf8(&line) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => line.iter().map(|&byte| char::from(byte)).collect(),
            };
            let text = text.trim_end_matches(['\r', '\n']);
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
    }
}
