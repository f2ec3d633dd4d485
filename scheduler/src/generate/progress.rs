//! How far a population is, and whether it is to go on.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::GenerateError;

/// Counters that move while a population is written, and a token that ends it.
#[derive(Debug, Default)]
pub struct GenerateProgress {
    stop: CancellationToken,
    items: AtomicU64,
    interactions: AtomicU64,
}

impl GenerateProgress {
    /// Of a population that ends with [`GenerateError::Stopped`] when `stop` is cancelled.
    pub fn until(stop: CancellationToken) -> GenerateProgress {
        GenerateProgress {
            stop,
            ..GenerateProgress::default()
        }
    }

    /// Items written so far. All of them come before the first interaction.
    pub fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }

    /// Interactions written so far.
    pub fn interactions(&self) -> u64 {
        self.interactions.load(Ordering::Relaxed)
    }

    pub(super) fn count_items(&self, items: usize) {
        self.items.fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(super) fn count_interactions(&self, interactions: usize) {
        let interactions = interactions as u64;
        self.interactions.fetch_add(interactions, Ordering::Relaxed);
    }

    /// Whether to go on.
    pub(super) fn check(&self) -> Result<(), GenerateError> {
        match self.stop.is_cancelled() {
            true => Err(GenerateError::Stopped),
            false => Ok(()),
        }
    }
}
