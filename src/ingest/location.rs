//! Locations: the files that a path, a glob or a URL means.
//!
//! One rule for all of them: a folder, or a prefix of an object store, is read as deep as it goes;
//! what begins with a dot or an underscore is left out in it, because jobs put there what is not
//! for others; and what else is not read is said.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use futures::TryStreamExt;
use glob::{MatchOptions, Pattern};
use object_store::{ObjectMeta, ObjectStoreExt};
use tokio::runtime::Handle;

use super::IngestError;
use super::source::{Format, Source};
use crate::dataset::{local_folder, open_store};

const KNOWN: &str = "known are .csv, .tsv, .jsonl, .ndjson and .parquet, each also .gz or .zst";

const WILDCARDS: [char; 3] = ['*', '?', '['];

/// A star stands for no slash, and for no dot at the beginning of a name.
const GLOB: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The files of all locations in the order of their names, each once, so that the order in which
/// they were given makes no difference.
///
/// # Errors
/// For a location with nothing to read, or that cannot be looked into.
pub fn resolve_all(locations: &[String]) -> Result<Vec<Source>, IngestError> {
    let mut sources = Vec::new();
    for location in locations {
        let found = resolve(location)?;
        if let Some(left_out) = found.left_out() {
            tracing::warn!("{location}: {left_out}");
        }
        sources.extend(found.sources);
    }
    sources.sort_by(|a: &Source, b| (&a.name, !a.named).cmp(&(&b.name, !b.named)));
    let mut first: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut unique: Vec<Source> = Vec::new();
    for source in sources {
        match first.get(&source.identity) {
            Some(&at) => {
                unique[at].named |= source.named;
                tracing::warn!("{} is given twice and read once", source.name);
            }
            None => {
                first.insert(source.identity.clone(), unique.len());
                unique.push(source);
            }
        }
    }
    Ok(unique)
}

fn resolve(location: &str) -> Result<Found, IngestError> {
    let found = match local_folder(location) {
        Some(path) => local(location, &path)?,
        None => remote(location)?,
    };
    if found.sources.is_empty() {
        let left_out = found.left_out().map(|text| format!(" ({text})"));
        let reason = format!(
            "there is no file of a known format{}; {KNOWN}",
            left_out.unwrap_or_default()
        );
        return Err(invalid(location, reason));
    }
    Ok(found)
}

/// What a location means.
#[derive(Default)]
struct Found {
    sources: Vec<Source>,
    /// What is not read.
    skipped: Vec<Skipped>,
    /// Folders that were looked into, by their real paths: links can go round in circles.
    folders: HashSet<PathBuf>,
    /// Whether names that begin with a dot or an underscore are read as well.
    hidden: bool,
}

struct Skipped {
    name: String,
    reason: &'static str,
}

impl Found {
    /// What there is to say of what is not read.
    fn left_out(&self) -> Option<String> {
        const NAMED: usize = 5;
        let count = self.skipped.len();
        let name = |skipped: &Skipped| format!("{} ({})", skipped.name, skipped.reason);
        let mut names: Vec<String> = self.skipped.iter().map(name).collect();
        names.sort();
        names.truncate(NAMED);
        let more = match count.saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (count > 0).then(|| format!("{count} left out: {}{more}", names.join(", ")))
    }

    fn skip(&mut self, name: String, reason: &'static str) {
        self.skipped.push(Skipped { name, reason });
    }

    /// All in a folder.
    fn add_folder(&mut self, folder: &Path) -> Result<(), IngestError> {
        let failed = |error: io::Error| invalid(&folder.display().to_string(), error.to_string());
        if !self.folders.insert(folder.canonicalize().map_err(failed)?) {
            return Ok(());
        }
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if self.hidden || !is_hidden(&entry.file_name()) {
                self.add(&entry.path())?;
            }
        }
        Ok(())
    }

    /// A file or a folder that was found.
    fn add(&mut self, path: &Path) -> Result<(), IngestError> {
        let name = path.display().to_string();
        let metadata = match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.skip(name, "a link to nothing");
                return Ok(());
            }
            metadata => metadata.map_err(|error| invalid(&name, error.to_string()))?,
        };
        if metadata.is_dir() {
            return self.add_folder(path);
        }
        match Format::of_name(&name) {
            Some(format) if metadata.is_file() => {
                let source = Source::local(path, format, false);
                self.sources
                    .push(source.map_err(|error| invalid(&name, error.to_string()))?);
            }
            Some(_) => self.skip(name, "no file"),
            None => self.skip(name, "unknown format"),
        }
        Ok(())
    }
}

