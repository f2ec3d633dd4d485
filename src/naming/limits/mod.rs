//! Limits that all naming workers share: what a model endpoint may be asked in a minute, how many
//! calls it may have under way, and what that may cost.
//!
//! Redis decides ([`timing`] says why no limit is passed); a process reserves what its calls of the
//! next moment need, uses it, and settles what calls really took. While Redis is away nobody is let
//! through.

mod admission;
mod block;
mod concurrency;
mod cost;
mod headers;
mod learnt;
mod line;
mod options;
mod permit;
mod settlement;
mod slots;
mod timing;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

pub use admission::{Account, Denied, Expected, Spent};
pub use headers::Headers;
pub use options::LimitOptions;
pub use permit::Permit;
pub use timing::Timing;

use self::block::Block;
use self::concurrency::Concurrency;
use self::cost::Cost;
use self::learnt::Ratio;
use self::line::{Line, Reserved};
use self::settlement::{Place, Settlement};
use super::money::Usage;
use crate::backoff::{Backoff, jittered};
use crate::code::Coded;
use crate::connection::Redis;
use crate::run::RunId;

/// Beyond what it was told to wait, so that those who were told the same do not come back together.
const SPREAD: Duration = Duration::from_millis(20);

/// After how long to look again for money that calls under way may give back.
const MONEY_RETURNS: Duration = Duration::from_millis(100);

/// The limits of one endpoint, as one process sees them. Cheap to clone.
#[derive(Clone)]
pub struct Limits {
    shared: Arc<Shared>,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

struct Shared {
    options: LimitOptions,
    timing: Timing,
    line: Line,
    concurrency: Arc<Concurrency>,
    /// One after the other is let through, in the order in which they came.
    turn: tokio::sync::Mutex<Turn>,
    /// What is known of calls since Redis was told last.
    known: Mutex<BTreeMap<RunId, Settlement>>,
    learnt: Mutex<Learnt>,
    /// When headers that ask for no wait were last taken as true.
    corrected: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Turn {
    blocks: HashMap<RunId, Block>,
}

/// What a call has taken of a block.
#[derive(Clone, Copy, Debug)]
struct Taken {
    place: Place,
    cost: Cost,
    send_by: Instant,
}

impl Turn {
    /// Takes what a call needs of the block of a run.
    fn take(&mut self, run: &RunId, needed: &Cost) -> Option<Taken> {
        let block = self.blocks.get_mut(run)?;
        block.take(needed).then_some(Taken {
            place: block.place,
            cost: *needed,
            send_by: block.send_by,
        })
    }
}

#[derive(Debug, Default)]
struct Learnt {
    input: Ratio,
    output: Ratio,
}

impl Limits {
    /// The limits of an endpoint in `redis`. All processes that mean the same endpoint give the same
    /// `scope`, a word without spaces.
    ///
    /// Where calls at once are limited, a Tokio runtime is needed.
    pub fn new(redis: &Redis, scope: &str, options: LimitOptions) -> Limits {
        Limits::with_timing(redis, scope, options, Timing::default())
    }

    /// The same with other times.
    pub fn with_timing(
        redis: &Redis,
        scope: &str,
        options: LimitOptions,
        timing: Timing,
    ) -> Limits {
        let process = format!(
            "{}-{:016x}",
            std::process::id(),
            rand::rng().random::<u64>()
        );
        // Without a limit nobody is asked for slots; with one, nobody has any at first.
        let slots = options.calls_at_once.map_or(usize::MAX, |_| 0);
        let concurrency = Arc::new(Concurrency::new(slots));
        if let Some(all) = options.calls_at_once {
            slots::keep(redis, scope, &process, all, &concurrency);
        }
        Limits {
            shared: Arc::new(Shared {
                line: Line::new(redis, scope, process, &options, timing),
                options,
                timing,
                concurrency,
                turn: tokio::sync::Mutex::default(),
                known: Mutex::default(),
                learnt: Mutex::default(),
                corrected: Mutex::default(),
            }),
        }
    }

    /// Waits until a call may be made, for [`Timing::wait`] at most. The call must be sent at once.
    ///
    /// # Errors
    /// [`Denied`] says what to do instead.
    pub async fn admit(&self, account: &Account, expected: Expected) -> Result<Permit, Denied> {
        let deadline = Instant::now() + self.shared.timing.wait;
        let late = |_| Denied::Busy { retry_after: None };
        let way = self.shared.concurrency.enter();
        let way = tokio::time::timeout_at(deadline, way).await.map_err(late)?;
        loop {
            let turn = self.shared.turn.lock();
            let turn = tokio::time::timeout_at(deadline, turn).await;
            let mut turn = turn.map_err(late)?;
            let passed = self.pass(&mut turn, &account.run, expected, deadline);
            if let Some(taken) = passed.await? {
                return Ok(Permit::new(self, &account.run, taken, expected, way));
            }
            // Others may have money meanwhile.
            drop(turn);
            pause(MONEY_RETURNS, deadline).await?;
        }
    }

