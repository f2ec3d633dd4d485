//! What the histories of a dataset say about taking up something new.

use super::IngestError;
use super::pipeline::Ingest;
use super::shards::sample;
use crate::catalogue::Catalogue;
use crate::dataset::{CATALOGUE_FILE, ShardSummary};
use crate::journey::{Exploration, Icpc, ItemVectors, JourneyParams};

/// Learns from some of the histories when the next item opens a journey, by the default parameters.
/// None where they do not say.
pub(super) fn learn(
    ingest: &Ingest<'_>,
    shards: &[ShardSummary],
) -> Result<Option<Exploration>, IngestError> {
    let catalogue = Catalogue::open(&ingest.folder.join(CATALOGUE_FILE))?;
    let parameters = JourneyParams::default();
    let (mut icpc, mut vectors) = (Icpc::default(), ItemVectors::default());
    let mut walks = Vec::new();
    sample(ingest, shards, catalogue.len(), |history| {
        let visits = history.visits();
        let most = parameters.max_history as usize;
        let visited = visits.iter().map(|visit| visit.item).take(most);
        vectors.fill(&catalogue, visited);
        walks.push(icpc.walk(&vectors, &parameters).to_vec());
    })?;
    Ok(Exploration::learned(&walks))
}
