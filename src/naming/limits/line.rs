//! The scripts that reserve and settle: one process's conversation with Redis about one endpoint.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use redis::{FromRedisValue, RedisError, Script, ScriptInvocation, Value};
use tokio::sync::Mutex;

use super::cost::Cost;
use super::settlement::{Place, Settlement};
use super::{LimitOptions, Spent, Timing};
use crate::connection::Redis;
use crate::queue::KEEP_RUNS;
use crate::run::RunId;

/// A script after the one that opens the window.
macro_rules! window_script {
    ($file:literal) => {
        LazyLock::new(|| Script::new(concat!(include_str!("window.lua"), include_str!($file))))
    };
}

static RESERVE: LazyLock<Script> = window_script!("reserve.lua");
static SETTLE: LazyLock<Script> = window_script!("settle.lua");
static CORRECT: LazyLock<Script> = window_script!("correct.lua");

/// What became of a request for a part of the limits.
#[derive(Debug)]
pub(super) enum Reserved {
    /// So much is charged there.
    Granted(Place, Cost),
    /// Not yet.
    Wait(Duration),
    /// Not before calls under way have ended, which may give back money.
    Money,
    /// There is no money for it.
    Over(Spent),
    /// There is a budget, and nobody knows what tokens cost.
    Unpriced,
    /// The limit is less than what is needed.
    Never,
}

/// What is left of one limit, as an endpoint says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    pub amount: u64,
    /// After how long it has forgotten what was used.
    pub reset: Duration,
}

/// One at a time talks, so that numbers rise, and what Redis did not answer is asked again first.
#[derive(Debug)]
pub(super) struct Line {
    redis: Redis,
    scope: String,
    /// Name of this process, fresh for every start.
    process: String,
    limits: [u64; 3],
    money_per_day: Option<u64>,
    is_priced: bool,
    timing: Timing,
    talk: Mutex<Talk>,
}

#[derive(Debug, Default)]
struct Talk {
    /// Of the last reservation or settlement.
    number: u64,
    /// A reservation that may have been made though Redis did not say so.
    doubtful: Option<(u64, RunId)>,
    /// A settlement under way, or that Redis may have heard of.
    sent: Option<(u64, RunId, Settlement)>,
    /// What is to be settled.
    unsent: BTreeMap<RunId, Settlement>,
}

impl Line {
    pub fn new(
        redis: &Redis,
        scope: &str,
        process: String,
        options: &LimitOptions,
        timing: Timing,
    ) -> Line {
        let limit = |limit: Option<u64>| limit.unwrap_or(0);
        Line {
            redis: redis.clone(),
            scope: scope.into(),
            process,
            limits: [
                u64::from(options.requests_per_minute.get()),
                limit(options.input_tokens_per_minute.map(Into::into)),
                limit(options.output_tokens_per_minute.map(Into::into)),
            ],
            money_per_day: options.money_per_day.map(|money| money.nanos()),
            is_priced: options.prices.is_some(),
            timing,
            talk: Mutex::default(),
        }
    }

    /// Reserves what is needed for calls of a run, and what there is of what is wanted besides.
    ///
    /// # Errors
    /// When Redis fails. What it may have reserved all the same is given back by and by.
    pub async fn reserve(
        &self,
        run: &RunId,
        needed: &Cost,
        wanted: &Cost,
    ) -> Result<Reserved, RedisError> {
        let mut talk = self.talk.lock().await;
        if let Some((number, of)) = talk.doubtful.clone() {
            // With the same number it is told once more what it was granted, or is granted nothing.
            let nothing = Cost::default();
            let answer = self.ask(number, &of, &nothing, &nothing).await?;
            if let Reserved::Granted(place, granted) = answer {
                let settlement = talk.unsent.entry(of).or_default();
                settlement.add(place, granted, nothing);
            }
            talk.doubtful = None;
        }
        talk.number += 1;
        let number = talk.number;
        // Until it is answered; whoever waits for it may go away meanwhile.
        talk.doubtful = Some((number, run.clone()));
        let answer = self.ask(number, run, needed, wanted).await?;
        talk.doubtful = None;
        Ok(answer)
    }

