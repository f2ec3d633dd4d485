//! What the queue should be, in plain Rust: one partition, two lanes, three runs.

use std::collections::BTreeSet;

use sojourn::queue::Lane;

use crate::entry::{Entry, Letter, Waiting};
use crate::run::{Run, State};

/// The lane of each run; two share one.
pub const LANES: [Lane; 3] = [Lane::High, Lane::Low, Lane::Low];

/// Attempts that a job counts as made for each time that its run has restarted.
const PER_RESTART: u64 = 10_000;

/// Attempts that a job counts as made besides when it is queued again because it had vanished.
const BEFORE_REQUEUE: u64 = 5_000;

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub runs: [Run; LANES.len()],
    lanes: [Vec<Entry>; 2],
    waiting: [Vec<Waiting>; 2],
    is_paused: [bool; 2],
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

    pub fn waiting(&self, lane: Lane) -> usize {
        self.waiting[at(lane)].len()
    }

    pub fn is_paused(&self, lane: Lane) -> bool {
        self.is_paused[at(lane)]
    }

    pub fn pause_lane(&mut self, lane: Lane, is_paused: bool) {
        self.is_paused[at(lane)] = is_paused;
    }

    fn new_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }

    /// Adds an entry at the end of the lane of its run, or to what is parked.
    pub fn append(&mut self, entry: Entry) {
        let place = self.new_place();
        let run = &mut self.runs[entry.run];
        let list = match run.state {
            State::Paused => &mut run.parked,
            _ => &mut self.lanes[at(LANES[entry.run])],
        };
        list.push(Entry {
            place,
            held: None,
            ..entry
        });
    }

    fn append_new(&mut self, run: usize, job: &str, attempts: u64) {
        self.append(Entry {
            run,
            job: job.into(),
            attempts: self.runs[run].restarts * PER_RESTART + attempts,
            failures: 0,
            crashes: 0,
            place: 0,
            held: None,
        });
    }

    /// Queues a job that follows from another, once.
    pub fn follow(&mut self, run: usize, job: &str, size: u64) {
        if self.runs[run].followed.insert(job.into()) {
            self.enqueue(run, job, size);
        }
    }

    /// Queues a job unless it is pending.
    pub fn enqueue(&mut self, run: usize, job: &str, size: u64) {
        if self.runs[run].begin(job, size) {
            self.append_new(run, job, 0);
        }
    }

    /// What is due joins its lane.
    fn promote(&mut self, lane: Lane) {
        let place = self.new_place();
        let due = self.waiting[at(lane)].extract_if(.., |waits| waits.is_due);
        self.lanes[at(lane)].extend(due.map(|waits| Entry {
            place,
            ..waits.entry
        }));
    }

    /// The entries of which a worker gets one: with `taking_over`, those that are held before the
    /// others; of several, those in the first place.
    pub fn candidates(&mut self, lane: Lane, promotes: bool, taking_over: bool) -> Vec<Entry> {
        if self.is_paused(lane) {
            return Vec::new();
        }
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

    /// Gives an entry to a worker.
    pub fn hand_out(&mut self, entry: &Entry, worker: &str) -> Entry {
        let mut lane = self.lanes[at(LANES[entry.run])].iter_mut();
        let entry = lane.find(|found| *found == entry).expect("a candidate");
        let deliveries = entry.held.as_ref().map_or(0, |(_, deliveries)| *deliveries) + 1;
        entry.held = Some((worker.into(), deliveries));
        entry.clone()
    }

    /// Takes an entry out of its lane.
    pub fn remove(&mut self, entry: &Entry) {
        self.lanes[at(LANES[entry.run])].retain(|found| found != entry);
    }

    /// Takes an entry that somebody holds out of its lane. Returns that of the next attempt.
    pub fn end(&mut self, entry: &Entry) -> Entry {
        self.remove(entry);
        let (_, deliveries) = entry.held.clone().expect("a lease that is held");
        Entry {
            attempts: entry.attempts + u64::from(deliveries),
            crashes: entry.crashes + deliveries - 1,
            held: None,
            ..entry.clone()
        }
    }

    pub fn put_off(&mut self, entry: Entry, is_due: bool) {
        if self.runs[entry.run].state == State::Paused {
            return self.append(entry);
        }
        self.runs[entry.run].count("retried", 1);
        let entry = Entry { place: 0, ..entry };
        let waiting = &mut self.waiting[at(LANES[entry.run])];
        // Two entries of one job that say the same become one.
        waiting.retain(|waits| waits.entry != entry);
        waiting.push(Waiting { entry, is_due });
    }

    pub fn time_passes(&mut self) {
        for waiting in self.waiting.iter_mut().flatten() {
            waiting.is_due = true;
        }
    }

    /// Puts the job of a letter back.
    pub fn replay(&mut self, letter: usize) {
        let letter = &mut self.letters[letter];
        letter.is_kept = false;
        let entry = Entry {
            failures: 0,
            crashes: 0,
            ..letter.entry.clone()
        };
        self.runs[entry.run].revive(&entry.job);
        self.append(entry);
    }

    /// What is kept, the newest first.
    pub fn kept(&self) -> impl Iterator<Item = &Letter> {
        self.letters.iter().rev().filter(|letter| letter.is_kept)
    }

    /// Drops what is queued of a run.
    fn clear(&mut self, run: usize) {
        let lane = at(LANES[run]);
        self.lanes[lane].retain(|entry| entry.run != run);
        self.waiting[lane].retain(|waits| waits.entry.run != run);
        self.runs[run].parked.clear();
    }

    /// Returns how many jobs were not finished.
    pub fn cancel(&mut self, run: usize) -> usize {
        self.clear(run);
        let run = &mut self.runs[run];
        run.state = State::Cancelled;
        run.followed.clear();
        std::mem::take(&mut run.pending).len()
    }

    /// Parks what waits first, in one place, and then what nobody holds.
    pub fn pause(&mut self, run: usize) {
        if self.runs[run].state == State::Cancelled {
            return;
        }
        self.runs[run].state = State::Paused;
        let (lane, place) = (at(LANES[run]), self.new_place());
        let parked = &mut self.runs[run].parked;
        let waiting = self.waiting[lane].extract_if(.., |waits| waits.entry.run == run);
        parked.extend(waiting.map(|waits| Entry {
            place,
            ..waits.entry
        }));
        parked.extend(
            self.lanes[lane].extract_if(.., |entry| entry.run == run && entry.held.is_none()),
        );
    }

    /// Puts what is parked back, in its order.
    pub fn resume(&mut self, run: usize) {
        if self.runs[run].state != State::Paused {
            return;
        }
        self.runs[run].state = State::Running;
        let mut before = None;
        for entry in std::mem::take(&mut self.runs[run].parked) {
            if before != Some(entry.place) {
                before = Some(entry.place);
                self.places += 1;
            }
            let place = self.places;
            self.lanes[at(LANES[run])].push(Entry { place, ..entry });
        }
    }

    /// Returns whether the run is over.
    pub fn close(&mut self, run: usize) -> bool {
        let run = &mut self.runs[run];
        let is_over = match run.state {
            State::Running | State::Over => run.pending.is_empty(),
            State::Paused | State::Cancelled => false,
        };
        if is_over {
            run.state = State::Over;
            run.followed.clear();
        }
        is_over
    }

    pub fn reopen(&mut self, run: usize) {
        if self.runs[run].state == State::Over {
            self.runs[run].state = State::Running;
        }
    }

    pub fn restart(&mut self, run: usize, restarts: u64, keeps: bool) {
        let known = &self.runs[run];
        if known.state != State::Cancelled && known.restarts < restarts {
            let again = known.again(restarts, keeps);
            self.clear(run);
            self.runs[run] = again;
        }
    }

    /// Jobs of a run that are pending and nowhere.
    pub fn missing(&self, run: usize) -> BTreeSet<String> {
        let mut missing = self.runs[run].pending.clone();
        let lane = at(LANES[run]);
        let waiting = self.waiting[lane].iter().map(|waits| &waits.entry);
        let parked = self.runs[run].parked.iter();
        for entry in self.lanes[lane].iter().chain(waiting).chain(parked) {
            if entry.run == run {
                missing.remove(&entry.job);
            }
        }
        missing
    }

    /// Queues some jobs again and gives up others, whether or not they are missing. Returns how many.
    pub fn mend(
        &mut self,
        run: usize,
        restarts: u64,
        planned: &[String],
        others: &[String],
    ) -> (u64, u64) {
        let (mut requeued, mut lost) = (0, 0);
        if self.runs[run].restarts != restarts {
            return (requeued, lost);
        }
        for job in planned {
            let known = &mut self.runs[run];
            if known.state == State::Running && known.pending.contains(job) {
                known.count("requeued", 1);
                self.append_new(run, job, BEFORE_REQUEUE);
                requeued += 1;
            }
        }
        for job in others {
            lost += u64::from(self.runs[run].end(job, "lost"));
        }
        (requeued, lost)
    }
}
