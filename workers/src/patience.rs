//! Waiting for Redis in the middle of a job.

use std::time::Duration;

use rand::RngExt;
use sojourn::code::{Code, Coded};
use sojourn::queue::Failure;
use tokio_util::sync::CancellationToken;

/// First pause after Redis failed; doubled while it goes on.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Does what needs Redis, again and again while Redis is in trouble: that is no fault of the job,
/// and a job that waits keeps what it has worked out. Its lease is renewed meanwhile; when that is
/// lost, the worker drops the job. `attempt` is one that may be done twice.
///
/// # Errors
/// [`Failure::Interrupted`] when `stop` is set while Redis is in trouble; [`Failure::Transient`]
/// for anything else that went wrong.
pub(crate) async fn patiently<T, E: Coded, F: Future<Output = Result<T, E>>>(
    stop: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !is_passing(error.code()) {
            return Err(Failure::Transient(error.with_code()));
        }
        let wait = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        tracing::warn!(code = %error.code(), %error, ?wait, "cannot go on with a job; waiting for Redis");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Err(Failure::Interrupted),
        }
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Whether Redis is away, or has no time, no memory, no disk, or is not the one that takes writes:
/// that says nothing of the command.
fn is_passing(code: Code) -> bool {
    use Code::{NotReady, NotSaving, OutOfMemory, ReadOnly, Unreachable};
    [Unreachable, NotReady, OutOfMemory, ReadOnly, NotSaving].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::RedisError;
    use sojourn::store::StoreError;

    fn refused(reply: &str) -> StoreError {
        let reply = format!("-{reply}\r\n");
        let value = redis::parse_redis_value(reply.as_bytes()).unwrap();
        StoreError::from(value.extract_error().unwrap_err())
    }

    #[test]
    fn a_server_in_trouble_is_waited_for_and_one_that_refuses_is_not() {
        for reply in ["OOM no memory", "READONLY a replica", "LOADING the data"] {
            assert!(is_passing(refused(reply).code()), "{reply}");
        }
        for reply in ["WRONGTYPE not a hash", "NOPERM not you", "ERR in a script"] {
            assert!(!is_passing(refused(reply).code()), "{reply}");
        }
        let dropped = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(is_passing(StoreError::from(dropped).code()));
    }

    #[tokio::test]
    async fn who_has_to_stop_does_not_wait() {
        let stop = CancellationToken::new();
        stop.cancel();
        let failed = patiently(&stop, async || Err::<(), _>(refused("OOM no memory"))).await;
        assert_eq!(failed, Err(Failure::Interrupted));
    }
}
