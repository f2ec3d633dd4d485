//! The stream of requests: anybody writes to it, the leading scheduler reads it.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use rand::RngExt;
use redis::{AsyncCommands, RedisError, Script};
use sojourn::code::{Code, Coded};
use sojourn::connection::Redis;
use sojourn::run::RunId;

use crate::trigger::Request;

/// Group and consumer under which requests are read. The consumer is always the same one, so that
/// a scheduler finds what its predecessor had read and not finished.
const GROUP: &str = "scheduler";
const CONSUMER: &str = "leader";

/// Requests read at once.
const AT_ONCE: usize = 16;

/// How long a request is known as one that was made: for longer than anybody waits for a reply.
const REMEMBERED: Duration = Duration::from_secs(3600);

static SUBMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("submit.lua")));

/// A request as it was read; what is wrong with it where it cannot be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The run that is asked for.
    pub run: RunId,
    /// What is asked for.
    pub request: Result<Request, String>,
}

/// Asks for a run. Its id is that of the stream entry.
///
/// On a cluster the client makes a call again whose connection broke, so the request has a name of
/// its own: otherwise one whose reply was lost would begin two runs. Nobody else repeats it.
///
/// # Errors
/// When Redis fails. The run may have been asked for.
pub async fn submit(redis: &Redis, request: &Request) -> Result<RunId, RedisError> {
    let keys = redis.keys();
    let name = format!("{:032x}", rand::rng().random::<u128>());
    let mut call = SUBMIT.prepare_invoke();
    call.key(keys.triggers()).key(keys.asked(&name));
    call.arg(REMEMBERED.as_secs()).arg(request.to_fields());
    let entry: String = call.invoke_async(&mut redis.commands()).await?;
    RunId::parse(&entry).map_err(|error| RedisError::from(std::io::Error::other(error.to_string())))
}

/// Whether a request is there that nobody has finished yet.
///
/// # Errors
/// When Redis fails.
pub async fn holds(redis: &Redis, run: &RunId) -> Result<bool, RedisError> {
    let key = redis.keys().triggers();
    let found: Vec<redis::Value> = redis
        .commands()
        .xrange(key, run.as_str(), run.as_str())
        .await?;
    Ok(!found.is_empty())
}

/// Reads requests. None is lost: what was read and not finished, by this process before an error or
/// by a predecessor, comes again.
#[derive(Debug)]
pub struct Inbox {
    redis: Redis,
    /// Whether entries may have been read and not finished.
    unfinished: bool,
}

impl Inbox {
    /// The inbox in `redis`.
    pub fn new(redis: &Redis) -> Inbox {
        Inbox {
            redis: redis.clone(),
            unfinished: true,
        }
    }

    /// Looks for what others have read: they may have led in between.
    pub fn look_again(&mut self) {
        self.unfinished = true;
    }

    /// The next requests, oldest first; waits for up to `wait` when there is none. Each comes again
    /// until it is finished.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn receive(&mut self, wait: Duration) -> Result<Vec<Received>, RedisError> {
        if self.unfinished {
            let received = self.read("0", wait).await?;
            if !received.is_empty() {
                return Ok(received);
            }
        }
        // Until the reply is here: it may be lost on the way, and what it held was read then.
        self.unfinished = true;
        let received = self.read(">", wait).await?;
        self.unfinished = !received.is_empty();
        Ok(received)
    }

    async fn read(&self, position: &str, wait: Duration) -> Result<Vec<Received>, RedisError> {
        type Fields = HashMap<Vec<u8>, Vec<u8>>;
        type Read = Option<Vec<(String, Vec<(String, Option<Fields>)>)>>;
        let key = self.redis.keys().triggers();
        let mut connection = self.redis.blocking().await?;
        let read: Result<Read, RedisError> = redis::cmd("XREADGROUP")
            .arg(&["GROUP", GROUP, CONSUMER, "COUNT"])
            .arg(AT_ONCE)
            .arg("BLOCK")
            .arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
            .arg("STREAMS")
            .arg(&[&key, position])
            .query_async(&mut connection)
            .await;
        let read = match read {
            Err(error) if error.code() == Some("NOGROUP") => {
                let () = redis::cmd("XGROUP")
                    .arg(&["CREATE", &key, GROUP, "0", "MKSTREAM"])
                    .query_async(&mut self.redis.commands())
                    .await?;
                return Ok(Vec::new());
            }
            read => read?,
        };
        let entries = read.into_iter().flatten().flat_map(|(_, entries)| entries);
        Ok(entries
            .filter_map(|(entry, fields)| {
                // Only the server makes ids, and of no other form.
                let run = RunId::parse(&entry).ok()?;
                let request = understand(fields.unwrap_or_default());
                Some(Received { run, request })
            })
            .collect())
    }

    /// Deletes a request whose run is in the register.
    ///
    /// # Errors
    /// When Redis fails; then it comes again.
    pub async fn finish(&self, run: &RunId) -> Result<(), RedisError> {
        let key = self.redis.keys().triggers();
        redis::pipe()
            .atomic()
            .cmd("XACK")
            .arg(&[&key, GROUP, run.as_str()])
            .cmd("XDEL")
            .arg(&[&key, run.as_str()])
            .exec_async(&mut self.redis.commands())
            .await
    }
}

fn understand(fields: HashMap<Vec<u8>, Vec<u8>>) -> Result<Request, String> {
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|error| {
            let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
            Code::Request.before(format!("{shown:?} is not UTF-8"))
        })
    };
    let fields = fields
        .into_iter()
        .map(|(name, value)| Ok((text(name)?, text(value)?)))
        .collect::<Result<HashMap<String, String>, String>>()?;
    Request::from_fields(&fields).map_err(|error| error.with_code())
}
