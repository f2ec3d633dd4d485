//! Runs that have no money left: their names wait until there is more, everything else goes on.

use sojourn::code::Code;

use super::{Scheduler, SchedulerError};
use crate::record::{RunRecord, RunState};

impl Scheduler {
    /// Lets a run wait for money, or go on, as its ledger says. Workers note there that they have not
    /// made a call.
    pub(super) async fn weigh(&self, record: &RunRecord) -> Result<(), SchedulerError> {
        let waits = match record.state {
            RunState::Running => false,
            RunState::Budget => true,
            _ => return Ok(()),
        };
        let Some(request) = &record.request else {
            return Ok(());
        };
        let (run, register, queues) = (&record.id, &self.register, &self.queues);
        let lacks = register.lacks_money(run).await?;
        if lacks && !waits && register.wait_for_money(run, request.lane, queues).await? {
            tracing::warn!(code = %Code::OverBudget, %run, "what naming may cost is spent; the names wait");
        } else if waits && !lacks && register.go_on(run, request.lane, queues).await? {
            tracing::info!(%run, "there is money; the names go on");
        }
        Ok(())
    }
}
