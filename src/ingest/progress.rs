//! How far an ingest is. Written by the ingest, read by whoever shows it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What an ingest is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Reading and sorting items.
    Items,
    /// Counting terms.
    Terms,
    /// Writing the catalogue.
    Catalogue,
    /// Reading and sorting interactions.
    Interactions,
    /// Writing shards.
    Shards,
}

/// Counters that the ingest moves. In reading phases the unit is bytes of input, in the others
/// items or interactions.
#[derive(Debug, Default)]
pub struct IngestProgress {
    phase: AtomicU8,
    total: AtomicU64,
    done: AtomicU64,
    rows: AtomicU64,
}

impl IngestProgress {
    /// What is being done.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Items,
            1 => Phase::Terms,
            2 => Phase::Catalogue,
            3 => Phase::Interactions,
            _ => Phase::Shards,
        }
    }

    /// How much there is to do in this phase, and how much is done.
    pub fn position(&self) -> (u64, u64) {
        (
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }

    /// Rows read so far, of all inputs.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self, phase: Phase, total: u64) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }

    pub(super) fn advance(&self, by: u64) {
        self.done.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn count_row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }
}
