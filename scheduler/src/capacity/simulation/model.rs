//! The events.
//!
//! A worker has two jobs at once and clusters batches of the older one first, on all cores. A core that
//! has clustered a batch for which there is no room keeps it, and waits. A delivery takes some of the
//! worker's time before it reads, some before it writes, and then queues the naming; that time has
//! precedence over clustering, as a thread that wakes up has over one that computes. A job of which all
//! batches are delivered is settled, and another is taken and read from the storage.
//!
//! A shard serves what arrives in the order in which it arrives. All that is sent needs half a round
//! trip to get there, so the order in which it is sent is that order, and a shard needs no events: when
//! it will have served something is known when that is sent.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1};

use super::{
    BATCHES_AHEAD, BATCHES_PER_JOB, DELIVERIES, JOBS_AT_ONCE, Outcome, Placement, QUEUE_PARTITIONS,
    ROUND_TRIPS_OF_JOB, Scenario, USERS_PER_BATCH,
};
use crate::capacity::Figures;

/// Share of a delivery's work that comes before it reads; the rest comes before it writes.
const WORK_BEFORE_READING: f64 = 0.25;

/// Share of what a user costs a shard that is reading what stands there.
const READING: f64 = 0.1;

/// Workers do not all begin at once.
const BEGINNING: Nanos = 200_000_000;

/// Deliveries of which nothing is measured, beside three jobs in every place for one: then it goes evenly.
const WARM_UP: usize = 1_000;

/// Deliveries that are measured, beside four jobs in every place for one. They and not the time are counted,
/// so that a run takes as long whatever is assumed.
const MEASURED: usize = 10_000;

/// Nanoseconds, from the beginning or of work.
type Nanos = u64;

/// No step takes longer than a thousand seconds, whatever is assumed, so that no sum of them overflows.
fn nanos(microseconds: f64) -> Nanos {
    const MOST: f64 = 1e12;
    (microseconds * 1e3).round().min(MOST) as Nanos
}

/// What happens to a worker.
enum Happening {
    /// A job's shard has been read.
    Read { slot: usize },
    /// A core has clustered a batch, unless deliveries kept it from that.
    Clustered { core: usize },
    /// A delivery has come to a step.
    Delivering(Delivery),
}

/// A batch on its way.
struct Delivery {
    slot: usize,
    users: Vec<Users>,
    begun: Nanos,
    step: Step,
}

/// Users of a batch that are on the same shard.
#[derive(Clone, Copy)]
struct Users {
    shard: usize,
    count: u32,
}

/// What a delivery does next.
enum Step {
    Read,
    PrepareWrite,
    Write,
    Queue,
    End,
}

struct Event {
    at: Nanos,
    /// Among those of one time, the order in which they were foreseen.
    number: u64,
    worker: usize,
    what: Happening,
}

impl Event {
    fn key(&self) -> Reverse<(Nanos, u64)> {
        Reverse((self.at, self.number))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Event) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Event) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Event) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Event {}

/// A Redis server.
struct Shard {
    speed: f64,
    free_at: Nanos,
    /// All that it was given.
    work: Nanos,
    /// What it had done when measuring began.
    done_before: Nanos,
}

#[derive(Default)]
struct Worker {
    cores: Vec<Core>,
    jobs: [Job; JOBS_AT_ONCE],
    /// Slots of jobs that were read, oldest first.
    order: VecDeque<usize>,
}

#[derive(Default)]
struct Core {
    doing: Doing,
    /// Until when it is busy with deliveries.
    delivering_until: Nanos,
    /// How much later it is with its batch because of deliveries.
    late: Nanos,
}

#[derive(Clone, Copy, Default)]
enum Doing {
    #[default]
    Nothing,
    /// Clustering a batch of the job in this slot.
    Clustering(usize),
    /// Waiting for room for it.
    Holding(usize),
}

