//! What the histories of a dataset say about taking up something new.

use bytes::Bytes;

use super::IngestError;
use super::pipeline::Ingest;
use crate::catalogue::Catalogue;
use crate::dataset::{CATALOGUE_FILE, ShardSummary, decode_shard};
use crate::journey::{Exploration, Icpc, ItemVectors, JourneyParams};

/// Shards that are looked at, evenly spaced. Users are spread over shards by a hash, so that a few
/// shards say what all do.
const MOST_SHARDS: usize = 16;

/// Learns from some of the shards when the next item of a history opens a journey, by the default
/// parameters. None where the histories do not say.
pub(super) fn learn(
    ingest: &Ingest<'_>,
    shards: &[ShardSummary],
) -> Result<Option<Exploration>, IngestError> {
    let path = ingest.folder.join(CATALOGUE_FILE);
    let catalogue = Catalogue::open(&path)?;
    let parameters = JourneyParams::default();
    let (mut icpc, mut vectors) = (Icpc::default(), ItemVectors::default());
    let mut walks = Vec::new();
    for shard in shards
        .iter()
        .step_by(shards.len().div_ceil(MOST_SHARDS).max(1))
    {
        ingest.progress.check()?;
        let path = ingest.folder.join(&shard.file.name);
        let bytes = std::fs::read(&path).map_err(|error| IngestError::write(&path, error))?;
        let histories = decode_shard(Bytes::from(bytes), catalogue.len())
            .map_err(|reason| IngestError::write(&path, std::io::Error::other(reason)))?;
        for history in histories {
            let visits = history.visits();
            let most = parameters.max_history as usize;
            let visited = visits.iter().map(|visit| visit.item).take(most);
            vectors.fill(&catalogue, visited);
            walks.push(icpc.walk(&vectors, &parameters));
        }
    }
    Ok(Exploration::learned(&walks))
}
