//! A folder for one test, and what all tests do with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sojourn::dataset::{Dataset, DatasetError, Manifest};
use sojourn::history::History;
use sojourn::ingest::{IngestError, IngestOptions, IngestProgress, ingest};
use tempfile::TempDir;

pub struct Workspace {
    folder: TempDir,
}

/// (item id, milliseconds since 1970, weight)
pub type Event = (String, i64, f32);

impl Workspace {
    pub fn new() -> Workspace {
        Workspace {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn location(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// Options for items and interactions that were written here, to a dataset here.
    pub fn options(&self, items: &str, interactions: &str) -> IngestOptions {
        IngestOptions::new(
            &self.location(items),
            &self.location(interactions),
            &self.location("dataset"),
        )
    }

    /// What is in the folder, apart from inputs.
    pub fn outputs(&self, inputs: &[&str]) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| !inputs.contains(&name.as_str()));
        names.sort();
        names
    }

    /// The rows of a rejects file.
    pub fn rejects(&self, name: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

pub fn run(options: IngestOptions) -> Result<Manifest, IngestError> {
    run_with(options, &Arc::default())
}

pub fn run_with(
    options: IngestOptions,
    progress: &Arc<IngestProgress>,
) -> Result<Manifest, IngestError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(ingest(options, progress.clone()))
}

/// What an ingest that cannot be done says.
pub fn refusal(options: IngestOptions) -> String {
    run(options).unwrap_err().to_string()
}

/// Asserts that a message has all of these parts.
#[track_caller]
pub fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

pub fn open(location: &str, cache: &Path) -> Result<Dataset, DatasetError> {
    block_on(Dataset::open(location, cache))
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// All histories, in the order of shards.
pub fn all_histories(dataset: &Dataset) -> Vec<History> {
    let shards = dataset.manifest().shards.iter();
    shards
        .flat_map(|shard| block_on(dataset.read_shard(shard.index)).unwrap())
        .collect()
}

/// What every user did, with the ids of the outside.
pub fn events(dataset: &Dataset) -> BTreeMap<String, Vec<Event>> {
    let event = |interaction: &sojourn::history::Interaction| {
        let item = dataset.catalogue().item_id(interaction.item).to_owned();
        (item, interaction.timestamp, interaction.weight)
    };
    all_histories(dataset)
        .into_iter()
        .map(|history| {
            (
                history.user,
                history.interactions.iter().map(event).collect(),
            )
        })
        .collect()
}