    /// Gets what is needed for the call of whoever has the turn. `None` when calls under way have to
    /// end first, as they may give back money.
    async fn pass(
        &self,
        turn: &mut Turn,
        run: &RunId,
        expected: Expected,
        deadline: Instant,
    ) -> Result<Option<Taken>, Denied> {
        let needed = self.needs(expected);
        let mut trouble = Backoff::default();
        loop {
            if let Some(taken) = turn.take(run, &needed) {
                return Ok(Some(taken));
            }
            let calls = turn.blocks.get(run).map_or(1, Block::next_calls);
            self.give_back(turn, |of, block| of == run || block.is_old());
            let asked = Instant::now();
            let wait = match self.reserve(run, &needed, calls).await {
                Ok(Reserved::Granted(place, granted)) => {
                    let timing = &self.shared.timing;
                    let block = Block::new(place, granted, asked, calls, timing);
                    turn.blocks.insert(run.clone(), block);
                    if let Some(taken) = turn.take(run, &needed) {
                        return Ok(Some(taken));
                    }
                    // It took too long to be granted.
                    trouble.pause()
                }
                Ok(Reserved::Wait(wait)) => {
                    wait + SPREAD.mul_f64(rand::rng().random_range(0.0..1.0))
                }
                Ok(Reserved::Money) => return Ok(None),
                Ok(Reserved::Over(of)) => return Err(Denied::OverBudget { of }),
                Ok(Reserved::Unpriced) => return Err(Denied::Unpriced),
                Ok(Reserved::Never) => return Err(Denied::TooLarge),
                Err(error) => {
                    tracing::warn!(code = %Coded::code(&error), %error, "cannot ask Redis for the limits; no call is made");
                    trouble.pause()
                }
            };
            pause(wait, deadline).await?;
        }
    }

    /// Settles what is known and reserves for so many calls; fewer, but one, where there is not so
    /// much.
    async fn reserve(
        &self,
        run: &RunId,
        needed: &Cost,
        calls: u64,
    ) -> Result<Reserved, redis::RedisError> {
        self.settle().await?;
        let line = &self.shared.line;
        line.reserve(run, needed, &needed.times(calls)).await
    }

    async fn settle(&self) -> Result<(), redis::RedisError> {
        let known = || std::mem::take(&mut *self.shared.known());
        self.shared.line.settle(known).await
    }

    /// What a call needs of the limits.
    fn needs(&self, expected: Expected) -> Cost {
        let learnt = self.shared.learnt();
        let input = learnt.input.bound(expected.input_tokens);
        let output = learnt.output.bound(expected.output_tokens);
        // Of money there must be enough for whatever may come.
        let usage = Usage {
            input: input.max(expected.input_tokens),
            cached: 0,
            output: output.max(expected.output_tokens),
        };
        let prices = self.shared.options.prices;
        Cost {
            requests: 1,
            input,
            output,
            money: prices.map_or(0, |prices| prices.of(usage).nanos()),
        }
    }

    /// Gives back what is left of blocks that are not used any more.
    fn give_back(&self, turn: &mut Turn, is_over: impl Fn(&RunId, &Block) -> bool) {
        for (run, block) in turn.blocks.extract_if(|run, block| is_over(run, block)) {
            if !block.is_empty() {
                self.shared.known_of(&run, |settlement| {
                    settlement.add(block.place, block.left, Cost::default());
                });
            }
        }
    }

    /// Tells Redis what is known, so that the ledger is complete. Where nobody calls, what is
    /// reserved is given back as well.
    ///
    /// # Errors
    /// When Redis fails. Nothing is lost by that, as long as the process lives: it is told the next
    /// time.
    pub async fn flush(&self) -> Result<(), redis::RedisError> {
        // Whoever has the turn is about to use what there is.
        if let Ok(mut turn) = self.shared.turn.try_lock()
            && self.shared.concurrency.is_idle()
        {
            self.give_back(&mut turn, |_, _| true);
        }
        self.settle().await
    }

    /// Takes what the endpoint says of its limits as true for everybody, if it is less than what is
    /// believed. Never fails: that Redis is away is noticed by the next call.
    pub async fn correct(&self, headers: &Headers) {
        let shared = &self.shared;
        if headers.is_empty() {
            return;
        }
        // Every answer says what is left; once in a slot is enough.
        if headers.retry_after.is_none() && !shared.may_correct() {
            return;
        }
        let closed = headers.retry_after.map(|wait| wait + jittered(SPREAD));
        let corrected = shared
            .line
            .correct(closed.unwrap_or_default(), headers.left);
        if let Err(error) = corrected.await {
            tracing::debug!(%error, "cannot note what the endpoint says of its limits");
        }
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, BTreeMap<RunId, Settlement>> {
        lock(&self.known)
    }

    fn known_of(&self, run: &RunId, change: impl FnOnce(&mut Settlement)) {
        change(self.known().entry(run.clone()).or_default());
    }

    /// Whether it is time to look at headers that every answer has.
    fn may_correct(&self) -> bool {
        let mut corrected = lock(&self.corrected);
        let is_early = corrected.is_some_and(|at| at.elapsed() < self.timing.slot);
        if !is_early {
            *corrected = Some(Instant::now());
        }
        !is_early
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        lock(&self.learnt)
    }
}

/// Waits, unless that is longer than anybody may.
async fn pause(wait: Duration, deadline: Instant) -> Result<(), Denied> {
    if Instant::now() + wait > deadline {
        return Err(Denied::Busy {
            retry_after: Some(wait),
        });
    }
    tokio::time::sleep(wait).await;
    Ok(())
}

/// Numbers that were added up so far are true, whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