    async fn ask(
        &self,
        number: u64,
        run: &RunId,
        needed: &Cost,
        wanted: &Cost,
    ) -> Result<Reserved, RedisError> {
        let timing = &self.timing;
        let mut call = RESERVE.prepare_invoke();
        self.open(&mut call, run);
        call.arg(number)
            .arg(millis(timing.reaches()))
            .arg(millis(timing.answered()))
            .arg(millis(timing.burst))
            .arg(&needed.parts())
            .arg(&wanted.parts())
            .arg(
                self.money_per_day
                    .map_or(String::new(), |most| most.to_string()),
            )
            .arg(u8::from(self.is_priced))
            .arg(KEEP_RUNS.as_secs())
            .arg(run.as_str());
        let reply: Vec<Value> = call.invoke_async(&mut self.redis.commands()).await?;
        read(reply)
    }

    /// Settles what was to be settled, and what `known` returns besides.
    ///
    /// # Errors
    /// When Redis fails; what it has not heard of is sent the next time.
    pub async fn settle(
        &self,
        known: impl FnOnce() -> BTreeMap<RunId, Settlement>,
    ) -> Result<(), RedisError> {
        let mut talk = self.talk.lock().await;
        // In one step, as whoever waits for this may go away at any other.
        for (run, settlement) in known() {
            talk.unsent.entry(run).or_default().merge(settlement);
        }
        loop {
            if let Some((number, run, settlement)) = &talk.sent {
                self.send(*number, run, settlement).await?;
                talk.sent = None;
            }
            let Some((run, settlement)) = talk.unsent.pop_first() else {
                return Ok(());
            };
            talk.number += 1;
            talk.sent = Some((talk.number, run, settlement));
        }
    }

    async fn send(
        &self,
        number: u64,
        run: &RunId,
        settlement: &Settlement,
    ) -> Result<(), RedisError> {
        let mut call = SETTLE.prepare_invoke();
        self.open(&mut call, run);
        call.arg(number)
            .arg(KEEP_RUNS.as_secs())
            .arg(run.as_str())
            .arg(millis(self.timing.answered()))
            .arg(settlement.parts.len());
        for (place, (reserved, used)) in &settlement.parts {
            call.arg(&[place.arrival, place.answer, place.day]);
            call.arg(&reserved.parts()).arg(&used.parts());
        }
        for (name, amount) in &settlement.counts {
            call.arg(*name).arg(*amount);
        }
        let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(())
    }

    /// Lowers what is left for everybody, and lets nobody ask for a while.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn correct(
        &self,
        closed: Duration,
        left: [Option<Left>; 3],
    ) -> Result<(), RedisError> {
        let mut call = CORRECT.key(self.redis.keys().limits(&self.scope));
        self.window(&mut call);
        call.arg(millis(closed)).arg(millis(self.timing.answered()));
        for left in left {
            let amount = left.map(|left| left.amount.to_string());
            let reset = left.map(|left| left.reset).unwrap_or_default();
            call.arg(amount.unwrap_or_default()).arg(millis(reset));
        }
        let _: u8 = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(())
    }

    /// The keys and the first arguments of a script about a run.
    fn open(&self, call: &mut ScriptInvocation<'_>, run: &RunId) {
        let keys = self.redis.keys();
        call.key(keys.limits(&self.scope))
            .key(keys.reserved(&self.process))
            .key(keys.ledger(run))
            .key(keys.days());
        self.window(call);
    }

    fn window(&self, call: &mut ScriptInvocation<'_>) {
        let timing = &self.timing;
        call.arg(millis(timing.window))
            .arg(millis(timing.slot))
            .arg(millis(timing.spread()))
            .arg(&self.limits);
    }
}

fn read(reply: Vec<Value>) -> Result<Reserved, RedisError> {
    let mut reply = reply.into_iter();
    let what: String = next(&mut reply)?;
    match what.as_str() {
        "granted" => {
            let granted = Cost {
                requests: next(&mut reply)?,
                input: next(&mut reply)?,
                output: next(&mut reply)?,
                money: next(&mut reply)?,
            };
            let place = Place {
                arrival: next(&mut reply)?,
                answer: next(&mut reply)?,
                day: next(&mut reply)?,
            };
            Ok(Reserved::Granted(place, granted))
        }
        "wait" => Ok(Reserved::Wait(Duration::from_millis(next(&mut reply)?))),
        "money" => Ok(Reserved::Money),
        "over" => {
            let of: String = next(&mut reply)?;
            Ok(Reserved::Over(match of.as_str() {
                "day" => Spent::Day,
                _ => Spent::Run,
            }))
        }
        "unpriced" => Ok(Reserved::Unpriced),
        _ => Ok(Reserved::Never),
    }
}

fn next<T: FromRedisValue>(reply: &mut impl Iterator<Item = Value>) -> Result<T, RedisError> {
    let value = reply.next().unwrap_or(Value::Nil);
    Ok(redis::from_redis_value(value)?)
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
