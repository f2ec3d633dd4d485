//! From raw items and interactions to a dataset, in memory that does not grow with the input.
//!
//! 1. Items are read and sorted by id, on disk where they do not fit; their terms are counted.
//! 2. The catalogue is written; an item's number is its rank by id.
//! 3. Interactions are read, their items looked up in the catalogue (mapped, not loaded), and
//!    sorted by (hash of the user, user, time, item).
//! 4. The sorted stream is cut into shards where one user ends and the next begins.
//!
//! What a row lacks to be taken goes to the rejects file; nothing is dropped without a count.

mod error;
mod fields;
mod interactions;
mod items;
mod pipeline;
mod progress;
mod rejects;
mod rows;
mod shards;
mod sorted;
mod source;
mod staging;

use std::path::Path;
use std::sync::Arc;

pub use error::IngestError;
pub use fields::{Columns, FieldMap};
pub use progress::{IngestProgress, Phase};
pub use rejects::Reason;

use self::staging::Staging;
use crate::dataset::{CATALOGUE_FILE, MANIFEST_FILE, Manifest, REJECTS_FILE, Storage};
use crate::terms::SalienceParams;

/// What to ingest, and how.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// Files, folders, globs or URLs of items.
    pub items: Vec<String>,
    /// Files, folders, globs or URLs of interactions.
    pub interactions: Vec<String>,
    /// Which columns are which fields.
    pub fields: FieldMap,
    /// Where the dataset goes: a folder or an object-store URL.
    pub out: String,
    /// Whether a dataset that is there is replaced.
    pub force: bool,
    /// Memory for sorting and counting, in bytes. The vocabulary and what the system maps come on
    /// top.
    pub memory: usize,
    /// Users in a shard, at most.
    pub users_per_shard: usize,
    /// Interactions in a shard, at most, unless one user has more.
    pub interactions_per_shard: usize,
    /// Share of rows that may be rejected.
    pub max_rejects: f64,
    /// Cut every history into windows of this many interactions, each a user of its own, called
    /// `user/0`, `user/1`, ...
    pub window: Option<usize>,
    /// How terms are weighed.
    pub salience: SalienceParams,
}

impl IngestOptions {
    /// Options with the defaults of the command line.
    pub fn new(items: &str, interactions: &str, out: &str) -> IngestOptions {
        IngestOptions {
            items: vec![items.into()],
            interactions: vec![interactions.into()],
            fields: FieldMap::default(),
            out: out.into(),
            force: false,
            memory: 256 << 20,
            users_per_shard: 1_000,
            interactions_per_shard: 200_000,
            max_rejects: 0.01,
            window: None,
            salience: SalienceParams::default(),
        }
    }

    /// Reads a folder in MovieLens' own layout: `movies.csv` and `ratings.csv`, or `movies.dat` and
    /// `ratings.dat`. Its `tags.csv`, free text of single users, is not used.
    ///
    /// # Errors
    /// When the folder has neither.
    pub fn movielens(mut self, folder: &str) -> Result<IngestOptions, IngestError> {
        let file = |name: &str| Path::new(folder).join(name);
        let pairs = [("movies.csv", "ratings.csv"), ("movies.dat", "ratings.dat")];
        let found = pairs
            .into_iter()
            .find(|(movies, ratings)| file(movies).is_file() && file(ratings).is_file());
        let Some((movies, ratings)) = found else {
            return Err(IngestError::Location {
                location: folder.into(),
                reason: "there is neither movies.csv with ratings.csv nor movies.dat with \
                         ratings.dat"
                    .into(),
            });
        };
        self.items = vec![file(movies).display().to_string()];
        self.interactions = vec![file(ratings).display().to_string()];
        self.fields = FieldMap::parse("item_id=movieId,tags=genres,user_id=userId,weight=rating")?;
        Ok(self)
    }

    fn validate(&self) -> Result<(), IngestError> {
        let parameter = |text: &str| Err(IngestError::Parameter(text.into()));
        if self.items.is_empty() {
            return parameter("name the items with --items");
        }
        if self.interactions.is_empty() {
            return parameter("name the interactions with --interactions");
        }
        if !(0.0..=1.0).contains(&self.max_rejects) {
            return parameter("--max-rejects must be a share from 0 to 1");
        }
        if self.users_per_shard == 0 || self.interactions_per_shard == 0 || self.window == Some(0) {
            return parameter("shards and windows must hold at least 1");
        }
        Ok(())
    }
}

/// Makes a dataset. Blocks for as long as it takes, in a thread of its own.
///
/// The dataset appears whole or not at all: it is written beside its place and renamed, or, for an
/// object store, uploaded with the manifest last. When too many rows are rejected, the rejects file
/// stays as `<out>.rejects.jsonl`.
///
/// # Errors
/// See [`IngestError`].
pub async fn ingest(
    options: IngestOptions,
    progress: Arc<IngestProgress>,
) -> Result<Manifest, IngestError> {
    let remote = options.out.contains("://") && !options.out.starts_with("file://");
    let storage = if remote {
        Some(Storage::open(&options.out)?)
    } else {
        None
    };
    if let Some(storage) = &storage
        && !options.force
        && storage.read(MANIFEST_FILE).await.is_ok()
    {
        return Err(IngestError::Exists { path: options.out });
    }
    let blocking = tokio::task::spawn_blocking(move || build(&options, remote, &progress));
    let built = blocking.await.map_err(|error| {
        IngestError::Parameter(format!("the ingest panicked, which is a bug: {error}"))
    })??;
    if let (Some(storage), Staging::Scratch(folder)) = (storage, &built.staging) {
        let manifest = &built.manifest;
        let shards = manifest.shards.iter().map(|shard| shard.file.name.as_str());
        for name in shards.chain([CATALOGUE_FILE, REJECTS_FILE, MANIFEST_FILE]) {
            storage.upload(&folder.path().join(name), name).await?;
        }
    }
    Ok(built.manifest)
}

struct Built {
    manifest: Manifest,
    staging: Staging,
}

fn build(
    options: &IngestOptions,
    remote: bool,
    progress: &IngestProgress,
) -> Result<Built, IngestError> {
    options.validate()?;
    let staging = Staging::new(options, remote)?;
    match pipeline::run(options, staging.path(), progress) {
        Ok(manifest) => Ok(Built {
            manifest,
            staging: staging.finish()?,
        }),
        Err(mut error) => {
            if let IngestError::TooManyRejects { rejects_file, .. }
            | IngestError::NothingTaken { rejects_file, .. } = &mut error
                && let Some(kept) = staging.keep_rejects(options)
            {
                *rejects_file = kept;
            }
            Err(error)
        }
    }
}
