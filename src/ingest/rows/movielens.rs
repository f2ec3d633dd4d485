//! MovieLens' older files: no header, Latin-1 where they are not UTF-8. Those of a million ratings and
//! more separate by two colons (`movies.dat`, `ratings.dat`), those of 100,000 by a bar and a tab
//! (`u.item`, `u.data`) and have a column for each genre.

use std::borrow::Cow;
use std::io::{BufRead, Read};

use super::{MAX_ROW, RowReader, Sink};
use crate::ingest::IngestError;
use crate::ingest::cell::Cell;
use crate::ingest::source::Source;

/// How one of the files is written. Its columns are called as in the newer files.
struct Layout {
    separator: &'static str,
    columns: &'static [&'static str],
    /// Names of the columns at the end that hold 1 where an item has the genre; they are read as
    /// one column `genres`.
    genres: &'static [&'static str],
}

const MOVIES: Layout = Layout {
    separator: "::",
    columns: &["movieId", "title", "genres"],
    genres: &[],
};

const RATINGS: Layout = Layout {
    separator: "::",
    columns: &["userId", "movieId", "rating", "timestamp"],
    genres: &[],
};

const U_DATA: Layout = Layout {
    separator: "\t",
    columns: &["userId", "movieId", "rating", "timestamp"],
    genres: &[],
};

const U_ITEM: Layout = Layout {
    separator: "|",
    columns: &["movieId", "title", "released", "videoReleased", "imdb"],
    genres: &[
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ],
};

impl Layout {
    fn of(source: &Source) -> Option<&'static Layout> {
        let name = source.name.rsplit('/').next()?;
        Some(match name {
            "u.data" => &U_DATA,
            "u.item" => &U_ITEM,
            name if name.starts_with("movies.") => &MOVIES,
            name if name.starts_with("ratings.") => &RATINGS,
            _ => return None,
        })
    }

    fn header(&self) -> Vec<String> {
        let genres = (!self.genres.is_empty()).then_some("genres");
        let names = self.columns.iter().copied().chain(genres);
        names.map(str::to_owned).collect()
    }

    /// The cells of a row, or how many it has if those are not as many as they should be.
    fn split<'a>(&self, row: &'a str) -> Result<Vec<Cow<'a, str>>, usize> {
        let cells: Vec<&str> = row.split(self.separator).collect();
        if cells.len() != self.columns.len() + self.genres.len() {
            return Err(cells.len());
        }
        let (cells, flags) = cells.split_at(self.columns.len());
        let mut cells: Vec<Cow<'a, str>> = cells.iter().map(|&cell| cell.into()).collect();
        if !self.genres.is_empty() {
            let genres = self.genres.iter().zip(flags);
            let genres = genres.filter(|(_, flag)| **flag == "1");
            let genres: Vec<&str> = genres.map(|(&genre, _)| genre).collect();
            cells.push(genres.join("|").into());
        }
        Ok(cells)
    }
}

impl RowReader<'_> {
    pub(super) fn read_movielens(
        &self,
        source: &Source,
        sink: &mut Sink<'_>,
    ) -> Result<(), IngestError> {
        let Some(layout) = Layout::of(source) else {
            let known = "only movies.dat, ratings.dat, u.item and u.data are known";
            return Err(source.unreadable(known));
        };
        let positions = self.positions(source, &layout.header())?;
        let mut input = source.open(self.progress)?;
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let read = input.by_ref().take(MAX_ROW).read_until(b'\n', &mut line);
            if read.map_err(|error| source.failed(error))? == 0 {
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
            let values = match layout.split(text) {
                Ok(values) => values,
                Err(cells) => {
                    let expected = layout.columns.len() + layout.genres.len();
                    let message = format!("it has {cells} cells instead of {expected}");
                    sink.unparsable(number, 1, &message, text.as_bytes())?;
                    continue;
                }
            };
            let cell = |position: usize| Cell::Text(Cow::Borrowed(&*values[position]));
            let cells = self.cells(&positions, cell);
            sink.row(number, &cells, || text.to_owned())?;
        }
    }
}
