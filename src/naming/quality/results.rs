//! The file that keeps what was named, so that nothing is named twice.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Group, QualityError, Sample, Setting, Trial};

/// A collection in one setting.
type Key = (Setting, String, u64);

/// Lines of trials, group by group.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    file: File,
    done: HashSet<Key>,
}

impl Results {
    /// Opens a file, or makes one. What is there of groups that were not written to their end is
    /// dropped.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not about this sample.
    pub fn open(path: &Path, sample: &Sample) -> Result<Results, QualityError> {
        let failed = |source| QualityError::Write {
            path: path.into(),
            source,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let trials = read(path, &text, sample)?;
        let keys: HashSet<Key> = trials.iter().map(key).collect();
        let is_whole = |trial: &Trial| {
            let mut groups = sample.groups.iter();
            groups.any(|group| {
                let mut keys_of_group = keys_of(&trial.setting, group);
                group.has(trial) && keys_of_group.all(|key| keys.contains(&key))
            })
        };
        let (whole, torn): (Vec<&Trial>, Vec<&Trial>) =
            trials.iter().partition(|trial| is_whole(trial));
        if !torn.is_empty() || !(text.is_empty() || text.ends_with('\n')) {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let rewritten = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
            let mut rewritten = rewritten.map_err(failed)?;
            rewritten
                .write_all(&lines(whole.iter().copied()))
                .map_err(failed)?;
            rewritten
                .persist(path)
                .map_err(|error| failed(error.error))?;
        }
        let done = whole.into_iter().map(key).collect();
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Results {
            path: path.into(),
            file: file.map_err(failed)?,
            done,
        })
    }

    /// Whether a group has been named in this way.
    pub fn have(&self, setting: &Setting, group: &Group) -> bool {
        keys_of(setting, group).all(|key| self.done.contains(&key))
    }

    /// Keeps what a group was named.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, trials: &[Trial]) -> Result<(), QualityError> {
        let written = self.file.write_all(&lines(trials.iter()));
        written.map_err(|source| QualityError::Write {
            path: self.path.clone(),
            source,
        })?;
        self.done.extend(trials.iter().map(key));
        Ok(())
    }
}

impl Group {
    fn has(&self, trial: &Trial) -> bool {
        let mut all = self.users.iter().flatten();
        all.any(|curated| curated.source == trial.source && curated.line == trial.line)
    }
}

fn key(trial: &Trial) -> Key {
    (trial.setting.clone(), trial.source.clone(), trial.line)
}

fn keys_of<'a>(setting: &'a Setting, group: &'a Group) -> impl Iterator<Item = Key> + 'a {
    let all = group.users.iter().flatten();
    all.map(|curated| (setting.clone(), curated.source.clone(), curated.line))
}

/// One line a trial.
fn lines<'a>(trials: impl Iterator<Item = &'a Trial>) -> Vec<u8> {
    let mut lines = Vec::new();
    for trial in trials {
        // Texts and numbers in fields of fixed names can be written, and a vector takes them.
        let _ = serde_json::to_writer(&mut lines, trial);
        lines.push(b'\n');
    }
    lines
}

/// The trials of a file, but for a last line that has no end.
fn read(path: &Path, text: &str, sample: &Sample) -> Result<Vec<Trial>, QualityError> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let trial = |(at, line): (usize, &str)| {
        let wrong = |reason: String| QualityError::Lines {
            path: path.into(),
            line: at + 1,
            reason,
        };
        let trial: Trial = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let is_of_sample = || sample.groups.iter().any(|group| group.has(&trial));
        match trial.seed == sample.seed && is_of_sample() {
            true => Ok(trial),
            false => Err(wrong("it is of another sample".into())),
        }
    };
    whole.lines().enumerate().map(trial).collect()
}
