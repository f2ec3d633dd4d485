//! What was asked of the endpoint, when, and what was paid for.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::behaviour::Limits;

/// The window in which limits hold.
const WINDOW: Duration = Duration::from_secs(60);

/// Requests, tokens of questions, tokens of answers.
pub type Amount = [u64; 3];

/// Amounts in the order of time.
#[derive(Default)]
struct Events(Vec<(Duration, Amount)>);

impl Events {
    /// The most that there was of each in any window.
    fn most(&self) -> Amount {
        let mut most = Amount::default();
        let mut sum = Amount::default();
        let mut first = 0;
        for &(at, amount) in &self.0 {
            // What is exactly a window old is over, so that a limit may be used again after it.
            while self.0[first].0 + WINDOW <= at {
                for (sum, old) in sum.iter_mut().zip(self.0[first].1) {
                    *sum -= old;
                }
                first += 1;
            }
            for ((sum, new), most) in sum.iter_mut().zip(amount).zip(&mut most) {
                *sum += new;
                *most = (*most).max(*sum);
            }
        }
        most
    }

    /// Amounts in each second.
    fn seconds(&self) -> Vec<Amount> {
        let last = self.0.last().map_or(0, |(at, _)| at.as_secs() as usize + 1);
        let mut seconds = vec![Amount::default(); last];
        for (at, amount) in &self.0 {
            for (sum, more) in seconds[at.as_secs() as usize].iter_mut().zip(amount) {
                *sum += more;
            }
        }
        seconds
    }
}

/// A question that was let through: who asked it, and which of that one's questions it was.
#[derive(Clone)]
pub struct Call {
    pub caller: Arc<str>,
    pub number: u64,
}

/// The books.
pub struct Books {
    began: Instant,
    /// What arrived, whether it was let through or not, and the tokens of answers.
    arrived: Events,
    /// What was let through in the last window.
    window: VecDeque<(Instant, Amount)>,
    in_window: Amount,
    /// Over the limit.
    refused: u64,
    faults: BTreeMap<String, u64>,
    /// Questions of each caller.
    callers: HashMap<Arc<str>, u64>,
    /// The calls that paid for a name of each journey, by what is known of it.
    named: HashMap<String, Vec<Call>>,
    answered: u64,
    /// Tokens of questions, of those in the prompt cache, of answers: what is on the bill.
    billed: [u64; 3],
    under_way: u64,
    most_under_way: u64,
    abandoned: u64,
    longest_stall: Duration,
}

/// What is left of each limit, and when more is.
pub struct Room {
    pub left: [Option<u64>; 3],
    /// How long to wait until one more such request fits; nothing if it does now.
    pub wait: Duration,
}

impl Default for Books {
    fn default() -> Self {
        Books {
            began: Instant::now(),
            arrived: Events::default(),
            window: VecDeque::new(),
            in_window: Amount::default(),
            refused: 0,
            faults: BTreeMap::new(),
            callers: HashMap::new(),
            named: HashMap::new(),
            answered: 0,
            billed: [0; 3],
            under_way: 0,
            most_under_way: 0,
            abandoned: 0,
            longest_stall: Duration::ZERO,
        }
    }
}

impl Books {
    fn note(&mut self, amount: Amount) {
        self.arrived.0.push((self.began.elapsed(), amount));
    }

    fn forget(&mut self, now: Instant) {
        while let Some(&(at, amount)) = self.window.front() {
            if now.duration_since(at) < WINDOW {
                break;
            }
            self.window.pop_front();
            for (sum, old) in self.in_window.iter_mut().zip(amount) {
                *sum -= old;
            }
        }
    }

    fn use_up(&mut self, now: Instant, amount: Amount) {
        self.window.push_back((now, amount));
        for (sum, more) in self.in_window.iter_mut().zip(amount) {
            *sum += more;
        }
    }