/// A file, a folder or a glob.
fn local(location: &str, path: &Path) -> Result<Found, IngestError> {
    let mut found = Found::default();
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => found.add_folder(path)?,
        Ok(metadata) if metadata.is_file() => {
            let unknown = || invalid(location, format!("unknown format; {KNOWN}"));
            let format = Format::of_name(&path.display().to_string()).ok_or_else(unknown)?;
            let source = Source::local(path, format, true);
            found
                .sources
                .push(source.map_err(|error| invalid(location, error.to_string()))?);
        }
        Ok(_) => {
            return Err(invalid(
                location,
                "it is neither a file nor a folder".into(),
            ));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(invalid(location, error.to_string()));
        }
        Err(_) => match path.to_str().filter(|path| path.contains(WILDCARDS)) {
            Some(pattern) => add_matches(&mut found, location, pattern)?,
            None => return Err(invalid(location, "there is no such file or folder".into())),
        },
    }
    Ok(found)
}

fn add_matches(found: &mut Found, location: &str, pattern: &str) -> Result<(), IngestError> {
    let (base, glob) = split_glob(pattern);
    found.hidden = asks_for_hidden(glob);
    if glob.contains("**") {
        return add_matches_below(found, location, base, glob);
    }
    let depth = |path: &Path| path.components().filter(is_name).count();
    let fixed = depth(Path::new(base));
    let matches = glob::glob_with(pattern, GLOB)
        .map_err(|error| invalid(location, format!("no glob: {error}")))?;
    for path in matches {
        let path = path.map_err(|error| invalid(location, error.to_string()))?;
        let mut names = path.components().filter(is_name).skip(fixed);
        if found.hidden || !names.any(|name| is_hidden(name.as_os_str())) {
            found.add(&path)?;
        }
    }
    Ok(())
}

/// The matches of a pattern that goes down to any depth. The library would follow links there that
/// go round in circles.
fn add_matches_below(
    found: &mut Found,
    location: &str,
    base: &str,
    glob: &str,
) -> Result<(), IngestError> {
    let pattern =
        Pattern::new(glob).map_err(|error| invalid(location, format!("no glob: {error}")))?;
    let base = if base.is_empty() { "." } else { base };
    found.add_folder(Path::new(base))?;
    let matches = |name: &str| {
        let rest = Path::new(name)
            .strip_prefix(base)
            .unwrap_or(Path::new(name));
        let names = rest.components().filter(is_name);
        let names = names.map(|name| name.as_os_str().to_string_lossy().into_owned());
        matches_or_is_below(&pattern, &names.collect::<Vec<_>>())
    };
    found.sources.retain(|source| matches(&source.name));
    found.skipped.retain(|skipped| matches(&skipped.name));
    Ok(())
}

fn is_name(component: &Component<'_>) -> bool {
    matches!(component, Component::Normal(_))
}

/// An object, a prefix or a glob.
fn remote(location: &str) -> Result<Found, IngestError> {
    // In other URLs than those of web servers, a question mark begins no query.
    let is_glob = !location.starts_with("http") && location.contains(WILDCARDS);
    let (base, pattern) = match is_glob {
        true => split_glob(location),
        false => (location, ""),
    };
    let glob =
        Pattern::new(pattern).map_err(|error| invalid(location, format!("no glob: {error}")))?;
    let (store, prefix) = open_store(base).map_err(|reason| invalid(location, reason))?;
    let runtime = Handle::try_current().map_err(|error| invalid(location, error.to_string()))?;
    let listed = runtime.block_on(async {
        if !is_glob && !prefix.as_ref().is_empty() {
            match store.head(&prefix).await {
                Err(object_store::Error::NotFound { .. }) => {}
                object => return object.map(|object| (true, vec![object])),
            }
        }
        let objects = store.list(Some(&prefix)).try_collect::<Vec<ObjectMeta>>();
        objects.await.map(|objects| (false, objects))
    });
    let (named, objects) = listed.map_err(|error| IngestError::Store {
        location: location.into(),
        reason: error.to_string(),
    })?;
    let mut found = Found::default();
    for object in objects {
        let rest: Vec<String> = object
            .location
            .prefix_match(&prefix)
            .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect())
            .unwrap_or_default();
        // The rest of an object that was named is empty; others are marks of folders.
        let hidden = rest.iter().any(|name| is_hidden(OsStr::new(name)));
        let left_out = hidden && !asks_for_hidden(pattern) || rest.is_empty() && !named;
        if left_out || is_glob && !matches_or_is_below(&glob, &rest) {
            continue;
        }
        let mut url = base.trim_end_matches('/').to_owned();
        for name in &rest {
            url.push('/');
            url.push_str(name);
        }
        match Format::of_name(object.location.as_ref()) {
            Some(format) => {
                let source = Source::remote(url, format, named, &store, object);
                found.sources.push(source);
            }
            None => found.skip(url, "unknown format"),
        }
    }
    Ok(found)
}

