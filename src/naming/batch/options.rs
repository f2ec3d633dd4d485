//! How batches are made.

use std::time::Duration;

/// How batches are made. The defaults are for providers that take up to a day for one.
#[derive(Clone, Copy, Debug)]
pub struct BatchOptions {
    /// How long questions are gathered, from the first one on, before they are sent.
    pub gather: Duration,
    /// How often a provider is asked how a batch is.
    pub poll: Duration,
    /// How long a process that says nothing keeps the right to create a batch: longer than all that
    /// may pass between its last look at that right and the provider's list of batches showing what
    /// it has created.
    pub lease: Duration,
    /// How long a provider that did not confirm that it has created a batch may take to show it in its
    /// list. Shorter than the lease.
    pub settling: Duration,
}

impl Default for BatchOptions {
    fn default() -> BatchOptions {
        BatchOptions {
            gather: Duration::from_secs(60),
            poll: Duration::from_secs(60),
            lease: Duration::from_secs(300),
            settling: Duration::from_secs(60),
        }
    }
}
