//! A script that is called for many keys at once.

use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind};

use super::Redis;

/// How often a script is loaded for one batch: the servers may forget it, or be others, in between.
const MAX_LOADS: usize = 3;

/// A Lua script whose calls are sent together. Each call keeps to one slot; one that is made twice
/// must do no harm.
pub(crate) struct BatchScript {
    source: &'static str,
    hash: String,
}

impl BatchScript {
    pub(crate) fn new(source: &'static str) -> Self {
        BatchScript {
            source,
            hash: Script::new(source).get_hash().to_owned(),
        }
    }

    /// A call with these keys; its arguments are to follow.
    pub(crate) fn call(&self, keys: &[&str]) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(keys.len()).arg(keys);
        call
    }

    /// Makes all calls in one round trip. Where a server turns out not to know the script, all are
    /// made again, also those that have had their effect.
    ///
    /// # Errors
    /// The first that there was. The other calls may have been made.
    pub(crate) async fn query<T: FromRedisValue>(
        &self,
        redis: &Redis,
        calls: Vec<Cmd>,
    ) -> RedisResult<Vec<T>> {
        let mut connection = redis.commands();
        let mut loads = 0;
        loop {
            match connection.all(calls.clone()).await {
                Err(error)
                    if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
                        && loads < MAX_LOADS =>
                {
                    // On every node of a cluster.
                    let mut load = redis::cmd("SCRIPT");
                    load.arg("LOAD").arg(self.source);
                    let () = load.query_async(&mut connection).await?;
                    loads += 1;
                }
                replies => return replies,
            }
        }
    }
}
