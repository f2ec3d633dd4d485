//! The Redis that a command works with: the one that is named, else a private one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sojourn::connection::Redis;
use sojourn::dataset::LOCAL_FOLDER;
use sojourn::settings::{RedisArgs, SettingsError};
use sojourn_scheduler::local::{LocalDeployment, LocalOptions};
use sojourn_scheduler::private::PrivateRedis;
use tokio::process::Command;

use super::usage;

/// A connection, and the private server that it may be to.
pub struct Session {
    /// The connection.
    pub redis: Redis,
    args: RedisArgs,
    url: String,
    private: Option<(PrivateRedis, PathBuf)>,
}

impl Session {
    /// Connects to the Redis that is named, else to the private one of `dataset`.
    pub async fn open(args: &RedisArgs, dataset: Option<&Path>) -> Result<Session> {
        if let Some(url) = &args.redis {
            let redis = args.connect().await?;
            return Ok(Session {
                redis,
                args: args.clone(),
                url: url.clone(),
                private: None,
            });
        }
        let Some(dataset) = dataset else {
            return Err(SettingsError::NoRedis)
                .context("name the Redis, or a dataset that has a private one with --dataset DIR");
        };
        if !dataset.is_dir() {
            let dataset = dataset.display();
            return Err(usage(format!(
                "{dataset} is no local folder, so there is no private Redis; name one with --redis"
            )));
        }
        let folder = dataset.join(LOCAL_FOLDER);
        let (server, redis) = PrivateRedis::open(&folder.join("redis"), &args.key_prefix).await?;
        let url = server.url().to_owned();
        Ok(Session {
            redis,
            args: args.clone(),
            url,
            private: Some((server, folder)),
        })
    }

    /// Whether the server is a private one, so that there are no workers unless they are started.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Starts a scheduler and workers on this machine, which find the same Redis in their
    /// environment; `configure` may add to it.
    pub fn deploy(
        &self,
        logs: &Path,
        options: LocalOptions,
        configure: impl Fn(&mut Command),
    ) -> Result<LocalDeployment> {
        let configure = |process: &mut Command| {
            configure(process);
            process
                .env("SOJOURN_REDIS", &self.url)
                .envs(self.args.environment());
            if self.is_private() {
                // What is there is for another server.
                for variable in [
                    "SOJOURN_REDIS_PASSWORD",
                    "SOJOURN_REDIS_PASSWORD_FILE",
                    "SOJOURN_REDIS_CA",
                    "SOJOURN_REDIS_CERT",
                    "SOJOURN_REDIS_KEY",
                ] {
                    process.env_remove(variable);
                }
            }
        };
        Ok(LocalDeployment::start(logs, options, configure)?)
    }

    /// Where logs of processes on this machine go, if the server is a private one.
    pub fn logs(&self) -> Option<PathBuf> {
        self.private.as_ref().map(|(_, folder)| folder.join("logs"))
    }

    /// Ends the use of the private server, if there is one.
    pub async fn close(self) {
        drop(self.redis);
        if let Some((server, _)) = self.private
            && let Err(error) = server.close().await
        {
            tracing::warn!(%error, "cannot end the private Redis");
        }
    }
}
