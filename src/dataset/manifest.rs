//! What is in a dataset.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::user_hash::{plain_user_hash, user_hash};
use super::{DatasetError, MANIFEST_FILE, Storage};
use crate::journey::Exploration;
use crate::terms::SalienceParams;

/// The format of datasets that this build writes. It also reads those of format 1, whose users are in
/// another order.
pub const FORMAT: u32 = 2;

/// Number of a shard in its dataset, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardIndex(pub u32);

/// What is in a dataset, with checksums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: u32,
    /// Content address: equal for equal content, whenever and wherever it was made. The order of
    /// rows makes no difference unless two rows repeat an item, or a user, an item and a time:
    /// of those, the row counts that comes first by the name of its file and the number of its line.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where items came from.
    pub items_from: Vec<String>,
    /// Where interactions came from.
    pub interactions_from: Vec<String>,
    /// Which columns were read for which fields, where they are not called so.
    #[serde(default)]
    pub mapping: ColumnMap,
    /// How many interactions were made a user of its own, if histories were cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// How terms were weighed.
    pub salience: SalienceParams,
    /// The coefficients by which it was learned which terms are relevant, by the names of the features,
    /// if that was asked for and there was enough to learn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relevance: Option<BTreeMap<String, f64>>,
    /// What its histories say about taking up something new, if they say anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploration: Option<Exploration>,
    /// How much there is.
    pub counts: Counts,
    /// The catalogue file.
    pub catalogue: FileSummary,
    /// The shards, by ascending user hash.
    pub shards: Vec<ShardSummary>,
    /// The rows that were not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<FileSummary>,
}

/// For fields, the columns that they were read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnMap {
    /// For fields of items.
    pub items: BTreeMap<String, Vec<String>>,
    /// For fields of interactions.
    pub interactions: BTreeMap<String, Vec<String>>,
}

/// How much there is in a dataset, and what was not taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Items in the catalogue.
    pub items: u64,
    /// Items of which no text says what they are about.
    pub items_without_terms: u64,
    /// Different terms in the catalogue.
    pub terms: u64,
    /// Users with at least one interaction.
    pub users: u64,
    /// Interactions in the shards.
    pub interactions: u64,
    /// Rows that were read, of items and interactions.
    pub rows: u64,
    /// Rows that were not taken, by reason; each is in the rejects file. A row that a stray quote
    /// has made of several lines counts as so many.
    pub rejects: BTreeMap<String, u64>,
    /// Interactions that came earlier in the input than an older one of the same user, wherever in
    /// the input that was. Nothing is lost: shards are sorted.
    pub out_of_order: u64,
    /// The first row of the input of which that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_out_of_order: Option<InputPlace>,
    /// Rows that repeat an item in files that are read for items and for interactions: there an
    /// item comes as often as somebody met it, and the first row is the one that counts.
    #[serde(default)]
    pub repeated_items: u64,
    /// First interaction, in milliseconds since 1970.
    pub first_timestamp: i64,
    /// Last interaction, in milliseconds since 1970. What is ongoing is judged against it.
    pub last_timestamp: i64,
}

/// A row of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPlace {
    /// The file, as it was found.
    pub file: String,
    /// Line, from 1; in Parquet the row, from 1.
    pub line: u64,
}

/// A file with its checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    /// Path inside the dataset.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in hex, as `sha256sum` prints it.
    pub sha256: String,
}

/// A shard of the population.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardSummary {
    /// Its number.
    pub index: ShardIndex,
    /// Its file.
    #[serde(flatten)]
    pub file: FileSummary,
    /// How many users it has.
    pub users: u64,
    /// How many interactions they have.
    pub interactions: u64,
    /// Smallest hash of a user in it, in hex. See [`user_hash`].
    #[serde(with = "hex")]
    pub first_hash: u64,
    /// Largest hash of a user in it, in hex.
    #[serde(with = "hex")]
    pub last_hash: u64,
    /// Last interaction of any of its users, in milliseconds since 1970.
    pub latest: i64,
}

impl Manifest {
    /// Reads the manifest of the dataset at `location`, a folder or a URL.
    ///
    /// # Errors
    /// When there is no dataset, or not one of a format that this build reads.
    pub async fn load(location: &str) -> Result<Manifest, DatasetError> {
        Manifest::read(&Storage::open(location)?).await
    }

