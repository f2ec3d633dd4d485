//! A private Redis or Valkey as a child of this process, for when none is named: a real server, so
//! that there is one code path from the first try to production.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sojourn::connection::{ConnectError, Redis, RedisOptions};
use tokio::process::{Child, Command};

/// Names the server program to use.
const SERVER_VARIABLE: &str = "SOJOURN_REDIS_SERVER";

/// Where `make` puts a server when the machine has none, seen from the working folder and from the
/// folder of this program.
const TOOLS: &str = ".tools/bin";

/// Programs to look for, best first: Valkey is the faster of the two.
const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];

/// How long the server may take to answer. Reading back a large append-only file takes a while.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two looks at whether it answers.
const START_POLL: Duration = Duration::from_millis(20);

/// How long the server may take to write its data and end.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// File in the data folder that says where the running server listens.
const ADDRESS_FILE: &str = "address";

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// There is no program to run.
    #[error(
        "there is no Redis: name one with --redis, or install one (apt-get install redis-server, \
         brew install valkey), or point {SERVER_VARIABLE} at the program; in a clone of Sojourn, \
         `make redis` fetches one"
    )]
    NoProgram,
    /// Files cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was started and did not answer.
    #[error("{program} did not start: {reason}; its log is {log}")]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// What happened.
        reason: String,
        /// Where to read more.
        log: PathBuf,
    },
    /// It answered and cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// A server that lives as long as this value, or one that another process keeps.
#[derive(Debug)]
pub struct EmbeddedRedis {
    url: String,
    /// None: another process started it, and ends it.
    child: Option<Child>,
    /// Holds the socket: paths of sockets are limited to about 100 bytes, those of data are not.
    _socket: Option<tempfile::TempDir>,
}

impl EmbeddedRedis {
    /// Uses the server that runs on `data` already, or starts one there.
    ///
    /// # Errors
    /// [`EmbeddedError`]
    pub async fn start(data: &Path) -> Result<EmbeddedRedis, EmbeddedError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| EmbeddedError::Io { path, source }
        };
        std::fs::create_dir_all(data).map_err(io(data))?;
        let address = data.join(ADDRESS_FILE);
        if let Ok(url) = std::fs::read_to_string(&address)
            && Redis::connect(&RedisOptions::new(&url)).await.is_ok()
        {
            return Ok(EmbeddedRedis {
                url,
                child: None,
                _socket: None,
            });
        }

        let program = find_program().ok_or(EmbeddedError::NoProgram)?;
        let socket_dir = tempfile::Builder::new()
            .prefix("sojourn-")
            .tempdir()
            .map_err(io(&std::env::temp_dir()))?;
        let socket = socket_dir.path().join("redis.sock");
        let url = format!("unix://{}", socket.display());
        let log = data.join("redis.log");
        let output = std::fs::File::create(&log).map_err(io(&log))?;
        let errors = output.try_clone().map_err(io(&log))?;
        let mut child = Command::new(&program)
            .args([
                "--port",
                "0",
                "--unixsocketperm",
                "700",
                "--daemonize",
                "no",
            ])
            .args([
                "--save",
                "",
                "--appendonly",
                "yes",
                "--maxmemory-policy",
                "noeviction",
            ])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // An interrupt from the terminal is for this process, which then ends the server.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io(&program))?;

        let deadline = tokio::time::Instant::now() + START_TIMEOUT;
        let options = RedisOptions::new(&url);
        loop {
            let not_started = |reason: String| EmbeddedError::NotStarted {
                program: program.clone(),
                reason,
                log: log.clone(),
            };
            if let Some(status) = child.try_wait().map_err(io(&program))? {
                return Err(not_started(format!("it ended with {status}")));
            }
            match Redis::connect(&options).await {
                Ok(_) => break,
                Err(error) if tokio::time::Instant::now() >= deadline => {
                    return Err(not_started(error.to_string()));
                }
                Err(ConnectError::Unreachable { .. }) => tokio::time::sleep(START_POLL).await,
                Err(error) => return Err(error.into()),
            }
        }
        std::fs::write(&address, &url).map_err(io(&address))?;
        Ok(EmbeddedRedis {
            url,
            child: Some(child),
            _socket: Some(socket_dir),
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the server, if this process started it; its data is on disk then.
    pub async fn stop(mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let Some(pid) = child.id() else { return };
        // SIGTERM makes the server write its append-only file; a kill would lose a second.
        let terminated = Command::new("kill").arg(pid.to_string()).status().await;
        if terminated.is_ok_and(|status| status.success())
            && tokio::time::timeout(STOP_TIMEOUT, child.wait())
                .await
                .is_ok()
        {
            return;
        }
        if let Err(error) = child.kill().await {
            tracing::warn!(%error, "cannot end the private Redis");
        }
    }
}

/// The server program: the one that is named, else from PATH, else where `make` puts one.
fn find_program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(SERVER_VARIABLE) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push(TOOLS.into());
    if let Ok(program) = std::env::current_exe() {
        folders.extend(program.ancestors().skip(1).map(|folder| folder.join(TOOLS)));
    }
    PROGRAMS
        .iter()
        .flat_map(|program| folders.iter().map(move |folder| folder.join(program)))
        .find(|candidate| candidate.is_file())
}
