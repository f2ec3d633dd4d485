//! Waiting for Redis in the middle of a job.

use std::time::Duration;

use sojourn::backoff::Backoff;
use sojourn::code::{Code, Coded};
use sojourn::health::Contact;
use sojourn::queue::Failure;
use tokio_util::sync::CancellationToken;

/// How long a call that is under way may still take when the worker has to stop. What it writes is
/// fenced, and may be written again.
const GRACE: Duration = Duration::from_secs(1);

/// What a job needs to wait for Redis: when to stop waiting, and whom to tell.
pub(crate) struct Patience<'a> {
    pub stop: &'a CancellationToken,
    pub contact: Contact,
}

impl Patience<'_> {
    /// Does what needs Redis, again and again while Redis is in trouble: that is no fault of the job,
    /// and a job that waits keeps what it has worked out. Its lease is renewed meanwhile; when that
    /// is lost, the worker drops the job. `attempt` is one that may be done twice.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] when `stop` is set while Redis is in trouble; [`Failure::Transient`]
    /// for anything else that went wrong.
    pub async fn with<T, E: Coded, F: Future<Output = Result<T, E>>>(
        &mut self,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Failure> {
        let mut backoff = Backoff::default();
        loop {
            let out_of_time = async {
                self.stop.cancelled().await;
                tokio::time::sleep(GRACE).await;
            };
            let done = tokio::select! {
                done = attempt() => done,
                () = out_of_time => return Err(Failure::Interrupted),
            };
            let error = match done {
                Ok(value) => {
                    self.contact.succeeded();
                    return Ok(value);
                }
                Err(error) => error,
            };
            if !is_passing(error.code()) {
                return Err(Failure::Transient(error.with_code()));
            }
            self.contact.failed(&error);
            tokio::select! {
                () = tokio::time::sleep(backoff.pause()) => {}
                () = self.stop.cancelled() => return Err(Failure::Interrupted),
            }
        }
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
    use sojourn::health::Health;
    use sojourn::store::StoreError;

    fn refused(reply: &str) -> StoreError {
        let reply = format!("-{reply}\r\n");
        let value = redis::parse_redis_value(reply.as_bytes()).unwrap();
        StoreError::from(value.extract_error().unwrap_err())
    }

    #[test]
    fn a_server_in_trouble_is_waited_for_and_one_that_refuses_is_not() {
        for reply in [
            "OOM no memory",
            "READONLY a replica",
            "LOADING the data",
            "NOSCRIPT forgotten",
        ] {
            assert!(is_passing(refused(reply).code()), "{reply}");
        }
        for reply in ["WRONGTYPE not a hash", "NOPERM not you", "ERR in a script"] {
            assert!(!is_passing(refused(reply).code()), "{reply}");
        }
        let dropped = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(is_passing(StoreError::from(dropped).code()));
    }

    #[tokio::test]
    async fn who_has_to_stop_waits_neither_for_better_times_nor_for_an_answer() {
        let stop = CancellationToken::new();
        stop.cancel();
        let health = Health::new("test".into(), "w".into(), 1, Duration::from_secs(60));
        let mut patience = Patience {
            stop: &stop,
            contact: health.contact(),
        };
        let refused = patience.with(async || Err::<(), _>(refused("OOM no memory")));
        assert_eq!(refused.await, Err(Failure::Interrupted));
        let silent = patience.with(std::future::pending::<Result<(), StoreError>>);
        assert_eq!(silent.await, Err(Failure::Interrupted));
    }

    #[tokio::test]
    async fn who_waits_says_for_what() {
        let health = Health::new("test".into(), "w".into(), 1, Duration::from_secs(60));
        let stop = CancellationToken::new();
        let mut patience = Patience {
            stop: &stop,
            contact: health.contact(),
        };
        let mut answers = vec![Ok(()), Err(refused("OOM no memory"))];
        let mut said = None;
        let done = patience.with(|| {
            said = health.report().waiting_for;
            std::future::ready(answers.pop().unwrap())
        });
        assert_eq!(done.await, Ok(()));
        assert!(said.unwrap().contains("SJ106"));
        assert_eq!(health.report().waiting_for, None);
    }
}
