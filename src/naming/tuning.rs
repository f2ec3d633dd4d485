//! Data to tune a model with: the names that people gave to collections, as answers to the questions
//! that would be asked about them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::Template;
use super::answer::check_together;
use super::curated::{self, Curated, CuratedError};
use super::grounding::Evidence;
use super::prompt::{Asked, AskedUser, id, question};
use crate::terms::SalienceParams;

/// What to export, and how.
#[derive(Clone, Debug)]
pub struct TuningOptions {
    /// Files, folders, globs or URLs of JSON lines with `title` and `items`, each of which has a
    /// `title` and perhaps a `description` and `tags`.
    pub collections: Vec<String>,
    /// Journeys in one question, at most; those that follow one another are one user's.
    pub journeys_per_call: usize,
    /// How terms are weighed.
    pub salience: SalienceParams,
    /// How is asked, and which names would be refused.
    pub template: Template,
}

/// What became of the collections. Each is named or left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TuningCounts {
    /// Collections that were read.
    pub collections: u64,
    /// Questions that were written, one a line.
    pub questions: u64,
    /// Names in them.
    pub names: u64,
    /// Collections of whose items none has a term.
    pub without_terms: u64,
    /// Collections whose titles would be refused as names, by the reason.
    pub refused: BTreeMap<String, u64>,
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuningError {
    /// The collections cannot be read.
    #[error(transparent)]
    Collections(#[from] CuratedError),
    /// There is no name to learn from.
    #[error("none of {collections} collections has a title that could be a name")]
    Nothing {
        /// How many there are.
        collections: u64,
    },
    /// The file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// Where it was to stand.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes questions about curated collections with the answers that people gave, in the chat form
/// that fine-tuning takes: one object with `messages` a line. What is asked is what a naming worker
/// with the same template would ask if each collection were a journey, but for the examples, which a
/// tuned model does not need. A title that would be refused as a name is left out. The file appears
/// when it is whole.
///
/// Input in object stores needs a Tokio runtime, and a thread of it that may block.
///
/// # Errors
/// When the input cannot be read or the file not be written, or there is no name in it.
pub fn export_tuning(options: &TuningOptions, out: &Path) -> Result<TuningCounts, TuningError> {
    let unwritable = |source: io::Error| TuningError::Write {
        path: out.into(),
        source,
    };
    let mut counts = TuningCounts::default();
    let read = curated::read(&options.collections, &options.salience)?;
    counts.collections = read.collections;
    counts.without_terms = read.without_terms;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(unwritable)?;
    let mut lines = io::BufWriter::new(file.as_file_mut());
    for user in read.curated.chunks(options.journeys_per_call.max(1)) {
        if let Some(line) = conversation(&options.template, user, &mut counts) {
            writeln!(lines, "{line}").map_err(unwritable)?;
        }
    }
    lines.flush().map_err(unwritable)?;
    drop(lines);
    if counts.names == 0 {
        let collections = counts.collections;
        return Err(TuningError::Nothing { collections });
    }
    file.persist(out).map_err(|error| unwritable(error.error))?;
    Ok(counts)
}

/// A question about some journeys of one user, and its answer; none where no title will do.
fn conversation(template: &Template, user: &[Curated], counts: &mut TuningCounts) -> Option<Value> {
    let names: Vec<&str> = user.iter().map(|curated| curated.title.as_str()).collect();
    let evidence = user.iter().map(|curated| curated.evidence(template));
    let evidence: Vec<Evidence> = evidence.collect();
    let checked = check_together(template, &names, &evidence, &[]);
    let (mut journeys, mut answers) = (Vec::new(), Vec::new());
    for (curated, name) in user.iter().zip(checked) {
        match name {
            Ok(name) => {
                let id = id(1, journeys.len());
                answers.push(json!({"id": id, "name": name}));
                journeys.push(Asked {
                    id,
                    journey: &curated.journey,
                });
            }
            Err(rejection) => *counts.refused.entry(rejection.to_string()).or_default() += 1,
        }
    }
    if answers.is_empty() {
        return None;
    }
    counts.questions += 1;
    counts.names += answers.len() as u64;
    let user = AskedUser {
        journeys,
        taken: Vec::new(),
    };
    let instructions = template.prefix().first();
    Some(json!({"messages": [
        instructions,
        {"role": "user", "content": question(template, &[user])},
        {"role": "assistant", "content": json!({"names": answers}).to_string()},
    ]}))
}
