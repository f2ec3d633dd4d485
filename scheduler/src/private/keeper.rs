//! The process that runs the private server of a folder: `sojourn keep-redis`, which other commands
//! start and people do not.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    ADDRESS_FILE, KEEPER_LOCK, POLL, PrivateError, STOP_TIMEOUT, USERS_LOCK, address, find_program,
    io, is_locked, open_lock,
};

/// Between two looks at whether somebody uses the server.
const USE_POLL: Duration = Duration::from_millis(50);

/// Longest journey, in bytes of JSON, with which a user's results are kept in one piece; docs/redis-keys.md
/// has what that saves.
const LISTPACK_VALUE: &str = "2048";

/// Runs a server on `data` until nobody uses it, or `stop` is set. Returns at once when there is a
/// keeper already.
///
/// # Errors
/// When the server cannot be started, or ends.
pub async fn keep(data: &Path, stop: &CancellationToken) -> Result<(), PrivateError> {
    let lock = data.join(KEEPER_LOCK);
    let file = open_lock(&lock)?;
    if !is_locked(file.try_lock(), &lock)? {
        return Ok(());
    }
    // A keeper that was killed has left its server behind.
    let mut server = match address(data) {
        Some(url) if answers(&url).await => Server { url, child: None },
        _ => Server::start(data)?,
    };
    let users = data.join(USERS_LOCK);
    let users_lock = open_lock(&users)?;
    let ended = loop {
        if stop.is_cancelled() || is_locked(users_lock.try_lock(), &users)? {
            break Ok(());
        }
        if let Some(status) = server.ended()? {
            break Err(super::not_started(data, &format!("it ended with {status}")));
        }
        tokio::select! {
            () = tokio::time::sleep(USE_POLL) => {}
            () = stop.cancelled() => {}
        }
    };
    // Whoever comes now waits for the locks, and then starts another.
    let address = data.join(ADDRESS_FILE);
    std::fs::remove_file(&address).map_err(io(&address))?;
    server.stop().await?;
    ended
}

struct Server {
    url: String,
    /// None: another keeper has started it.
    child: Option<Child>,
}

impl Server {
    fn start(data: &Path) -> Result<Server, PrivateError> {
        let program = find_program().ok_or(PrivateError::NoProgram)?;
        // Paths of sockets are limited to about 100 bytes, those of data are not.
        let folder = tempfile::Builder::new()
            .prefix("sojourn-")
            .tempdir()
            .map_err(io(&std::env::temp_dir()))?
            .keep();
        let socket = folder.join("redis.sock");
        let url = format!("unix://{}", socket.display());
        let log = data.join("redis.log");
        let output = File::create(&log).map_err(io(&log))?;
        let errors = output.try_clone().map_err(io(&log))?;
        let child = Command::new(&program)
            .args(["--port", "0", "--unixsocketperm", "700"])
            .args(["--daemonize", "no", "--save", "", "--appendonly", "yes"])
            .args(["--maxmemory-policy", "noeviction"])
            .args(["--hash-max-listpack-value", LISTPACK_VALUE])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(io(&program))?;
        let address = data.join(ADDRESS_FILE);
        std::fs::write(&address, &url).map_err(io(&address))?;
        Ok(Server {
            url,
            child: Some(child),
        })
    }

    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>, PrivateError> {
        match &mut self.child {
            Some(child) => child.try_wait().map_err(io(Path::new(&self.url))),
            None => Ok(None),
        }
    }

    /// Ends the server; its data is on disk then.
    async fn stop(mut self) -> Result<(), PrivateError> {
        if let Ok(client) = redis::Client::open(self.url.as_str())
            && let Ok(mut connection) = client.get_multiplexed_async_connection().await
        {
            // A server that does what it is told gives no answer.
            let _: Result<(), _> = redis::cmd("SHUTDOWN").query_async(&mut connection).await;
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            let gone = match &mut self.child {
                Some(_) => self.ended()?.is_some(),
                None => !answers(&self.url).await,
            };
            if gone {
                break;
            }
            if Instant::now() >= deadline {
                if let Some(child) = &mut self.child {
                    // It may have ended in between, which is as good.
                    let _ = child.kill().await;
                }
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        let socket = self.url.strip_prefix("unix://").map(Path::new);
        if let Some(folder) = socket.and_then(Path::parent) {
            // It is empty by now; if it is not, it is not ours any more.
            let _ = std::fs::remove_dir(folder);
        }
        Ok(())
    }
}

async fn answers(url: &str) -> bool {
    match redis::Client::open(url) {
        Ok(client) => client.get_multiplexed_async_connection().await.is_ok(),
        Err(_) => false,
    }
}