    pub(crate) async fn read(storage: &Storage) -> Result<Manifest, DatasetError> {
        let bytes = storage.read(MANIFEST_FILE).await?;
        let damaged = |error: serde_json::Error| storage.damaged(MANIFEST_FILE, error.to_string());
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if (1..=u64::from(FORMAT)).contains(&format) => {}
            Some(found) => {
                return Err(DatasetError::UnknownFormat {
                    location: storage.location().into(),
                    found: u32::try_from(found).unwrap_or(u32::MAX),
                });
            }
            None => return Err(storage.damaged(MANIFEST_FILE, "it has no format".into())),
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(damaged)?;
        if manifest.content_id() != manifest.id {
            let reason = "its content does not match its id".into();
            return Err(storage.damaged(MANIFEST_FILE, reason));
        }
        Ok(manifest)
    }

    /// Whether users are in the order of the slots that their keys have in a Redis Cluster. They are since
    /// format 2.
    pub fn is_in_slot_order(&self) -> bool {
        self.format > 1
    }

    /// The shard that has a user, if any has: users lie in ranges of their hashes.
    pub fn shard_of(&self, user: &str) -> Option<ShardIndex> {
        let hash = match self.is_in_slot_order() {
            true => user_hash(user),
            false => plain_user_hash(user),
        };
        let at = self.shards.partition_point(|shard| shard.last_hash < hash);
        self.shards
            .get(at)
            .filter(|shard| shard.first_hash <= hash)
            .map(|shard| shard.index)
    }

    /// All files but the manifest itself.
    pub fn files(&self) -> impl Iterator<Item = &FileSummary> {
        std::iter::once(&self.catalogue)
            .chain(self.shards.iter().map(|shard| &shard.file))
            .chain(&self.rejects)
    }

    /// The same dataset with file names that have the checksums in them.
    #[must_use]
    pub fn named_by_checksum(mut self) -> Manifest {
        self.catalogue.name_by_checksum();
        self.shards
            .iter_mut()
            .for_each(|shard| shard.file.name_by_checksum());
        self.rejects
            .iter_mut()
            .for_each(FileSummary::name_by_checksum);
        self
    }

    /// The content address: a hash over the checksums of the files and over what else a result
    /// depends on, but not over where and when the dataset was made.
    pub fn content_id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.format.to_le_bytes());
        hash.update(self.counts.last_timestamp.to_le_bytes());
        let files = std::iter::once(&self.catalogue).chain(self.shards.iter().map(|s| &s.file));
        for file in files {
            hash.update(file.sha256.as_bytes());
        }
        hex::text(&hash.finalize()[..8])
    }
}

impl FileSummary {
    /// Summarises a file at `path` that is called `name` in the dataset.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path, name: String) -> std::io::Result<FileSummary> {
        let bytes = path.metadata()?.len();
        Ok(FileSummary {
            name,
            bytes,
            sha256: sha256_of_file(path)?,
        })
    }

    /// `shards/00000.parquet` becomes `shards/00000-6d0f1a2b3c4d5e6f.parquet`.
    fn name_by_checksum(&mut self) {
        // 64 bits tell the files of one dataset apart, and those of the one that it replaces.
        const DIGITS: usize = 16;
        let sum = self.sha256.get(..DIGITS).unwrap_or(&self.sha256);
        self.name = match self.name.rsplit_once('.') {
            Some((stem, extension)) => format!("{stem}-{sum}.{extension}"),
            None => format!("{}-{sum}", self.name),
        };
    }

    /// Compares a local file with this summary, reading it a part at a time.
    ///
    /// # Errors
    /// What differs.
    pub fn check_file(&self, path: &Path) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        let bytes = path.metadata().map_err(text)?.len();
        self.compare(bytes, &sha256_of_file(path).map_err(text)?)
    }

    /// Compares a file's content with this summary.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, content: &[u8]) -> Result<(), String> {
        self.compare(content.len() as u64, &hex::text(&Sha256::digest(content)))
    }

    fn compare(&self, bytes: u64, sha256: &str) -> Result<(), String> {
        if bytes != self.bytes {
            return Err(format!("it has {bytes} bytes instead of {}", self.bytes));
        }
        if sha256 != self.sha256 {
            return Err("its checksum is not the one in the manifest".into());
        }
        Ok(())
    }
}

/// SHA-256 of a file in hex.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of_file(path: &Path) -> std::io::Result<String> {
    const BUFFER: usize = 1 << 20;
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::text(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Numbers as hex in JSON: JSON numbers lose the low bits of a 64-bit hash in most readers.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{number:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}
