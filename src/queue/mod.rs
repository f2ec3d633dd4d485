//! The queue: Redis Streams with consumer groups, leases that are renewed, and one script that
//! ends a job.
//!
//! A job is ready (in a lane), leased (pending in the group), waiting for another attempt (a
//! sorted set), parked while its run is paused (a stream of the run), or dead (a stream of its own).
//! Two kinds of jobs, each with a high and a low lane, are spread over partitions; everything of a
//! partition shares a hash tag. The life of a job is [`Queue::enqueue`], [`Queue::take`],
//! [`Queue::renew`], [`Queue::settle`]; [`Consumer`] lives it for a worker.

mod census;
mod codec;
mod consumer;
mod control;
mod dead;
mod delivery;
mod enqueue;
mod group;
mod lane;
mod lease;
mod letter;
mod outcome;
mod partitions;
mod queues;
mod restart;
mod rotation;
mod settlement;
mod standing;

pub use census::Missing;
pub use codec::{CodecError, Payload, decode, encode};
pub use consumer::{Consumer, ConsumerOptions, Summary, Unusable, Work};
pub use dead::Replayed;
pub use enqueue::{Enqueued, NewJob};
pub use lane::{Kind, Lane};
pub use lease::{Lease, Renewal};
pub use letter::{InvalidLetterId, Letter, LetterId};
pub use outcome::{Counts, Failure, Outcome, RetryPolicy};
pub use partitions::{KEEP_RUNS, Queue, QueueError};
pub use queues::Queues;
pub use restart::KeptCounts;
pub use standing::Standing;
