//! What naming may cost a run: the register and the ledger together.
//!
//! The ledger, where workers look, is in another slot than the register and may be lost alone. What
//! the register says is written there again.

use std::sync::LazyLock;

use redis::Script;
use sojourn::naming::{Exhausted, Ledger, LedgerEntry, Money};
use sojourn::queue::{Lane, Queues};
use sojourn::run::RunId;

use super::{Register, RegisterError};
use crate::record::{RunRecord, RunState};

static SET_BUDGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("set_budget.lua")));
static MOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("move_run.lua")));

impl Register {
    /// Says what naming may cost a run from now on, in all. One that waits for money goes on, if it is
    /// more than it has cost.
    ///
    /// # Errors
    /// When Redis fails or the run is unknown; doing it again is safe.
    pub async fn set_budget(
        &self,
        id: &RunId,
        budget: Money,
    ) -> Result<LedgerEntry, RegisterError> {
        let call = &mut SET_BUDGET.key(self.redis.keys().run(id));
        call.arg(budget.to_string());
        let known: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        if known == 0 {
            return Err(RegisterError::UnknownRun(id.clone()));
        }
        let ledger = self.ledgers();
        ledger.set_budget(id, budget).await?;
        Ok(ledger.entry(id).await?)
    }

    pub(super) fn ledgers(&self) -> Ledger {
        Ledger::new(&self.redis)
    }

    /// Keeps the ledger of a run, with what the run may cost.
    pub(crate) async fn keep_ledger(&self, record: &RunRecord) -> Result<(), RegisterError> {
        Ok(self.ledgers().keep(&record.id, record.budget).await?)
    }

    /// Whether names of a run are not made for want of money.
    pub(crate) async fn lacks_money(&self, id: &RunId) -> Result<bool, RegisterError> {
        let ledger = self.ledgers();
        Ok(match ledger.entry(id).await?.exhausted {
            None => false,
            Some(Exhausted::Run | Exhausted::Unpriced) => true,
            Some(Exhausted::Day(day)) => day >= ledger.today().await?,
        })
    }

    /// Parks the naming jobs of a run that is running until there is money.
    pub(crate) async fn wait_for_money(
        &self,
        id: &RunId,
        lane: Lane,
        queues: &Queues,
    ) -> Result<bool, RegisterError> {
        // Last the register, and the same when it goes on: cut short, this is done again.
        queues.name.pause(id, lane).await?;
        self.change(id, RunState::Running, RunState::Budget).await
    }

    /// Lets the naming jobs go on of a run that has waited for money.
    pub(crate) async fn go_on(
        &self,
        id: &RunId,
        lane: Lane,
        queues: &Queues,
    ) -> Result<bool, RegisterError> {
        queues.name.resume(id, lane).await?;
        let goes_on = self.change(id, RunState::Budget, RunState::Running).await?;
        if !goes_on && self.run(id).await?.state == RunState::Paused {
            // Somebody has paused it in between.
            queues.name.pause(id, lane).await?;
        }
        Ok(goes_on)
    }

    async fn change(
        &self,
        id: &RunId,
        before: RunState,
        after: RunState,
    ) -> Result<bool, RegisterError> {
        let keys = self.redis.keys();
        let mut call = MOVE.prepare_invoke();
        call.key(keys.run(id)).key(keys.leader());
        call.arg(&self.identity)
            .arg(before.as_str())
            .arg(after.as_str());
        Ok(self.ask(&call).await? == 1)
    }
}
