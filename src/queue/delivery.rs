//! Jobs that are handed out: each to one worker, which holds a lease on it.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use super::group::GROUP;
use super::lease::{Fields, Foreign};
use super::partitions::millis;
use super::{Lane, Lease, Queue, QueueError};
use crate::code::Code;
use crate::connection::MAX_BLOCK;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));
static BURY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("bury.lua")));
static INCARNATION: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("incarnation.lua")));

impl Queue {
    /// Takes a job of one lane of a partition without waiting: one of a worker that fell silent for
    /// `lease`, else a new one. A lane that is paused gives none.
    ///
    /// # Errors
    /// When Redis fails. What it had handed out already comes back after the lease time.
    pub async fn take(
        &self,
        worker: &str,
        lane: Lane,
        partition: u32,
        lease: Duration,
    ) -> Result<Option<Lease>, QueueError> {
        let keys = self.keys(partition);
        let mut call = TAKE.prepare_invoke();
        call.key(keys.lane(lane))
            .key(keys.retry(lane))
            .key(keys.paused(lane))
            .key(keys.dead());
        call.arg(GROUP).arg(worker).arg(millis(lease));
        let (losses, taken): (u64, Option<(String, u32, Fields)>) =
            call.invoke_async(&mut self.redis.commands()).await?;
        if losses > 0 {
            tracing::error!(code = %Code::Vanished, kind = %self.kind, %lane, partition, losses, "leased jobs vanished from the stream; was it trimmed or deleted by hand? The scheduler queues them again");
        }
        match taken {
            Some((entry, deliveries, fields)) => {
                self.read(worker, lane, partition, entry, deliveries, &fields)
                    .await
            }
            None => Ok(None),
        }
    }

    /// Waits for up to `block`, at most [`MAX_BLOCK`], for a new job of a partition and takes it. At
    /// most one job of each lane comes back, the more urgent first. None comes from a lane that is
    /// paused, also if that was done during the wait.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn wait(
        &self,
        worker: &str,
        partition: u32,
        block: Duration,
    ) -> Result<Vec<Lease>, QueueError> {
        type Read = Option<Vec<(String, Vec<(String, Fields)>)>>;
        let keys = self.keys(partition);
        let block = block.min(MAX_BLOCK);
        let paused = self.paused_lanes_of(partition).await?;
        let open = self.taken().iter().copied();
        let open = open.filter(|lane| !paused.contains(lane));
        let open: Vec<Lane> = open.collect();
        if open.is_empty() {
            tokio::time::sleep(block).await;
            return Ok(Vec::new());
        }
        let mut connection = self.redis.blocking().await?;
        let read: Read = redis::cmd("XREADGROUP")
            .arg(&["GROUP", GROUP, worker, "COUNT", "1", "BLOCK"])
            .arg(millis(block))
            .arg("STREAMS")
            .arg(open.iter().map(|&lane| keys.lane(lane)).collect::<Vec<_>>())
            .arg(vec![">"; open.len()])
            .query_async(&mut connection)
            .await?;
        let mut leases: Vec<Lease> = Vec::new();
        for (stream, entries) in read.unwrap_or_default() {
            // The streams come back in the order in which they were named.
            let lane = open.iter().find(|&&lane| keys.lane(lane) == stream);
            let Some(&lane) = lane else { continue };
            for (entry, fields) in entries {
                let lease = self.read(worker, lane, partition, entry, 1, &fields);
                leases.extend(lease.await?);
            }
        }
        if !leases.is_empty() {
            // That nobody can say whether a lane is paused must not cost what is taken already.
            let paused = self.paused_lanes_of(partition).await.unwrap_or_default();
            let (back, taken) = leases
                .into_iter()
                .partition(|lease| paused.contains(&lease.lane));
            leases = taken;
            for lease in back {
                self.hand_back(worker, &lease).await;
            }
        }
        Ok(leases)
    }

    /// The lease of an entry that was handed out; an entry that is no job is buried.
    async fn read(
        &self,
        worker: &str,
        lane: Lane,
        partition: u32,
        entry: String,
        deliveries: u32,
        fields: &Fields,
    ) -> Result<Option<Lease>, QueueError> {
        let id = entry.clone();
        match Lease::read(lane, partition, entry, deliveries, fields) {
            Ok(mut lease) => {
                lease.server = self.incarnation(lane, partition).await;
                Ok(Some(lease))
            }
            Err(foreign) => {
                self.bury(worker, lane, partition, &id, deliveries, &foreign)
                    .await?;
                Ok(None)
            }
        }
    }

    /// Which process of the server has a lane. Empty when it does not say: the job is then done again,
    /// which is better than to leave it until its lease is over.
    async fn incarnation(&self, lane: Lane, partition: u32) -> String {
        let lane = self.keys(partition).lane(lane);
        let call = INCARNATION.key(lane);
        let answer = call.invoke_async(&mut self.redis.commands()).await;
        answer.unwrap_or_else(|error: redis::RedisError| {
            tracing::warn!(%error, "cannot ask which server this is");
            String::new()
        })
    }

    /// Moves an entry that is not a job to the dead stream, where it can be looked at.
    async fn bury(
        &self,
        worker: &str,
        lane: Lane,
        partition: u32,
        entry: &str,
        deliveries: u32,
        foreign: &Foreign,
    ) -> Result<(), QueueError> {
        let keys = self.keys(partition);
        let Foreign { reason, job } = foreign;
        tracing::error!(code = %Code::ForeignEntry, kind = %self.kind, %lane, partition, entry, reason, "an entry is not a job; moved to the dead letters");
        let mut call = BURY.prepare_invoke();
        call.key(keys.lane(lane)).key(keys.dead());
        if let Some((run, _)) = job {
            call.key(keys.run(run)).key(keys.pending(run));
        }
        call.arg(GROUP).arg(worker).arg(entry).arg(deliveries);
        call.arg(lane.to_string());
        let error = format!("not a job of this build: {reason}");
        call.arg(Code::ForeignEntry.before(error));
        call.arg(job.as_ref().map_or("", |(_, job)| job));
        let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(())
    }
}
