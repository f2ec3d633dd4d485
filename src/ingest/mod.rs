//! From raw items and interactions to a dataset, in memory that does not grow with the input.
//!
//! 1. Items are read and sorted by id, on disk where they do not fit; their terms are counted. An
//!    item's number is its rank by id.
//! 2. A catalogue is written in which items can be found.
//! 3. Interactions are read, their items looked up in the catalogue (mapped, not loaded), and
//!    sorted by (hash of the user, user, time, item).
//! 4. The sorted stream is cut into shards where one user ends and the next begins.
//! 5. It is learned which terms are relevant, and the catalogue gets them; by the formula alone, it had
//!    them at once.
//! 6. From some of the shards it is learned who is about to take up something new.
//!
//! What a row lacks to be taken goes to the rejects file; nothing is dropped without a count.

mod cell;
mod error;
mod exploration;
mod interactions;
mod items;
mod json_rows;
mod location;
mod mapping;
mod order;
mod pipeline;
mod progress;
mod publication;
mod rejects;
mod rows;
mod salience;
mod shards;
mod sorted;
mod source;
mod stage;
mod staging;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::IngestError;
pub use mapping::FieldMap;
pub use progress::{IngestProgress, Phase};
pub use rejects::Reason;
pub use stage::Stage;

// Collections are found and unpacked as other input is.
pub use json_rows::JsonRowError;
pub(crate) use json_rows::{JsonRow, json_rows};

use self::location::resolve_all;
use self::source::Source;
use self::staging::Staging;
use crate::dataset::{Manifest, Storage, local_folder};
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
    /// Whether a dataset that is there is replaced. A local one keeps the data of its private Redis.
    pub force: bool,
    /// Where scratch files go, and a dataset on its way to an object store. If none is named, that
    /// is beside a local dataset, and else the system's folder for temporary files.
    pub scratch: Option<PathBuf>,
    /// Memory for sorting and counting, in bytes. The vocabulary and what the system maps come on
    /// top.
    pub memory: usize,
    /// Users in a shard, at most.
    pub users_per_shard: usize,
    /// Interactions in a shard, at most, unless one user has more.
    pub interactions_per_shard: usize,
    /// Share of the rows of items, and of those of interactions, that may be rejected. An input is
    /// given up before its end only if none of its first thousand rows was taken.
    pub max_rejects: f64,
    /// Cut every history into windows of this many interactions, each a user of its own, called
    /// `user/0`, `user/1`, ...
    pub window: Option<usize>,
    /// How terms are weighed.
    pub salience: SalienceParams,
}

impl IngestOptions {
    /// Default memory: enough that a day's log of most sites is sorted without a file.
    pub const MEMORY: usize = 256 << 20;
    /// Default of users in a shard: a job of seconds.
    pub const USERS_PER_SHARD: usize = 1_000;
    /// Default of interactions in a shard: some megabytes, read at once.
    pub const INTERACTIONS_PER_SHARD: usize = 200_000;
    /// Default share of rejects.
    pub const MAX_REJECTS: f64 = 0.01;

    /// Options with the defaults of the command line.
    pub fn new(items: &str, interactions: &str, out: &str) -> IngestOptions {
        IngestOptions {
            items: vec![items.into()],
            interactions: vec![interactions.into()],
            fields: FieldMap::default(),
            out: out.into(),
            force: false,
            scratch: None,
            memory: IngestOptions::MEMORY,
            users_per_shard: IngestOptions::USERS_PER_SHARD,
            interactions_per_shard: IngestOptions::INTERACTIONS_PER_SHARD,
            max_rejects: IngestOptions::MAX_REJECTS,
            window: None,
            salience: SalienceParams::default(),
        }
    }

    /// Reads a folder in MovieLens' own layout: `movies.csv` and `ratings.csv`, `movies.dat` and
    /// `ratings.dat`, or `u.item` and `u.data`. Its `tags.csv`, free text of single users, is not
    /// used.
    ///
    /// # Errors
    /// When the folder has none of these.
    pub fn movielens(mut self, folder: &str) -> Result<IngestOptions, IngestError> {
        let file = |name: &str| Path::new(folder).join(name);
        let pairs = [
            ("movies.csv", "ratings.csv"),
            ("movies.dat", "ratings.dat"),
            ("u.item", "u.data"),
        ];
        let found = pairs
            .into_iter()
            .find(|(movies, ratings)| file(movies).is_file() && file(ratings).is_file());
        let Some((movies, ratings)) = found else {
            return Err(IngestError::Location {
                location: folder.into(),
                reason: "there is no movies.csv with ratings.csv, no movies.dat with \
                         ratings.dat, and no u.item with u.data"
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
        Ok(self.salience.validate()?)
    }
}

/// Makes a dataset. Blocks for as long as it takes, in a thread of its own.
///
/// The dataset appears whole or not at all: it is written beside its place and renamed, or, for an
/// object store, uploaded with the manifest last. When too many rows are rejected, the rejects file
/// stays as `<out>.rejects.jsonl`, or for an object store in the folder for scratch files; the error
/// says where.
///
/// # Errors
/// See [`IngestError`].
pub async fn ingest(
    options: IngestOptions,
    progress: Arc<IngestProgress>,
) -> Result<Manifest, IngestError> {
    options.validate()?;
    let storage = match local_folder(&options.out) {
        Some(_) => None,
        None => Some(Storage::open(&options.out)?),
    };
    let force = options.force;
    if let Some(storage) = &storage
        && !force
    {
        publication::check_free(storage).await?;
    }
    let building = progress.clone();
    let (mut manifest, staging) = in_thread(move || build(&options, &building)).await??;
    if let Some(storage) = storage {
        let folder = staging.dataset();
        manifest = publication::publish(&storage, &folder, manifest, force, &progress).await?;
    }
    in_thread(move || staging.close()).await?;
    Ok(manifest)
}

/// Builds a dataset, and puts it in its place if that is a folder.
fn build(
    options: &IngestOptions,
    progress: &IngestProgress,
) -> Result<(Manifest, Staging), IngestError> {
    let staging = Staging::new(options)?;
    let built = pipeline::run(options, &staging, progress).and_then(|manifest| {
        progress.check()?;
        staging.move_in()?;
        Ok(manifest)
    });
    match built {
        Ok(manifest) => Ok((manifest, staging)),
        Err(mut error) => {
            if let IngestError::TooManyRejects { rejects_file, .. }
            | IngestError::NothingTaken { rejects_file, .. } = &mut error
                && let Some(kept) = staging.keep_rejects()
            {
                *rejects_file = kept;
            }
            Err(error)
        }
    }
}

async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, IngestError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| IngestError::Panicked(error.to_string()))
}
