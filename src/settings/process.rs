//! How a process starts, what it writes about itself, and how it is asked to stop.

use std::error::Error;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::causes::explain;
use crate::code::{Code, ReadCode};

/// Runs a program to its end: starts the log at `default_level` (see [`start_log`]), makes TLS
/// work, and waits for `program` in a runtime with a thread for each core. An error is printed with
/// its code and its causes, in one line on standard error; what the process exits with follows from
/// the code. `known` reads codes of errors that only the program has.
pub fn run<E: AsRef<dyn Error + Send + Sync>>(
    default_level: &str,
    program: impl Future<Output = Result<ExitCode, E>>,
    known: &[ReadCode],
) -> ExitCode {
    start_log(default_level);
    install_tls();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let code = Code::Other;
            eprintln!("error[{code}]: cannot start the runtime: {error}");
            return ExitCode::from(code.exit());
        }
    };
    let ended = runtime.block_on(program);
    // A thread that reads standard input, or a call that nobody waits for any more, must not hold
    // up the end.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => {
            let code = Code::of(error.as_ref(), known);
            eprintln!("error[{code}]: {}", explain(error.as_ref()));
            ExitCode::from(code.exit())
        }
    }
}

/// Starts the log on standard error. `SOJOURN_LOG` selects what is logged (`info`, `debug`,
/// `sojourn=trace`); `SOJOURN_LOG_FORMAT=json` writes it for machines.
pub fn start_log(default_level: &str) {
    // What the client of Redis warns of, errors say as well, and they say what was to be done.
    let default = format!("{default_level},redis=error");
    let filter = tracing_subscriber::EnvFilter::try_from_env("SOJOURN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start, as in tests, leaves the first log in place.
    let _ = if std::env::var("SOJOURN_LOG_FORMAT").is_ok_and(|format| format == "json") {
        log.json().try_init()
    } else {
        log.with_target(false).try_init()
    };
}

/// Makes TLS work: one provider for Redis, object stores and model endpoints.
pub fn install_tls() {
    // Only the first installation counts; that it came earlier is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A token that is set by SIGTERM or SIGINT, and with `owned` also when standard input ends: then
/// the process that started this one is gone. A second signal ends the process at once.
pub fn stop_signal(owned: bool) -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    // Here, and not in the task: from now on, no signal ends the process in the middle of something.
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        tokio::select! {
            () = signals.next() => {}
            () = orphaned(), if owned => {}
        }
        stop.cancel();
        signals.next().await;
        eprintln!("asked to stop again; ending at once");
        std::process::exit(Code::Interrupted.exit().into());
    });
    token
}

/// Returns when standard input ends.
async fn orphaned() {
    let ended = tokio::task::spawn_blocking(|| {
        // Whatever comes in is read until there is no more; that it failed means the same.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    });
    let _ = ended.await;
}

/// Requests to stop from outside.
struct Signals([Option<Signal>; 2]);

impl Signals {
    fn listen() -> Signals {
        // A process that cannot listen is ended by the signals, as it would be without this.
        let listen = |kind| signal(kind).ok();
        Signals([SignalKind::terminate(), SignalKind::interrupt()].map(listen))
    }

    async fn next(&mut self) {
        let next = async |of: &mut Option<Signal>| match of {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        };
        let [terminate, interrupt] = &mut self.0;
        tokio::select! {
            () = next(terminate) => {}
            () = next(interrupt) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SettingsError;

    /// An error of a program, as `anyhow` makes them.
    type Failure = Box<dyn Error + Send + Sync>;

    async fn fails(error: impl Into<Failure>) -> Result<ExitCode, Failure> {
        Err(error.into())
    }

    async fn ends_with(code: u8) -> Result<ExitCode, Failure> {
        Ok(ExitCode::from(code))
    }

    #[test]
    fn a_program_ends_with_the_code_that_it_returns() {
        assert_eq!(run("off", ends_with(4), &[]), ExitCode::from(4));
    }

    #[test]
    fn a_program_that_fails_ends_with_the_exit_code_of_its_error() {
        let no_redis = SettingsError::NoRedis;
        assert_eq!(run("off", fails(no_redis), &[]), ExitCode::from(3));
        let no_file = std::io::Error::other("no such file");
        assert_eq!(run("off", fails(no_file), &[]), ExitCode::from(1));
        let no_file = std::io::Error::other("no such file");
        let of_io: ReadCode = |error| error.is::<std::io::Error>().then_some(Code::Usage);
        assert_eq!(run("off", fails(no_file), &[of_io]), ExitCode::from(2));
    }
}
