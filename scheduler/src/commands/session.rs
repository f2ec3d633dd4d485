//! The Redis that a command works with: the one that is named, else a private one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sojourn::connection::Redis;
use sojourn::settings::{RedisArgs, SettingsError};
use sojourn_scheduler::embedded::EmbeddedRedis;
use sojourn_scheduler::local::{LocalDeployment, LocalOptions};

/// Folder beside the dataset's files that holds the private server's data and the logs of a local
/// deployment. It is no part of the dataset.
const LOCAL_FOLDER: &str = "local";

/// A connection, and the private server that it may be to.
pub struct Session {
    /// The connection.
    pub redis: Redis,
    args: RedisArgs,
    url: String,
    private: Option<(EmbeddedRedis, PathBuf)>,
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
            bail!(
                "{dataset} is no local folder, so there is no private Redis; name one with --redis"
            );
        }
        let folder = dataset.join(LOCAL_FOLDER);
        let server = EmbeddedRedis::start(&folder.join("redis")).await?;
        let options = args.options(server.url())?;
        let redis = Redis::connect(&options).await?;
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

    /// Starts a scheduler and workers on this machine.
    pub fn deploy(&self, logs: &Path, options: LocalOptions) -> Result<LocalDeployment> {
        Ok(LocalDeployment::start(
            &self.url,
            &self.args.key_prefix,
            logs,
            options,
        )?)
    }

    /// Where logs of processes on this machine go, if the server is a private one.
    pub fn logs(&self) -> Option<PathBuf> {
        self.private.as_ref().map(|(_, folder)| folder.join("logs"))
    }

    /// Ends the private server, if there is one.
    pub async fn close(self) {
        drop(self.redis);
        if let Some((server, _)) = self.private {
            server.stop().await;
        }
    }
}