#[derive(Default)]
struct Job {
    number: usize,
    to_cluster: usize,
    waiting: usize,
    under_way: usize,
    delivered: usize,
}

/// What is going on.
pub(super) struct Model<'a> {
    scenario: &'a Scenario,
    figures: &'a Figures,
    rng: StdRng,
    now: Nanos,
    events: BinaryHeap<Event>,
    foreseen: u64,
    workers: Vec<Worker>,
    shards: Vec<Shard>,
    jobs: usize,
    /// Deliveries that are still to come before it is measured.
    warm_up: usize,
    /// Deliveries to measure.
    measured: usize,
    /// Since when it is measured.
    since: Nanos,
    /// How long each delivery took.
    deliveries: Vec<Nanos>,
    /// How long cores were given work.
    busy: Nanos,
}

impl<'a> Model<'a> {
    pub fn new(scenario: &'a Scenario, figures: &'a Figures, seed: u64) -> Model<'a> {
        let crew = scenario.crew;
        let shard = |shard| Shard {
            speed: scenario.speed_of(shard),
            free_at: 0,
            work: 0,
            done_before: 0,
        };
        let worker = |_| Worker {
            cores: (0..figures.worker_cores as usize)
                .map(|_| Core::default())
                .collect(),
            ..Worker::default()
        };
        let at_once = crew.workers * JOBS_AT_ONCE * BATCHES_PER_JOB;
        let mut model = Model {
            scenario,
            figures,
            rng: StdRng::seed_from_u64(seed),
            now: 0,
            events: BinaryHeap::new(),
            foreseen: 0,
            workers: (0..crew.workers).map(worker).collect(),
            shards: (0..crew.shards).map(shard).collect(),
            jobs: 0,
            warm_up: WARM_UP + 3 * at_once,
            measured: MEASURED + 4 * at_once,
            since: 0,
            deliveries: Vec::new(),
            busy: 0,
        };
        for worker in 0..crew.workers {
            for slot in 0..JOBS_AT_ONCE {
                let at = model.rng.random_range(0..BEGINNING);
                model.foresee(at, worker, Happening::Read { slot });
            }
        }
        model
    }

    pub fn run(mut self) -> Outcome {
        while self.deliveries.len() < self.measured
            && let Some(event) = self.events.pop()
        {
            self.now = event.at;
            let worker = event.worker;
            match event.what {
                Happening::Read { slot } => self.begin_job(worker, slot),
                Happening::Clustered { core } => self.end_batch(worker, core),
                Happening::Delivering(delivery) => self.go_on(worker, delivery),
            }
        }
        self.outcome()
    }

    fn foresee(&mut self, at: Nanos, worker: usize, what: Happening) {
        self.foreseen += 1;
        self.events.push(Event {
            at,
            number: self.foreseen,
            worker,
            what,
        });
    }

    fn begin_job(&mut self, worker: usize, slot: usize) {
        let number = self.jobs;
        self.jobs += 1;
        self.workers[worker].jobs[slot] = Job {
            number,
            to_cluster: BATCHES_PER_JOB,
            ..Job::default()
        };
        self.workers[worker].order.push_back(slot);
        self.cluster(worker);
    }

    /// Gives batches to cores that have none.
    fn cluster(&mut self, worker: usize) {
        for core in 0..self.workers[worker].cores.len() {
            let it = &mut self.workers[worker];
            if !matches!(it.cores[core].doing, Doing::Nothing) {
                continue;
            }
            let Some(&slot) = it.order.front() else {
                return;
            };
            let job = &mut it.jobs[slot];
            job.to_cluster -= 1;
            if job.to_cluster == 0 {
                it.order.pop_front();
            }
            let work = self.clustering();
            let core_now = &mut self.workers[worker].cores[core];
            core_now.doing = Doing::Clustering(slot);
            core_now.late = 0;
            let at = self.now.max(core_now.delivering_until) + work;
            self.busy += work;
            self.foresee(at, worker, Happening::Clustered { core });
        }
    }

    /// How long a batch takes: lengths of histories are nearly exponential.
    fn clustering(&mut self) -> Nanos {
        let lengths: f64 = (0..USERS_PER_BATCH)
            .map(|_| -> f64 { Exp1.sample(&mut self.rng) })
            .sum();
        nanos(lengths * self.figures.items_per_user * self.figures.extract_us_per_item)
    }

    fn end_batch(&mut self, worker: usize, core: usize) {
        let it = &mut self.workers[worker].cores[core];
        if it.late > 0 {
            let at = self.now + std::mem::take(&mut it.late);
            self.foresee(at, worker, Happening::Clustered { core });
            return;
        }
        let Doing::Clustering(slot) = it.doing else {
            return;
        };
        it.doing = Doing::Holding(slot);
        self.deliver(worker, slot);
        self.cluster(worker);
    }

    /// Moves batches of a job on, as far as there is room.
    fn deliver(&mut self, worker: usize, slot: usize) {
        loop {
            let Worker { cores, jobs, .. } = &mut self.workers[worker];
            let job = &mut jobs[slot];
            let held = |core: &&mut Core| matches!(core.doing, Doing::Holding(of) if of == slot);
            if job.waiting < BATCHES_AHEAD
                && let Some(core) = cores.iter_mut().find(held)
            {
                core.doing = Doing::Nothing;
                job.waiting += 1;
            } else if job.waiting > 0 && job.under_way < DELIVERIES {
                job.waiting -= 1;
                job.under_way += 1;
                let delivery = Delivery {
                    slot,
                    users: self.users(worker, slot),
                    begun: self.now,
                    step: Step::Read,
                };
                let at = self.work(worker, WORK_BEFORE_READING);
                self.foresee(at, worker, Happening::Delivering(delivery));
            } else {
                return;
            }
        }
    }

    /// The shards of a batch's users.
    fn users(&mut self, worker: usize, slot: usize) -> Vec<Users> {
        let shards = self.shards.len();
        let all = USERS_PER_BATCH as u32;
        match self.scenario.placement {
            Placement::InOrder => vec![Users {
                shard: 0,
                count: all,
            }],
            Placement::InTurns => {
                let shard = self.workers[worker].jobs[slot].number % shards;
                vec![Users { shard, count: all }]
            }
            Placement::Spread => {
                let rng = &mut self.rng;
                let mut drawn: Vec<usize> = (0..all).map(|_| rng.random_range(0..shards)).collect();
                drawn.sort_unstable();
                let groups = drawn.chunk_by(|a, b| a == b);
                let users = |group: &[usize]| Users {
                    shard: group[0],
                    count: group.len() as u32,
                };
                groups.map(users).collect()
            }
        }
    }

    /// A worker's work for a share of a delivery, at once: when it will be done.
    fn work(&mut self, worker: usize, share: f64) -> Nanos {
        let work = nanos(share * USERS_PER_BATCH as f64 * self.figures.deliver_us_per_user);
        let cores = self.workers[worker].cores.iter_mut();
        let Some(core) = cores.min_by_key(|core| core.delivering_until) else {
            return self.now;
        };
        let begin = self.now.max(core.delivering_until);
        core.delivering_until = begin + work;
        if matches!(core.doing, Doing::Clustering(_)) {
            core.late += work;
        }
        self.busy += work;
        begin + work
    }

    fn go_on(&mut self, worker: usize, mut delivery: Delivery) {
        let per_user = self.scenario.placement.redis_us(self.figures);
        let (at, next) = match delivery.step {
            Step::Read => (
                self.ask(&delivery.users, READING * per_user),
                Step::PrepareWrite,
            ),
            Step::PrepareWrite => (self.work(worker, 1.0 - WORK_BEFORE_READING), Step::Write),
            Step::Write => (
                self.ask(&delivery.users, (1.0 - READING) * per_user),
                Step::Queue,
            ),
            Step::Queue => (self.ask_queue(), Step::End),
            Step::End => return self.end_delivery(worker, &delivery),
        };
        delivery.step = next;
        self.foresee(at, worker, Happening::Delivering(delivery));
    }

    /// Asks the shards of some users for so much work each: when all have answered.
    fn ask(&mut self, users: &[Users], per_user: f64) -> Nanos {
        let there = self.round_trip() / 2;
        let arrived = self.now + there;
        let served = users.iter().map(|&Users { shard, count }| {
            self.shards[shard].serve(arrived, f64::from(count) * per_user)
        });
        served.max().unwrap_or(arrived) + there
    }

    /// Asks any partition of a queue for one script.
    fn ask_queue(&mut self) -> Nanos {
        let partition = self.rng.random_range(0..QUEUE_PARTITIONS);
        let shard = partition % self.shards.len();
        self.ask(&[Users { shard, count: 1 }], self.figures.redis_us_per_job)
    }

    fn round_trip(&self) -> Nanos {
        nanos(self.scenario.round_trip.as_secs_f64() * 1e6)
    }

    fn end_delivery(&mut self, worker: usize, delivery: &Delivery) {
        match self.warm_up {
            0 => self.deliveries.push(self.now - delivery.begun),
            1 => self.measure(),
            _ => self.warm_up -= 1,
        }
        let job = &mut self.workers[worker].jobs[delivery.slot];
        job.under_way -= 1;
        job.delivered += 1;
        if job.delivered == BATCHES_PER_JOB {
            // It is settled, and another one taken, by scripts that are few among the others.
            let settled = (ROUND_TRIPS_OF_JOB * self.round_trip() as f64) as Nanos;
            let at = self.now + settled + nanos(self.figures.storage_ms * 1e3);
            let slot = delivery.slot;
            self.foresee(at, worker, Happening::Read { slot });
            return;
        }
        self.deliver(worker, delivery.slot);
        self.cluster(worker);
    }

    /// Measures from now on.
    fn measure(&mut self) {
        self.warm_up = 0;
        self.since = self.now;
        self.busy = 0;
        for shard in &mut self.shards {
            shard.done_before = shard.done(self.now);
        }
    }

    fn outcome(mut self) -> Outcome {
        let measured = (self.now - self.since).max(1) as f64;
        let share = |busy: Nanos| busy as f64 / measured;
        let cores = self.workers.len() as f64 * self.figures.worker_cores;
        self.deliveries.sort_unstable();
        let count = self.deliveries.len();
        let sum: f64 = self.deliveries.iter().map(|&took| took as f64).sum();
        let busy = |shard: &Shard| share(shard.done(self.now).saturating_sub(shard.done_before));
        let shards = self.shards.iter().map(busy);
        let slow = self.deliveries.get(count.saturating_sub(count / 100 + 1));
        Outcome {
            users_per_second: (count * USERS_PER_BATCH) as f64 / measured * 1e9,
            workers_busy: share(self.busy) / cores,
            shards_busy: shards.clone().sum::<f64>() / self.shards.len() as f64,
            busiest_shard: shards.fold(0.0, f64::max),
            delivery: Duration::from_nanos((sum / count.max(1) as f64) as u64),
            slow_delivery: Duration::from_nanos(slow.copied().unwrap_or(0)),
        }
    }
}

impl Shard {
    /// Serves what has arrived after all that arrived before: when it is done.
    fn serve(&mut self, arrived: Nanos, microseconds: f64) -> Nanos {
        let work = nanos(microseconds / self.speed);
        self.work += work;
        self.free_at = arrived.max(self.free_at) + work;
        self.free_at
    }

    /// How much of what it was given it has done by now: it is never idle before the last of it.
    fn done(&self, now: Nanos) -> Nanos {
        self.work - self.free_at.saturating_sub(now).min(self.work)
    }
}
