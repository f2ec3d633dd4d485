//! Questions by the provider's batches: files of many, answered within a day for half the price.
//!
//! A question is asked once, whatever happens: it is claimed in Redis for a batch that has a token
//! before the provider knows of it, and whoever finds it claimed waits for that batch. A job that is
//! handed back, or whose worker is killed, asks the same again when it is taken again, and comes to
//! the same batch. If a process dies while it creates one, the next finds out by the token whether the
//! provider has it.

mod costs;
mod gathering;
mod interface;
mod lines;
mod options;
mod register;
mod token;
mod work;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use options::BatchOptions;

use self::costs::{Costs, Tariff};
use self::gathering::Asked;
use self::interface::Interface;
use self::lines::Answered;
use self::register::Register;
use self::token::QuestionId;
use self::work::Work;
use super::endpoint::{LlmError, LlmOptions, Reply, Role, Site};
use super::limits::{Account, LimitOptions};
use super::money::{Money, Prices};
use crate::connection::Redis;

/// What became of a batch's questions.
type Answers = HashMap<QuestionId, Answered>;

/// A model that is asked by batches. One per process; needs a Tokio runtime.
#[derive(Debug)]
pub(super) struct Batches {
    costs: Costs,
    asked: mpsc::UnboundedSender<Asked>,
    /// Ends what goes on in the background.
    _work: DropGuard,
}

impl Batches {
    pub(super) fn new(
        options: &LlmOptions,
        redis: &Redis,
        times: BatchOptions,
    ) -> Result<Batches, LlmError> {
        let site = Site::new(Role::First, &options.endpoint, options.api_key.clone())?;
        let costs = Costs::new(redis);
        let (asked, gathered) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let work = Work {
            interface: Interface::new(site),
            register: Register::new(redis, times.lease),
            costs: costs.clone(),
            again: asked.downgrade(),
            times,
            stop: stop.clone(),
        };
        let work = Arc::new(work).gather(gathered);
        tokio::spawn(stop.clone().run_until_cancelled_owned(work));
        let _work = stop.drop_guard();
        Ok(Batches {
            costs,
            asked,
            _work,
        })
    }

    /// Takes part in the budgets, at half the price. Limits per minute are not for batches.
    pub(super) fn share_limits(&self, options: LimitOptions) {
        let half = |price: Money| Money::from_nanos(price.nanos().div_ceil(2));
        self.costs.set_tariff(Tariff {
            money_per_day: options.money_per_day,
            prices: options.prices.map(|prices| Prices {
                input: half(prices.input),
                cached: half(prices.cached),
                output: half(prices.output),
            }),
        });
    }

    /// Asks a question, and waits for the batch that it is asked in. Whoever stops waiting loses
    /// nothing.
    pub(super) async fn ask(&self, question: &Value, account: &Account) -> Result<Reply, LlmError> {
        let (asker, answer) = oneshot::channel();
        let gone = || LlmError::Busy {
            reason:
                "nobody waits for its batch: Redis refused a command, or the process is stopping"
                    .into(),
            retry_after: None,
        };
        let asked = Asked::new(question.clone(), account.clone(), asker);
        self.asked.send(asked).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
