//! A deployment on one machine: a scheduler and workers as children of this process. What runs is
//! what runs in production, only here.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// How long the processes may take to end by themselves once they are asked.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How many processes of which kind.
#[derive(Clone, Copy, Debug)]
pub struct LocalOptions {
    /// Extraction workers.
    pub extraction_workers: usize,
    /// Naming workers.
    pub naming_workers: usize,
}

/// Why there is no deployment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// A program is not where it should be.
    #[error("{path} is missing; build it with cargo build --release --workspace")]
    NoProgram {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file cannot be written or a program not be run.
    #[error("{path}: {source}")]
    Io {
        /// The file or program.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A process ended that should run.
    #[error("{name} ended with {status}; its log is {log}, and ends with: {last}")]
    Ended {
        /// Which process.
        name: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// Where to read more.
        log: PathBuf,
        /// Last line of the log.
        last: String,
    },
}

/// The processes. They end when this value is dropped, and when this process dies: each has a pipe
/// from it as standard input, and stops when that ends.
#[derive(Debug)]
pub struct LocalDeployment {
    processes: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl LocalDeployment {
    /// Starts a scheduler and workers. Logs go to `logs`; `configure` gives each process its
    /// environment.
    ///
    /// # Errors
    /// [`LocalError`]
    pub fn start(
        logs: &Path,
        options: LocalOptions,
        configure: impl Fn(&mut Command),
    ) -> Result<LocalDeployment, LocalError> {
        std::fs::create_dir_all(logs).map_err(|source| LocalError::Io {
            path: logs.into(),
            source,
        })?;
        let mut deployment = LocalDeployment {
            processes: Vec::new(),
        };
        let mut start = |program: &str, name: String, command: &str| {
            let process = spawn(
                &beside_this_program(program)?,
                &name,
                command,
                &configure,
                logs,
            )?;
            deployment.processes.push(process);
            Ok(())
        };
        start("sojourn", "scheduler".into(), "serve")?;
        for number in 1..=options.extraction_workers {
            start("sojourn-worker", format!("extract-{number}"), "extract")?;
        }
        for number in 1..=options.naming_workers {
            start("sojourn-worker", format!("name-{number}"), "name")?;
        }
        Ok(deployment)
    }

    /// Checks that all processes still run.
    ///
    /// # Errors
    /// [`LocalError::Ended`] for the first that does not.
    pub fn check(&mut self) -> Result<(), LocalError> {
        for Process { name, child, log } in &mut self.processes {
            let status = child.try_wait().map_err(|source| LocalError::Io {
                path: log.clone(),
                source,
            })?;
            if let Some(status) = status {
                let text = std::fs::read_to_string(&*log).unwrap_or_default();
                let last = text.lines().last().unwrap_or("(nothing)").to_owned();
                return Err(LocalError::Ended {
                    name: name.clone(),
                    status,
                    log: log.clone(),
                    last,
                });
            }
        }
        Ok(())
    }

    /// Asks all processes to stop, and waits until they have.
    pub async fn stop(mut self) {
        for process in &mut self.processes {
            drop(process.child.stdin.take());
        }
        for Process { name, child, .. } in &mut self.processes {
            if tokio::time::timeout(STOP_TIMEOUT, child.wait())
                .await
                .is_err()
            {
                tracing::warn!(name, "does not stop; killing it");
                // It may have ended in between, which is as good.
                let _ = child.kill().await;
            }
        }
    }
}

fn spawn(
    program: &Path,
    name: &str,
    command: &str,
    configure: impl Fn(&mut Command),
    logs: &Path,
) -> Result<Process, LocalError> {
    let log = logs.join(format!("{name}.log"));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| LocalError::Io { path, source }
    };
    let output = File::create(&log).map_err(io(&log))?;
    let errors = output.try_clone().map_err(io(&log))?;
    let mut process = Command::new(program);
    process
        .arg(command)
        .arg("--owned")
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(errors)
        // An interrupt from the terminal is for this process, which then stops the others.
        .process_group(0)
        .kill_on_drop(true);
    configure(&mut process);
    let child = process.spawn().map_err(io(program))?;
    Ok(Process {
        name: name.into(),
        child,
        log,
    })
}

/// The path of a program that is installed with this one.
pub fn beside_this_program(program: &str) -> Result<PathBuf, LocalError> {
    let this = std::env::current_exe().map_err(|source| LocalError::Io {
        path: program.into(),
        source,
    })?;
    let path = this.with_file_name(program);
    if path.is_file() {
        Ok(path)
    } else {
        Err(LocalError::NoProgram { path })
    }
}
