//! The files of an evaluation, which programs of any language read and write:
//!
//! ```text
//! mixes.json                        seed, sources, how many mixes
//! SOURCE/items.jsonl                what `sojourn ingest` takes as items
//! SOURCE/mixes.jsonl                one [`Mix`] a line
//! SOURCE/found/METHOD.json          what the method is, and how long it took
//! SOURCE/found/METHOD.jsonl         one [`Found`] a line
//! users/NAME.json, next/NAME.json   figures of datasets
//! report.md, report.json, report.html
//! ```

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::mixes::Mix;
use super::source::Source;
use crate::catalogue::CatalogueError;
use crate::ingest::JsonRowError;
use crate::item::Item;

/// What stands in `mixes.json`.
const HEADER_FILE: &str = "mixes.json";

/// Why journeys cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// What is to be mixed cannot be read.
    #[error(transparent)]
    Rows(#[from] JsonRowError),
    /// The terms of the items cannot be counted, written or read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// Nothing can be drawn from a source.
    #[error("{name}: {reason}")]
    Source {
        /// What it is called.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that cannot be one of a file.
    #[error("{0:?} cannot be the name of a file: take letters, digits, - and _")]
    Name(String),
    /// A file of the folder is not what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the folder cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// "read" or "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Of the draw.
    pub seed: u64,
    /// Mixes of each kind.
    pub mixes: usize,
    /// In the order of the tables.
    pub sources: Vec<SourceHeader>,
}

/// What was drawn from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceHeader {
    /// What it is called.
    pub name: String,
    /// Items that terms are counted over.
    pub items: usize,
    /// Mixes or windows, of both halves.
    pub mixes: usize,
}

/// What a method is and how long it took on a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodHeader {
    /// What it is called in tables.
    pub label: String,
    /// Whether it is told how many interests there are.
    #[serde(default)]
    pub told_k: bool,
    /// How it was set, for people.
    #[serde(default)]
    pub parameters: String,
    /// Items whose text was read: all of the source.
    pub items: u64,
    /// Seconds from text to what is clustered: terms, embeddings; 0 where there is no such step.
    pub represent_seconds: f64,
    /// Items of all mixes, as often as they are in one.
    pub clustered_items: u64,
    /// Seconds of the clustering of all mixes.
    pub cluster_seconds: f64,
}

/// What a method found in a mix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Id of the mix.
    pub mix: String,
    /// Positions of the items of each journey; what is in none was left out.
    pub journeys: Vec<Vec<u32>>,
}

/// A folder of these files.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// As `sojourn ingest` reads it.
#[derive(Serialize, Deserialize)]
struct ItemLine {
    item_id: String,
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    tags: Vec<String>,
}

impl Folder {
    /// The folder at this path, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Folder {
        Folder { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what was drawn from each source, and last what all of it is. What was found in earlier
    /// mixes goes away.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_mixes(
        &self,
        sources: &[(Source, Vec<Mix>)],
        seed: u64,
        mixes: usize,
    ) -> Result<Header, EvaluationError> {
        for (source, mixes) in sources {
            // What was found in other mixes says nothing of these, though they may have the same ids.
            let found = self.of(&source.name, "found");
            match fs::remove_dir_all(&found) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unwritable(&found, error));
                }
                _ => {}
            }
            let items = source.items.iter().map(|item| ItemLine {
                item_id: item.id.clone(),
                title: item.title.clone(),
                description: item.description.clone(),
                tags: item.tags.clone(),
            });
            write_lines(&self.of(&source.name, "items.jsonl"), items)?;
            write_lines(&self.of(&source.name, "mixes.jsonl"), mixes.iter())?;
        }
        let header = Header {
            seed,
            mixes,
            sources: sources
                .iter()
                .map(|(source, mixes)| SourceHeader {
                    name: source.name.clone(),
                    items: source.items.len(),
                    mixes: mixes.len(),
                })
                .collect(),
        };
        self.write(HEADER_FILE, &header)?;
        Ok(header)
    }

    /// What was drawn.
    ///
    /// # Errors
    /// When nothing was, or it cannot be read.
    pub fn header(&self) -> Result<Header, EvaluationError> {
        self.read(HEADER_FILE).map_err(|error| match error {
            EvaluationError::Io { path, source, .. }
                if source.kind() == io::ErrorKind::NotFound =>
            {
                EvaluationError::File {
                    path,
                    reason: "there is none; draw mixes with `sojourn eval mixes` first".into(),
                }
            }
            error => error,
        })
    }

    /// The items of a source, in ascending order of ids.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn items(&self, source: &str) -> Result<Vec<Item>, EvaluationError> {
        let lines = read_lines(&self.of(source, "items.jsonl"))?.into_iter();
        let item = |line: ItemLine| Item {
            id: line.item_id,
            title: line.title,
            description: line.description,
            tags: line.tags,
            ..Item::default()
        };
        Ok(lines.map(item).collect())
    }

    /// The mixes of a source.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn mixes(&self, source: &str) -> Result<Vec<Mix>, EvaluationError> {
        read_lines(&self.of(source, "mixes.jsonl"))
    }

    /// Keeps what a method found in the mixes of a source.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_found(
        &self,
        source: &str,
        method: &str,
        header: &MethodHeader,
        found: &[Found],
    ) -> Result<(), EvaluationError> {
        let name = |ending| format!("found/{method}.{ending}");
        write_lines(&self.of(source, &name("jsonl")), found.iter())?;
        // What reads a method looks for this one.
        self.write(&format!("{source}/{}", name("json")), header)
    }

    /// The names of the methods that have been tried on a source, in alphabetical order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn methods(&self, source: &str) -> Result<Vec<String>, EvaluationError> {
        self.names(&format!("{source}/found"))
    }

    /// What a method is, and what it found in the mixes of a source.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn found(
        &self,
        source: &str,
        method: &str,
    ) -> Result<(MethodHeader, Vec<Found>), EvaluationError> {
        let header = self.read(&format!("{source}/found/{method}.json"))?;
        Ok((
            header,
            read_lines(&self.of(source, &format!("found/{method}.jsonl")))?,
        ))
    }

    /// Names, without their endings, of the JSON files in a folder of the folder; none if there is no
    /// such folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self, folder: &str) -> Result<Vec<String>, EvaluationError> {
        let path = self.path.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&path, error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| unreadable(&path, error))?.file_name();
            let name = name.to_string_lossy();
            names.extend(name.strip_suffix(".json").map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Reads a JSON file of the folder.
    ///
    /// # Errors
    /// When it is missing or of another form.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T, EvaluationError> {
        let path = self.path.join(name);
        let text = fs::read(&path).map_err(|error| unreadable(&path, error))?;
        serde_json::from_slice(&text).map_err(|error| EvaluationError::File {
            path,
            reason: error.to_string(),
        })
    }

    /// Writes a JSON file of the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), EvaluationError> {
        let path = self.path.join(name);
        let mut text =
            serde_json::to_string_pretty(value).map_err(|error| unwritable(&path, error))?;
        text.push('\n');
        self.write_text(name, &text)
    }

    /// Writes a text file of the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), EvaluationError> {
        let path = self.path.join(name);
        make_folder_of(&path)?;
        fs::write(&path, text).map_err(|error| unwritable(&path, error))
    }

    fn of(&self, source: &str, name: &str) -> PathBuf {
        self.path.join(source).join(name)
    }
}

