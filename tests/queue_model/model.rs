//! What the queue should be, in plain Rust: one partition, two lanes, two runs.

use std::collections::{BTreeMap, BTreeSet};

use sojourn::queue::{Lane, LetterId};

/// One entry of a lane, or one that waits to be one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub run: usize,
    pub job: String,
    pub attempts: u32,
    pub failures: u32,
    pub crashes: u32,
    /// Place in the lane; entries that came back in the same moment share one, since nothing is said
    /// about their order.
    pub place: u64,
    /// Who holds it, and how often it was handed out.
    pub held: Option<(String, u32)>,
}

/// An entry that waits for another attempt.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub entry: Entry,
    pub is_due: bool,
}

/// A job that was given up.
#[derive(Clone, Debug)]
pub struct Letter {
    pub id: LetterId,
    pub lane: Lane,
    pub error: String,
    pub entry: Entry,
    /// Whether it is still there.
    pub is_kept: bool,
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub pending: BTreeSet<String>,
    pub counts: BTreeMap<String, u64>,
    /// Jobs that follow from others and were queued.
    followed: BTreeSet<String>,
    pub is_cancelled: bool,
}

impl Run {
    pub fn count(&mut self, name: &str, amount: u64) {
        *self.counts.entry(name.into()).or_default() += amount;
    }

    pub fn planned(&self) -> u64 {
        self.counts.get("planned").copied().unwrap_or(0)
    }

    /// The counts that are not 0: those that are may be written or not.
    pub fn counted(&self) -> BTreeMap<String, u64> {
        let counts = self.counts.iter().filter(|&(_, &amount)| amount > 0);
        counts
            .map(|(name, &amount)| (name.clone(), amount))
            .collect()
    }
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub runs: [Run; 2],
    lanes: [Vec<Entry>; 2],
    waiting: [Vec<Waiting>; 2],
    /// In the order in which they were written.
    pub letters: Vec<Letter>,
    places: u64,
}

fn at(lane: Lane) -> usize {
    usize::from(lane == Lane::Low)
}

impl Model {
    pub fn lane(&self, lane: Lane) -> &[Entry] {
        &self.lanes[at(lane)]
    }

    /// Adds an entry at the end of a lane.
    fn append(&mut self, lane: Lane, mut entry: Entry) {
        self.places += 1;
        entry.place = self.places;
        entry.held = None;
        self.lanes[at(lane)].push(entry);
    }

    /// Queues a job that follows from another, once.
    pub fn follow(&mut self, run: usize, lane: Lane, job: &str, size: u64) {
        if self.runs[run].followed.insert(job.into()) {
            self.enqueue(run, lane, job, size);
        }
    }

    /// Queues a job unless it is pending.
    pub fn enqueue(&mut self, run: usize, lane: Lane, job: &str, size: u64) {
        if self.runs[run].pending.insert(job.into()) {
            self.runs[run].count("jobs", 1);
            self.runs[run].count("size", size);
            let entry = Entry {
                run,
                job: job.into(),
                attempts: 0,
                failures: 0,
                crashes: 0,
                place: 0,
                held: None,
            };
            self.append(lane, entry);
        }
    }

    /// What is due joins its lane.
    fn promote(&mut self, lane: Lane) {
        let waiting = std::mem::take(&mut self.waiting[at(lane)]);
        let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|waits| waits.is_due);
        self.waiting[at(lane)] = later;
        self.places += 1;
        for Waiting { mut entry, .. } in due {
            entry.place = self.places;
            entry.held = None;
            self.lanes[at(lane)].push(entry);
        }
    }

    /// The entries of which a worker gets one: with `taking_over`, those that are held before the
    /// others; of several, those in the first place.
    pub fn candidates(&mut self, lane: Lane, promotes: bool, taking_over: bool) -> Vec<Entry> {
        if promotes {
            self.promote(lane);
        }
        let of = |held: bool| -> Vec<Entry> {
            let wanted = self.lanes[at(lane)]
                .iter()
                .filter(|entry| entry.held.is_some() == held);
            let first = wanted.clone().map(|entry| entry.place).min();
            wanted
                .filter(|entry| Some(entry.place) == first)
                .cloned()
                .collect()
        };
        let held = if taking_over { of(true) } else { Vec::new() };
        if held.is_empty() { of(false) } else { held }
    }

    /// Gives an entry to a worker. Returns how often it was handed out by now.
    pub fn hand_out(&mut self, lane: Lane, run: usize, job: &str, worker: &str) -> u32 {
        let mut lane = self.lanes[at(lane)].iter_mut();
        let entry = lane
            .find(|entry| entry.run == run && entry.job == job)
            .expect("a candidate");
        let deliveries = entry.held.as_ref().map_or(0, |(_, deliveries)| *deliveries) + 1;
        entry.held = Some((worker.into(), deliveries));
        deliveries
    }

    /// Takes the entry that somebody holds out of its lane. Attempts and crashes are those of the
    /// next attempt.
    pub fn end(&mut self, lane: Lane, run: usize, job: &str) -> Entry {
        let lane = &mut self.lanes[at(lane)];
        let position = lane
            .iter()
            .position(|entry| entry.run == run && entry.job == job);
        let mut entry = lane.remove(position.expect("a lease that is held"));
        let (_, deliveries) = entry.held.take().expect("a lease that is held");
        entry.attempts += deliveries;
        entry.crashes += deliveries - 1;
        entry
    }

    pub fn hand_back(&mut self, lane: Lane, entry: Entry) {
        self.append(lane, entry);
    }

    pub fn put_off(&mut self, lane: Lane, entry: Entry, is_due: bool) {
        self.runs[entry.run].count("retried", 1);
        self.waiting[at(lane)].push(Waiting { entry, is_due });
    }

    pub fn time_passes(&mut self) {
        for waiting in self.waiting.iter_mut().flatten() {
            waiting.is_due = true;
        }
    }

    /// Returns how many jobs were not finished.
    pub fn cancel(&mut self, run: usize) -> u64 {
        for lane in &mut self.lanes {
            lane.retain(|entry| entry.run != run);
        }
        for waiting in &mut self.waiting {
            waiting.retain(|waits| waits.entry.run != run);
        }
        self.runs[run].is_cancelled = true;
        std::mem::take(&mut self.runs[run].pending).len() as u64
    }

    pub fn bury(&mut self, letter: Letter) {
        let run = &mut self.runs[letter.entry.run];
        assert!(
            run.pending.remove(&letter.entry.job),
            "an entry without a pending job"
        );
        run.count("dead", 1);
        self.letters.push(letter);
    }

    pub fn finish(&mut self, entry: &Entry, users: u64) {
        let run = &mut self.runs[entry.run];
        assert!(
            run.pending.remove(&entry.job),
            "an entry without a pending job"
        );
        run.count("done", 1);
        run.count("users", users);
    }

    /// Puts the job of a letter back.
    pub fn replay(&mut self, letter: usize) {
        let letter = &mut self.letters[letter];
        letter.is_kept = false;
        let (lane, mut entry) = (letter.lane, letter.entry.clone());
        entry.failures = 0;
        entry.crashes = 0;
        let run = &mut self.runs[entry.run];
        run.pending.insert(entry.job.clone());
        *run.counts.get_mut("dead").expect("a dead job") -= 1;
        run.count("replayed", 1);
        self.append(lane, entry);
    }

    /// What is kept, the newest first.
    pub fn kept(&self) -> impl Iterator<Item = &Letter> {
        self.letters.iter().rev().filter(|letter| letter.is_kept)
    }
}
