//! What was asked of the endpoint, when, and what was paid for.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::behaviour::Limits;

/// The window in which limits hold.
const WINDOW: Duration = Duration::from_secs(60);

/// Journeys that are told by name in a report.
const EXAMPLES: usize = 20;

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
    /// How often each journey was given a name, by what is known of it.
    named: HashMap<String, u64>,
    answered: u64,
    /// Tokens of questions, of those in the prompt cache, of answers: what is on the bill.
    billed: [u64; 3],
    under_way: u64,
    most_under_way: u64,
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
            named: HashMap::new(),
            answered: 0,
            billed: [0; 3],
            under_way: 0,
            most_under_way: 0,
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

    /// A question is being answered.
    pub fn begin(&mut self) {
        self.under_way += 1;
        self.most_under_way = self.most_under_way.max(self.under_way);
    }

    /// It is answered, or nobody waits for it any more.
    pub fn end(&mut self) {
        self.under_way -= 1;
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

    /// Journeys were given names that nobody has a reason to ask for again.
    pub fn name(&mut self, journeys: impl IntoIterator<Item = String>) {
        for journey in journeys {
            *self.named.entry(journey).or_default() += 1;
        }
    }

    /// Something was made to go wrong.
    pub fn fault(&mut self, what: &str) {
        *self.faults.entry(what.into()).or_default() += 1;
    }

    /// Everything.
    pub fn report(&self) -> Value {
        let amount = |[requests, input, output]: Amount| json!({"requests": requests, "input_tokens": input, "output_tokens": output});
        let again: Vec<_> = self.named.iter().filter(|(_, times)| **times > 1).collect();
        let examples: BTreeMap<_, _> = again.iter().copied().take(EXAMPLES).collect();
        let [input, cached, output] = self.billed;
        json!({
            "requests": self.arrived.0.iter().map(|(_, [requests, ..])| requests).sum::<u64>(),
            "over_limit": self.refused,
            "answered": self.answered,
            "billed": {"input_tokens": input, "cached_tokens": cached, "output_tokens": output},
            "most_in_a_minute": amount(self.arrived.most()),
            "most_under_way": self.most_under_way,
            "seconds": self.arrived.seconds(),
            "faults": self.faults,
            "journeys": {
                "named": self.named.len(),
                "named_again": again.len(),
                "names": self.named.values().sum::<u64>(),
                "examples_of_again": examples,
            },
        })
    }
}