/// The folder before the first wildcard, and the pattern from there.
fn split_glob(location: &str) -> (&str, &str) {
    let wildcard = location.find(WILDCARDS).unwrap_or(location.len());
    let slash = location[..wildcard].rfind('/').map_or(0, |slash| slash + 1);
    location.split_at(slash)
}

/// Whether a pattern matches a name or one of the folders above it.
fn matches_or_is_below(pattern: &Pattern, names: &[String]) -> bool {
    (1..=names.len()).any(|depth| pattern.matches_with(&names[..depth].join("/"), GLOB))
}

/// Whether files of this name are for the job alone that writes them, as Spark and others have it.
fn is_hidden(name: &OsStr) -> bool {
    matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'))
}

/// Whether a pattern names what is otherwise left out.
fn asks_for_hidden(pattern: &str) -> bool {
    pattern.split('/').any(|part| part.starts_with(['.', '_']))
}

fn invalid(location: &str, reason: String) -> IngestError {
    IngestError::Location {
        location: location.into(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, and the names of what is read of a location in it.
    fn read(files: &[&str], location: &str) -> (Vec<String>, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("nothing", folder.path().join("broken.csv")).unwrap();
        std::os::unix::fs::symlink("..", folder.path().join("day=1/up")).unwrap();
        let location = folder.path().join(location).display().to_string();
        let root = format!("{}/", folder.path().display());
        let found = resolve(&location).unwrap();
        let names = found
            .sources
            .iter()
            .map(|source| source.name.replace(&root, ""));
        let mut names: Vec<String> = names.collect();
        names.sort();
        (names, found.left_out().map(|text| text.replace(&root, "")))
    }

    const FILES: [&str; 7] = [
        "day=1/a.csv",
        "day=1/_SUCCESS",
        "day=1/.part.csv.crc",
        "_temporary/b.csv",
        "day=2/deep/c.jsonl.gz",
        "README.md",
        "d.parquet",
    ];

    #[test]
    fn a_folder_is_read_as_deep_as_it_goes_and_what_is_left_out_is_said() {
        let (names, left_out) = read(&FILES, "");
        assert_eq!(names, ["d.parquet", "day=1/a.csv", "day=2/deep/c.jsonl.gz"]);
        let expected = "2 left out: README.md (unknown format), broken.csv (a link to nothing)";
        assert_eq!(left_out.as_deref(), Some(expected));
    }

    #[test]
    fn a_glob_finds_files_and_folders_and_leaves_out_the_same() {
        assert_eq!(read(&FILES, "day=*/*.csv").0, ["day=1/a.csv"]);
        assert_eq!(read(&FILES, "day=[2-9]").0, ["day=2/deep/c.jsonl.gz"]);
        assert_eq!(read(&FILES, "**/*.csv").0, ["day=1/a.csv"]);
        assert_eq!(read(&FILES, "_temp*/*.csv").0, ["_temporary/b.csv"]);
    }

    #[test]
    fn a_glob_over_objects_means_what_it_means_over_files() {
        let matches = |pattern: &str, name: &str| {
            let names: Vec<String> = name.split('/').map(str::to_owned).collect();
            matches_or_is_below(&Pattern::new(pattern).unwrap(), &names)
        };
        assert!(matches("*.csv", "a.csv") && !matches("*.csv", "deep/a.csv"));
        assert!(matches("day=[2-9]", "day=2/deep/c.csv") && !matches("day=[2-9]", "day=1/c.csv"));
        assert!(matches("**/*.csv", "a/b/c.csv"));
        assert_eq!(
            split_glob("s3://bucket/log/day=*/*.csv"),
            ("s3://bucket/log/", "day=*/*.csv")
        );
        assert_eq!(split_glob("*.csv"), ("", "*.csv"));
    }

    #[test]
    fn one_file_is_read_once_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log.csv"), "x").unwrap();
        let names = ["log.csv", "./log.csv", "*.csv"];
        let locations = names.map(|name| format!("{}/{name}", folder.path().display()));
        let sources = resolve_all(&locations).unwrap();
        assert_eq!(sources.len(), 1, "{sources:?}");
        assert!(sources[0].named);
    }

    #[test]
    fn a_location_that_is_not_there_is_named() {
        let error = resolve("/nowhere/items.csv").err().unwrap().to_string();
        assert!(
            error.contains("/nowhere/items.csv") && error.contains("no such"),
            "{error}"
        );
    }
}
