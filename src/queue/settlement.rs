//! Leases that are renewed while a job is worked on, and end with its outcome.

use std::sync::LazyLock;

use redis::Script;

use super::group::GROUP;
use super::partitions::millis;
use super::{Lease, Outcome, Queue, QueueError, Renewal};
use crate::code::Coded;

/// What `settle.lua` says when it has applied an outcome.
const APPLIED: i8 = 1;

/// What it says of a job that cannot be called done.
const DOUBTFUL: i8 = -1;

static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("renew.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));

impl Queue {
    /// Renews a lease, so that it is not taken over while the work runs.
    ///
    /// # Errors
    /// When Redis fails; the lease then runs on until it was silent for too long.
    pub async fn renew(&self, worker: &str, lease: &Lease) -> Result<Renewal, QueueError> {
        let keys = self.keys(lease.partition);
        let mut call = RENEW.prepare_invoke();
        call.key(keys.lane(lease.lane)).key(keys.run(&lease.run));
        call.arg(GROUP)
            .arg(worker)
            .arg(&lease.entry)
            .arg(lease.deliveries);
        let found: String = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(match found.as_str() {
            "held" => Renewal::Held,
            "cancelled" => Renewal::Cancelled,
            _ => Renewal::Lost,
        })
    }

    /// Ends a lease. Returns `false`, and changed nothing, when it was no longer held. Also `false`
    /// when the job is done and the server is not the one any more that handed it out: that may have
    /// lost results that it had acknowledged, so the job is handed back and done again.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn settle(
        &self,
        worker: &str,
        lease: &Lease,
        outcome: &Outcome,
    ) -> Result<bool, QueueError> {
        let settled = self.settle_script(worker, lease, outcome).await?;
        if settled == DOUBTFUL {
            tracing::warn!(job = lease.job, run = %lease.run, "Redis was restarted, or another one took over, while a job was done; it is done again");
            self.settle_script(worker, lease, &Outcome::Release).await?;
        }
        Ok(settled == APPLIED)
    }

    /// Hands back a job that is not begun.
    pub(super) async fn hand_back(&self, worker: &str, lease: &Lease) {
        if let Err(error) = self.settle(worker, lease, &Outcome::Release).await {
            tracing::warn!(code = %error.code(), job = lease.job, %error, "cannot hand back a job; it is free after the lease time");
        }
    }

    async fn settle_script(
        &self,
        worker: &str,
        lease: &Lease,
        outcome: &Outcome,
    ) -> Result<i8, QueueError> {
        let keys = self.keys(lease.partition);
        let mut call = SETTLE.prepare_invoke();
        call.key(keys.lane(lease.lane))
            .key(keys.retry(lease.lane))
            .key(keys.dead());
        call.key(keys.run(&lease.run))
            .key(keys.pending(&lease.run))
            .key(keys.parked(&lease.run));
        call.arg(GROUP)
            .arg(worker)
            .arg(&lease.entry)
            .arg(lease.deliveries)
            .arg(&lease.job);
        let (counts, end) = outcome.split();
        call.arg(match end {
            Outcome::Done(_) => "done",
            Outcome::Retry { .. } | Outcome::Postpone { .. } => "retry",
            Outcome::Dead { .. } | Outcome::Quarantined { .. } => "dead",
            Outcome::Release | Outcome::Partly(..) => "release",
        });
        call.arg(&lease.server).arg(counts.len());
        for (name, amount) in counts {
            call.arg(*name).arg(*amount);
        }
        let next_attempt = match end {
            Outcome::Done(_) => Vec::new(),
            Outcome::Retry { after, .. } | Outcome::Postpone { after, .. } => {
                call.arg(millis(*after));
                lease.next_attempt(matches!(end, Outcome::Retry { .. }))
            }
            Outcome::Dead { error } | Outcome::Quarantined { error } => {
                call.arg("error").arg(error).arg("worker").arg(worker);
                call.arg("lane").arg(lease.lane.to_string());
                lease.next_attempt(matches!(end, Outcome::Dead { .. }))
            }
            Outcome::Release | Outcome::Partly(..) => lease.next_attempt(false),
        };
        for (name, value) in next_attempt {
            call.arg(name).arg(value);
        }
        Ok(call.invoke_async(&mut self.redis.commands()).await?)
    }
}
