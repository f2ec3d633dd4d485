//! The two queues of a Redis.

use redis::AsyncCommands;

use super::{Kind, Queue, QueueError};
use crate::connection::Redis;

/// Partitions of each kind of queue, where nothing was said: enough to spread over a small
/// cluster, few enough that an idle worker looks at all of them several times a second.
const PARTITIONS: u32 = 4;

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
        let partitions = partitions(redis).await?;
        Ok(Queues {
            extract: Queue::new(redis.clone(), Kind::Extract, partitions),
            name: Queue::new(redis.clone(), Kind::Name, partitions),
        })
    }
}

/// How many partitions the queues have: what Redis remembers, so that all processes agree.
async fn partitions(redis: &Redis) -> Result<u32, QueueError> {
    let key = redis.keys().settings();
    let mut connection = redis.commands();
    // Not in a transaction, which a cluster that is failing over aborts instead of waiting.
    let () = connection.hset_nx(&key, "partitions", PARTITIONS).await?;
    Ok(connection.hget(&key, "partitions").await?)
}
