//! How far an ingest is, and whether it is to go on: written by the ingest, read by whoever shows
//! it, and the other way round.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::IngestError;

/// What an ingest is doing, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Reading and sorting items.
    Items,
    /// Counting terms.
    Terms,
    /// Writing down the places of items, if what terms weigh is learned from interactions.
    Places,
    /// Reading and sorting interactions.
    Interactions,
    /// Cutting histories into windows, if that was asked for.
    Windows,
    /// Writing shards.
    Shards,
    /// Learning which terms are relevant, unless they are weighed by the formula.
    Salience,
    /// Finding the terms of items; by the formula before the interactions.
    Catalogue,
    /// Adding terms that they go together with.
    Related,
    /// Uploading, if the dataset goes to an object store.
    Upload,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Phase; 10] = [
        Phase::Items,
        Phase::Terms,
        Phase::Places,
        Phase::Interactions,
        Phase::Windows,
        Phase::Shards,
        Phase::Salience,
        Phase::Catalogue,
        Phase::Related,
        Phase::Upload,
    ];

    /// What its steps are.
    pub fn unit(self) -> &'static str {
        match self {
            Phase::Items | Phase::Interactions | Phase::Upload => "bytes",
            Phase::Terms | Phase::Places | Phase::Salience | Phase::Catalogue | Phase::Related => {
                "items"
            }
            Phase::Windows | Phase::Shards => "interactions",
        }
    }
}

/// Counters that the ingest moves, and a token that ends it.
#[derive(Debug, Default)]
pub struct IngestProgress {
    stop: CancellationToken,
    phase: AtomicU8,
    steps: [Steps; Phase::ALL.len()],
    rows: AtomicU64,
}

/// How much there is to do in a phase, and how much is done.
#[derive(Debug, Default)]
struct Steps {
    total: AtomicU64,
    done: AtomicU64,
}

impl IngestProgress {
    /// Of an ingest that ends with [`IngestError::Stopped`] when `stop` is cancelled.
    pub fn until(stop: CancellationToken) -> IngestProgress {
        IngestProgress {
            stop,
            ..IngestProgress::default()
        }
    }

    /// What is being done.
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed))]
    }

    /// How much of a phase is done, and how much there is to do, in its unit. Both are 0 until it
    /// begins.
    pub fn position(&self, phase: Phase) -> (u64, u64) {
        let steps = &self.steps[phase as usize];
        let (done, total) = (&steps.done, &steps.total);
        (done.load(Ordering::Relaxed), total.load(Ordering::Relaxed))
    }

    /// Rows read so far, of all inputs.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self, phase: Phase, total: u64) {
        let steps = &self.steps[phase as usize];
        steps.total.store(total, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Counts steps of the phase at hand.
    pub(super) fn advance(&self, by: u64) {
        let steps = &self.steps[self.phase() as usize];
        steps.done.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn count_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`IngestError::Stopped`]
    pub(super) fn check(&self) -> Result<(), IngestError> {
        match self.stop.is_cancelled() {
            true => Err(IngestError::Stopped),
            false => Ok(()),
        }
    }

    /// The same for readers and writers of bytes, which know no other errors.
    pub(super) fn go_on(&self) -> io::Result<()> {
        self.check().map_err(io::Error::other)
    }
}
