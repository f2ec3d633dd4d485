//! The clustering alone, without what is said about journeys.

use crate::catalogue::Catalogue;
use crate::item::ItemIndex;
use crate::journey::{Clusters, Icpc, ItemVectors, JourneyParams};

/// Finds journeys in lists of items; its memory is used again.
pub(super) struct Clusterer<'a> {
    catalogue: &'a Catalogue,
    parameters: JourneyParams,
    vectors: ItemVectors,
    icpc: Icpc,
}

impl Clusterer<'_> {
    pub(super) fn new(catalogue: &Catalogue, parameters: JourneyParams) -> Clusterer<'_> {
        Clusterer {
            catalogue,
            parameters,
            vectors: ItemVectors::default(),
            icpc: Icpc::default(),
        }
    }

    /// The journeys in a history of these items, in time order, as positions.
    pub(super) fn cluster(&mut self, items: &[ItemIndex]) -> &Clusters {
        self.vectors.fill(self.catalogue, items.iter().copied());
        self.icpc.cluster(&self.vectors, &self.parameters)
    }

    /// The walk through such a history alone, see [`Icpc::walk`].
    pub(super) fn walk(&mut self, items: &[ItemIndex]) -> &[u32] {
        self.vectors.fill(self.catalogue, items.iter().copied());
        self.icpc.walk(&self.vectors, &self.parameters)
    }
}
