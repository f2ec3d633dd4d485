//! A private Redis or Valkey for when none is named: a real server, so that there is one code path
//! from the first try to production.
//!
//! It belongs to a folder of data. Whoever uses it holds a shared lock on a file there, which the
//! system gives up when the process dies, however it dies. A [`keeper`], a process of its own, holds
//! another lock, runs the server, and ends it when nobody uses it any more. So there is never more
//! than one server on the data, it outlives no command for long, and commands may come and go in
//! any order.

pub mod keeper;

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sojourn::connection::{ConnectError, Redis, RedisOptions};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::local::{LocalError, beside_this_program};

/// Names the server program to use.
const SERVER_VARIABLE: &str = "SOJOURN_REDIS_SERVER";

/// How long the server may take to answer. One that reads its data back is waited for longer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the server may take to write its data and end.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks at locks and at whether the server answers.
const POLL: Duration = Duration::from_millis(20);

/// File that says where the running server listens.
const ADDRESS_FILE: &str = "address";

/// Locked, shared, by whoever uses the server; by the keeper alone while it ends it.
const USERS_LOCK: &str = "users.lock";

/// Locked by the keeper.
const KEEPER_LOCK: &str = "keeper.lock";

/// What the keeper has to say.
const KEEPER_LOG: &str = "keeper.log";

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateError {
    /// There is no program to run.
    #[error(
        "there is no Redis: name one with --redis, or install one (apt-get install redis-server, \
         brew install valkey), or point {SERVER_VARIABLE} at the program; in a clone of Sojourn, \
         `make redis` fetches one"
    )]
    NoProgram,
    /// A file cannot be read, written or locked.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was started and did not answer, or ended.
    #[error("the private Redis did not start: {reason}; its log is {log}")]
    NotStarted {
        /// What happened.
        reason: String,
        /// Where to read more.
        log: PathBuf,
    },
    /// The keeper's program is missing.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// It answered and cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// A use of the private server of a folder. The server runs for as long as there is one, in
/// whatever process.
#[derive(Debug)]
pub struct PrivateRedis {
    url: String,
    data: PathBuf,
    users: File,
}

impl PrivateRedis {
    /// Uses the server that runs on `data` already, or has one started there, and connects to it.
    ///
    /// # Errors
    /// [`PrivateError`]
    pub async fn open(
        data: &Path,
        key_prefix: &str,
    ) -> Result<(PrivateRedis, Redis), PrivateError> {
        std::fs::create_dir_all(data).map_err(io(data))?;
        let deadline = Instant::now() + START_TIMEOUT;
        let users = open_lock(&data.join(USERS_LOCK))?;
        // A keeper that is ending the server is waited for.
        while !is_locked(users.try_lock_shared(), &data.join(USERS_LOCK))? {
            pause_until(deadline, data, "another process is ending it").await?;
        }
        let mut keeper: Option<Child> = None;
        loop {
            if let Some(url) = address(data) {
                // Without a password: one in the environment is that of another server.
                let mut options = RedisOptions::new(&url);
                options.key_prefix = key_prefix.into();
                match Redis::connect(&options).await {
                    Ok(redis) => {
                        let data = data.to_owned();
                        return Ok((PrivateRedis { url, data, users }, redis));
                    }
                    Err(ConnectError::Unreachable { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            match &mut keeper {
                None => keeper = Some(start_keeper(data)?),
                Some(child) => match child.try_wait().map_err(io(data))? {
                    None => {}
                    // There is one already, which is starting or ending the server.
                    Some(status) if status.success() => keeper = None,
                    Some(status) => return Err(not_started(data, &status.to_string())),
                },
            }
            pause_until(deadline, data, "it does not answer").await?;
        }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends this use. If it was the last one, the server has ended when this returns, and its data
    /// is on disk.
    ///
    /// # Errors
    /// When a lock cannot be looked at.
    pub async fn close(self) -> Result<(), PrivateError> {
        let PrivateRedis { data, users, .. } = self;
        users.unlock().map_err(io(&data))?;
        let keeper = open_lock(&data.join(KEEPER_LOCK))?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if is_locked(keeper.try_lock_shared(), &data.join(KEEPER_LOCK))? {
                return Ok(());
            }
            if is_locked(users.try_lock(), &data.join(USERS_LOCK))? {
                // The keeper has not noticed yet.
                users.unlock().map_err(io(&data))?;
            } else if data.join(ADDRESS_FILE).exists() {
                // Others use it. A keeper that ends it removes the address first.
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        tracing::warn!(data = %data.display(), "the private Redis takes long to end");
        Ok(())
    }
}

/// Starts a keeper that lives on when this process does not: in a process group of its own, so that
/// an interrupt from the terminal does not reach it.
fn start_keeper(data: &Path) -> Result<Child, PrivateError> {
    find_program().ok_or(PrivateError::NoProgram)?;
    let program = beside_this_program("sojourn")?;
    let log = data.join(KEEPER_LOG);
    let output = File::create(&log).map_err(io(&log))?;
    Command::new(&program)
        .args(["keep-redis", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .process_group(0)
        .spawn()
        .map_err(io(&program))
}

async fn pause_until(deadline: Instant, data: &Path, reason: &str) -> Result<(), PrivateError> {
    if Instant::now() >= deadline {
        return Err(not_started(data, reason));
    }
    tokio::time::sleep(POLL).await;
    Ok(())
}

fn not_started(data: &Path, reason: &str) -> PrivateError {
    let log = data.join(KEEPER_LOG);
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    let last = said.lines().last().unwrap_or(reason).to_owned();
    PrivateError::NotStarted { reason: last, log }
}

/// Where the server of `data` says that it listens. An address that somebody else has taken since
/// is none: sockets lie in a folder that all users of the machine share.
fn address(data: &Path) -> Option<String> {
    let file = data.join(ADDRESS_FILE);
    let url = std::fs::read_to_string(&file).ok()?;
    let socket = std::fs::metadata(url.strip_prefix("unix://")?).ok()?;
    let ours = std::fs::metadata(&file).ok()?.uid() == socket.uid();
    ours.then_some(url)
}

fn open_lock(path: &Path) -> Result<File, PrivateError> {
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(path);
    file.map_err(io(path))
}

fn is_locked(result: Result<(), TryLockError>, path: &Path) -> Result<bool, PrivateError> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(io(path)(error)),
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> PrivateError {
    let path = path.to_owned();
    move |source| PrivateError::Io { path, source }
}

/// The server program: the one that is named, else from PATH, else where `make` puts one in the
/// clone that this program was built in.
fn find_program() -> Option<PathBuf> {
    /// Valkey is the faster of the two.
    const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];
    /// Where `make` puts a server, seen from the top of the clone.
    const TOOLS: &str = ".tools/bin";
    if let Some(named) = std::env::var_os(SERVER_VARIABLE) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let of_path: Vec<PathBuf> = std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect();
    let this = std::env::current_exe().unwrap_or_default();
    let clone = this
        .ancestors()
        .find(|folder| folder.join("Cargo.toml").is_file());
    let of_clone = clone.map(|folder| folder.join(TOOLS));
    let find = |folders: &[PathBuf]| {
        let candidates = PROGRAMS
            .iter()
            .flat_map(|program| folders.iter().map(move |folder| folder.join(program)));
        candidates.into_iter().find(|program| program.is_file())
    };
    find(&of_path).or_else(|| find(of_clone.as_slice()))
}
