//! How a process starts, what it writes about itself, and how it is asked to stop.

use std::error::Error;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::causes::explain;

/// Exit code: it was tried and failed.
pub const EXIT_FAILED: u8 = 1;

/// Exit code: wrong usage or input. The same that the command line parser ends with.
pub const EXIT_INPUT: u8 = 2;

/// Exit code: Redis cannot be used: none is named or reached, it refuses the login, or is not one
/// that Sojourn can rely on.
pub const EXIT_REDIS: u8 = 3;

/// Runs a program to its end: starts the log at `default_level` (see [`start_log`]), makes TLS
/// work, and waits for `program` in a runtime with a thread for each core. An error is printed with
/// its causes, in one line on standard error, and `code_of` says what it means for the caller.
pub fn run<E: AsRef<dyn Error>>(
    default_level: &str,
    program: impl Future<Output = Result<ExitCode, E>>,
    code_of: impl FnOnce(&E) -> u8,
) -> ExitCode {
    start_log(default_level);
    install_tls();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    let ended = runtime.block_on(program);
    // A thread that reads standard input, or a call that nobody waits for any more, must not hold
    // up the end.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", explain(error.as_ref()));
            ExitCode::from(code_of(&error))
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
        std::process::exit(EXIT_FAILED.into());
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

    /// An error of a program, as `anyhow` makes them.
    type Failure = Box<dyn Error>;

    async fn fails() -> Result<ExitCode, Failure> {
        Err("no such file".into())
    }

    async fn ends_with(code: u8) -> Result<ExitCode, Failure> {
        Ok(ExitCode::from(code))
    }

    #[test]
    fn a_program_ends_with_the_code_that_it_returns() {
        let code = run("off", ends_with(4), |_| EXIT_FAILED);
        assert_eq!(code, ExitCode::from(4));
    }

    #[test]
    fn a_program_that_fails_ends_with_the_code_of_its_error() {
        let code_of = |error: &Failure| match error.to_string().as_str() {
            "no such file" => EXIT_INPUT,
            _ => EXIT_FAILED,
        };
        assert_eq!(run("off", fails(), code_of), ExitCode::from(EXIT_INPUT));
    }
}