/// A name that is one of a file and nothing else: no separator, no dot.
///
/// # Errors
/// When it is something else.
pub fn file_name(name: &str) -> Result<String, EvaluationError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.chars().all(is_plain) {
        true => Ok(name.into()),
        false => Err(EvaluationError::Name(name.into())),
    }
}

fn make_folder_of(path: &Path) -> Result<(), EvaluationError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))
}

fn write_lines<T: Serialize>(
    path: &Path,
    lines: impl Iterator<Item = T>,
) -> Result<(), EvaluationError> {
    make_folder_of(path)?;
    let file = File::create(path).map_err(|error| unwritable(path, error))?;
    let mut file = BufWriter::new(file);
    let mut write = |line: T| -> io::Result<()> {
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")
    };
    for line in lines {
        write(line).map_err(|error| unwritable(path, error))?;
    }
    file.flush().map_err(|error| unwritable(path, error))
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, EvaluationError> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| EvaluationError::File {
            path: path.into(),
            reason: format!("line {}: {error}", number + 1),
        })
    };
    text.lines().enumerate().map(line).collect()
}

fn unreadable(path: &Path, source: io::Error) -> EvaluationError {
    EvaluationError::Io {
        action: "read",
        path: path.into(),
        source,
    }
}

fn unwritable(path: &Path, source: impl Into<io::Error>) -> EvaluationError {
    EvaluationError::Io {
        action: "write",
        path: path.into(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_read_as_it_was_written() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::new(scratch.path().join("new"));
        assert_eq!(folder.methods("khan").unwrap(), Vec::<String>::new());
        let header = MethodHeader {
            label: "Ours".into(),
            told_k: false,
            parameters: "epsilon 0.1".into(),
            items: 10,
            represent_seconds: 0.5,
            clustered_items: 20,
            cluster_seconds: 0.25,
        };
        let found = [Found {
            mix: "khan-1".into(),
            journeys: vec![vec![0, 2], vec![1]],
        }];
        folder.write_found("khan", "ours", &header, &found).unwrap();
        assert_eq!(folder.methods("khan").unwrap(), ["ours"]);
        let (read, journeys) = folder.found("khan", "ours").unwrap();
        assert_eq!((read, &journeys[..]), (header, &found[..]));
    }

    #[test]
    fn a_line_of_another_form_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::new(scratch.path());
        folder.write_text("khan/mixes.jsonl", "{}\n").unwrap();
        let error = folder.mixes("khan").unwrap_err().to_string();
        assert!(
            error.contains("mixes.jsonl: line 1: missing field"),
            "{error}"
        );
        let error = folder.header().unwrap_err().to_string();
        assert!(
            error.contains("mixes.json") && error.contains("sojourn eval mixes"),
            "{error}"
        );
    }

    #[test]
    fn a_name_leads_to_no_other_folder() {
        assert_eq!(file_name("khan-2_b").unwrap(), "khan-2_b");
        for name in ["", "..", "a/b", "a b", "a.b"] {
            assert!(file_name(name).is_err(), "{name}");
        }
    }
}
