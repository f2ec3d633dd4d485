//! The two queues, as the scheduler and the command line use them.

use sojourn::connection::Redis;
use sojourn::queue::{DEFAULT_PARTITIONS, Kind, Queue, QueueError, partitions};

/// The two queues.
#[derive(Clone, Debug)]
pub struct Queues {
    /// Extraction jobs.
    pub extract: Queue,
    /// Naming jobs.
    pub name: Queue,
}

impl Queues {
    /// The queues in `redis`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn open(redis: &Redis) -> Result<Queues, QueueError> {
        let partitions = partitions(redis, DEFAULT_PARTITIONS).await?;
        Ok(Queues {
            extract: Queue::new(redis.clone(), Kind::Extract, partitions),
            name: Queue::new(redis.clone(), Kind::Name, partitions),
        })
    }
}
