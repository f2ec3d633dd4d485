//! What batches cost. It is spent when a batch is made, since it is known a day later: what its
//! questions may take stands in the ledgers, and beside the batch, until the batch is over. Then the
//! differences are settled, by whichever process hears of it first.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};

use redis::{AsyncCommands, RedisError, Script};

use super::gathering::Asked;
use super::lines::Answered;
use super::register::KEPT;
use super::token::{QuestionId, Token};
use crate::connection::Redis;
use crate::naming::endpoint::expected;
use crate::naming::limits::{Denied, Expected, Spent};
use crate::naming::money::{Money, Prices, Usage};
use crate::queue::KEEP_RUNS;
use crate::run::RunId;

static SPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("spend.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));

/// Questions that one call of a script is about.
const QUESTIONS_PER_CALL: usize = 1000;

/// What tokens cost in batches, and what may be spent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tariff {
    pub prices: Option<Prices>,
    /// Of all runs.
    pub money_per_day: Option<Money>,
}

/// The ledgers of batches. Without a tariff nothing is counted. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Costs {
    redis: Redis,
    tariff: Arc<OnceLock<Tariff>>,
}

impl Costs {
    pub(super) fn new(redis: &Redis) -> Costs {
        Costs {
            redis: redis.clone(),
            tariff: Arc::default(),
        }
    }

    /// Says what is to be paid. Whoever says it a second time says the same.
    pub(super) fn set_tariff(&self, tariff: Tariff) {
        let _ = self.tariff.set(tariff);
    }

    /// Spends what questions of a run may cost, in their order and as far as there is money. Returns
    /// how many are paid, and why the next is not.
    pub(super) async fn spend(
        &self,
        token: &Token,
        run: &RunId,
        asked: &[Asked],
    ) -> Result<(usize, Option<Denied>), RedisError> {
        let Some(tariff) = self.tariff.get() else {
            return Ok((asked.len(), None));
        };
        let mut paid = 0;
        for asked in asked.chunks(QUESTIONS_PER_CALL) {
            let mut call = SPEND.prepare_invoke();
            let keys = self.redis.keys();
            call.key(keys.batch_costs(token))
                .key(keys.ledger(run))
                .key(keys.days());
            let per_day = tariff.money_per_day.map(|money| money.nanos().to_string());
            call.arg(run.as_str())
                .arg(per_day.unwrap_or_default())
                .arg(u8::from(tariff.prices.is_some()))
                .arg(KEEP_RUNS.as_secs())
                .arg(KEPT.as_secs());
            for asked in asked {
                let Expected {
                    input_tokens,
                    output_tokens,
                } = expected(asked.question());
                let usage = Usage {
                    input: input_tokens,
                    cached: 0,
                    output: output_tokens,
                };
                let money = tariff.prices.map_or(0, |prices| prices.of(usage).nanos());
                call.arg(asked.id().to_string());
                call.arg(money).arg(input_tokens).arg(output_tokens);
            }
            let (of_these, why): (usize, String) =
                call.invoke_async(&mut self.redis.commands()).await?;
            paid += of_these;
            let denied = match why.as_str() {
                "" => continue,
                "run" => Denied::OverBudget { of: Spent::Run },
                "day" => Denied::OverBudget { of: Spent::Day },
                "unpriced" => Denied::Unpriced,
                _ => Denied::Busy { retry_after: None },
            };
            return Ok((paid, Some(denied)));
        }
        Ok((paid, None))
    }

    /// Settles what is still open of a batch that is over. Questions without an answer cost nothing.
    pub(super) async fn settle(
        &self,
        token: &Token,
        answers: &HashMap<QuestionId, Answered>,
    ) -> Result<(), RedisError> {
        let key = self.redis.keys().batch_costs(token);
        let open: HashMap<String, String> = self.redis.commands().hgetall(&key).await?;
        let mut by_run: HashMap<RunId, Vec<&str>> = HashMap::new();
        for (question, cost) in &open {
            let run = cost
                .split(' ')
                .next()
                .and_then(|run| RunId::parse(run).ok());
            if let Some(run) = run {
                by_run.entry(run).or_default().push(question);
            }
        }
        for (run, questions) in by_run {
            for questions in questions.chunks(QUESTIONS_PER_CALL) {
                let mut call = SETTLE.prepare_invoke();
                let keys = self.redis.keys();
                call.key(&key).key(keys.ledger(&run)).key(keys.days());
                call.arg(run.as_str()).arg(KEEP_RUNS.as_secs());
                for question in questions {
                    let answer = QuestionId::parse(question).and_then(|id| answers.get(&id));
                    call.arg(question).arg(&self.took(answer));
                }
                let _: u64 = call.invoke_async(&mut self.redis.commands()).await?;
            }
        }
        Ok(())
    }

    /// What a question took, as `settle.lua` takes it: answered or not, money, and tokens; what nobody
    /// counted is empty.
    fn took(&self, answer: Option<&Answered>) -> [String; 5] {
        let Some(Answered::Reply(_, usage)) = answer else {
            return [0; 5].map(|nothing: u64| nothing.to_string());
        };
        let answered = "1".to_owned();
        let Some(usage) = usage else {
            return [
                answered,
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ];
        };
        let prices = self.tariff.get().and_then(|tariff| tariff.prices);
        let money = prices.map(|prices| prices.of(*usage).nanos().to_string());
        [
            answered,
            money.unwrap_or_default(),
            usage.input.to_string(),
            usage.cached.to_string(),
            usage.output.to_string(),
        ]
    }
}
