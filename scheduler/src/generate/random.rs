//! Random numbers: a stream of its own for everything that is drawn.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// What something is drawn for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    /// Which topic an item is about, and its words.
    Item,
    /// Which of a topic's items are popular.
    Topic,
    /// How long histories are.
    Lengths,
    /// A history.
    User,
}

/// The generator for the thing of this number.
///
/// The seed, the stream and the number are the key of a cipher (ChaCha), so no two streams have
/// anything in common, however close their numbers are.
pub(super) fn rng(seed: u64, stream: Stream, number: u32) -> StdRng {
    let mut key = <StdRng as SeedableRng>::Seed::default();
    let parts = [seed, stream as u64, u64::from(number)];
    for (bytes, part) in key.chunks_exact_mut(8).zip(parts) {
        bytes.copy_from_slice(&part.to_le_bytes());
    }
    StdRng::from_seed(key)
}