    /// A request has arrived. Whether there is room for it, which is then used.
    pub fn arrive(&mut self, input_tokens: u64, limits: &Limits) -> Room {
        let now = Instant::now();
        let amount = [1, input_tokens, 0];
        self.note(amount);
        self.forget(now);
        let most = [limits.requests, limits.input_tokens, limits.output_tokens];
        let fits = |sum: Amount| {
            let mut each = most.iter().zip(sum).zip(amount);
            each.all(|((most, sum), more)| {
                // Nobody knows beforehand what an answer takes: who has none left waits.
                most.is_none_or(|most| sum + more.max(1) <= most)
            })
        };
        let mut wait = Duration::ZERO;
        if fits(self.in_window) {
            self.use_up(now, amount);
        } else {
            self.refused += 1;
            let mut sum = self.in_window;
            for (at, old) in &self.window {
                for (sum, old) in sum.iter_mut().zip(old) {
                    *sum -= old;
                }
                wait = (*at + WINDOW).duration_since(now);
                if fits(sum) {
                    break;
                }
            }
            wait = wait.max(Duration::from_millis(1));
        }
        let mut left = [None; 3];
        for ((left, most), sum) in left.iter_mut().zip(most).zip(self.in_window) {
            *left = most.map(|most| most.saturating_sub(sum));
        }
        Room { left, wait }
    }

    /// A question of a caller is being answered.
    pub fn begin(&mut self, caller: &str) -> Call {
        self.under_way += 1;
        self.most_under_way = self.most_under_way.max(self.under_way);
        let caller: Arc<str> = match self.callers.get_key_value(caller) {
            Some((known, _)) => known.clone(),
            None => caller.into(),
        };
        let number = self.callers.entry(caller.clone()).or_default();
        *number += 1;
        let number = *number;
        Call { caller, number }
    }

    /// It is answered, or nobody waits for it any more.
    pub fn end(&mut self, is_answered: bool) {
        self.under_way -= 1;
        self.abandoned += u64::from(!is_answered);
    }

    /// The machine had no time for this process for so long.
    pub fn stall(&mut self, stall: Duration) {
        self.longest_stall = self.longest_stall.max(stall);
    }

    /// A question was answered, and is on the bill.
    pub fn bill(&mut self, [input, cached, output]: [u64; 3]) {
        self.answered += 1;
        for (sum, more) in self.billed.iter_mut().zip([input, cached, output]) {
            *sum += more;
        }
    }

    /// What an answer takes of the limits.
    pub fn spend_output(&mut self, output_tokens: u64) {
        self.note([0, 0, output_tokens]);
        self.use_up(Instant::now(), [0, 0, output_tokens]);
    }

    /// Journeys are given names that nobody has a reason to ask for again. Whether they arrive is the
    /// caller's affair: it pays for them.
    pub fn name(&mut self, call: &Call, journeys: impl IntoIterator<Item = String>) {
        for journey in journeys {
            self.named.entry(journey).or_default().push(call.clone());
        }
    }

    /// Something was made to go wrong.
    pub fn fault(&mut self, what: &str) {
        *self.faults.entry(what.into()).or_default() += 1;
    }

    /// Everything.
    pub fn report(&self) -> Value {
        let amount = |[requests, input, output]: Amount| json!({"requests": requests, "input_tokens": input, "output_tokens": output});
        let again = self.named.iter().filter(|(_, calls)| calls.len() > 1);
        let call = |Call { caller, number }: &Call| json!([**caller, number]);
        let again: BTreeMap<&str, Value> = again
            .map(|(journey, calls)| (journey.as_str(), calls.iter().map(call).collect()))
            .collect();
        let [input, cached, output] = self.billed;
        json!({
            "requests": self.arrived.0.iter().map(|(_, [requests, ..])| requests).sum::<u64>(),
            "over_limit": self.refused,
            "answered": self.answered,
            "billed": {"input_tokens": input, "cached_tokens": cached, "output_tokens": output},
            "most_in_a_minute": amount(self.arrived.most()),
            "most_under_way": self.most_under_way,
            "abandoned": self.abandoned,
            "longest_stall_ms": self.longest_stall.as_millis() as u64,
            "seconds": self.arrived.seconds(),
            "faults": self.faults,
            "journeys": {
                "named": self.named.len(),
                "named_again": again.len(),
                "names": self.named.values().map(Vec::len).sum::<usize>(),
                // Who paid for each, and with which call, in the order of time.
                "again": again,
            },
        })
    }
}
