//! What commands are sent through.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::try_join_all;
use redis::aio::ConnectionLike;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult, Value};

use super::link::{Blocking, Commands, Link, Links};

/// A handle for commands that answer at once. Cheap to clone; all share one connection to each
/// server. A command that fails is not sent again, but on a cluster: there one may be whose connection
/// broke, so it may be done twice.
#[derive(Clone)]
pub struct Connection {
    links: Arc<Links>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(links: Arc<Links>) -> Connection {
        Connection { links }
    }

    /// Sends commands that may be about keys of different slots, and waits for all replies: one round
    /// trip on one server, one for each command, all at once, on a cluster.
    ///
    /// # Errors
    /// The first that there was. The other commands may have been done.
    pub async fn all<T: FromRedisValue>(&self, commands: Vec<Cmd>) -> RedisResult<Vec<T>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let link = self.links.get().await?;
        let replies = match link.commands.clone() {
            Commands::Server(mut server) => {
                let mut pipeline = redis::pipe();
                for command in commands {
                    pipeline.add_command(command);
                }
                pipeline.query_async(&mut server).await
            }
            Commands::Cluster(cluster) => {
                let ask = async |command: Cmd| command.query_async(&mut cluster.clone()).await;
                try_join_all(commands.into_iter().map(ask)).await
            }
        };
        self.links.judge(&link, &replies);
        replies.map_err(first_refusal)
    }
}

/// The replies, or the first of them that is an error.
fn without_refusals(replies: Vec<Value>) -> RedisResult<Vec<Value>> {
    replies.into_iter().map(Value::extract_error).collect()
}

/// Of many commands that were refused, each for the same reason most of the time, the first: an error
/// with all of them is longer than anybody reads, and that a transaction was aborted for them does not
/// say what to do.
fn first_refusal(error: RedisError) -> RedisError {
    let first = error.clone().into_server_errors();
    let first = first.as_ref().and_then(|errors| errors.first());
    first.map_or(error, |(_, refusal)| refusal.clone().into())
}

/// Sends a command through a link, and drops that if it turns out to be of no use any more.
async fn send(
    links: &Links,
    link: &Arc<Link>,
    to: &mut (dyn ConnectionLike + Send),
    command: &Cmd,
) -> RedisResult<Value> {
    let reply = to.req_packed_command(command).await;
    let reply = reply.and_then(Value::extract_error);
    links.judge(link, &reply);
    reply
}

/// The same for a pipeline.
async fn send_all(
    links: &Links,
    link: &Arc<Link>,
    to: &mut (dyn ConnectionLike + Send),
    pipeline: &Pipeline,
    (offset, count): (usize, usize),
) -> RedisResult<Vec<Value>> {
    let replies = to.req_packed_commands(pipeline, offset, count).await;
    let replies = replies.and_then(without_refusals).map_err(first_refusal);
    links.judge(link, &replies);
    replies
}

impl Commands {
    fn connection(&mut self) -> &mut (dyn ConnectionLike + Send) {
        match self {
            Commands::Server(server) => server,
            Commands::Cluster(cluster) => cluster,
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let link = self.links.get().await?;
            let mut commands = link.commands.clone();
            send(&self.links, &link, commands.connection(), command).await
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        async move {
            let link = self.links.get().await?;
            let (mut commands, slice) = (link.commands.clone(), (offset, count));
            send_all(&self.links, &link, commands.connection(), pipeline, slice).await
        }
        .boxed()
    }

    /// Nobody here asks for it; the client wants it for transactions over several databases.
    fn get_db(&self) -> i64 {
        0
    }
}

/// A connection for one read at a time that blocks.
pub struct BlockingConnection {
    links: Arc<Links>,
    link: Arc<Link>,
    inner: Inner,
}

enum Inner {
    Server(deadpool_redis::Connection),
    Cluster(ClusterConnection),
}

impl fmt::Debug for BlockingConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingConnection").finish_non_exhaustive()
    }
}

impl BlockingConnection {
    pub(super) async fn get(links: Arc<Links>) -> RedisResult<BlockingConnection> {
        let link = links.get().await?;
        let inner = match &link.blocking {
            Blocking::Server(pool) => {
                pool.get()
                    .await
                    .map(Inner::Server)
                    .map_err(|error| match error {
                        deadpool_redis::PoolError::Backend(error) => error,
                        other => RedisError::from(std::io::Error::other(other.to_string())),
                    })
            }
            Blocking::Cluster(cluster) => Ok(Inner::Cluster(cluster.clone())),
        };
        links.judge(&link, &inner);
        let inner = inner?;
        Ok(BlockingConnection { links, link, inner })
    }
}

impl Inner {
    fn connection(&mut self) -> &mut (dyn ConnectionLike + Send) {
        match self {
            Inner::Server(server) => server,
            Inner::Cluster(cluster) => cluster,
        }
    }
}

impl ConnectionLike for BlockingConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        send(&self.links, &self.link, self.inner.connection(), command).boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let slice = (offset, count);
        send_all(
            &self.links,
            &self.link,
            self.inner.connection(),
            pipeline,
            slice,
        )
        .boxed()
    }

    /// See [`Connection`]'s.
    fn get_db(&self) -> i64 {
        0
    }
}
