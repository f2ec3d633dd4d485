//! Many workers on many Redis shards, played through event by event.
//!
//! The model has what decides how workers and Redis hold each other up: a worker's cores, its
//! jobs, the batches that may wait and be under way, the round trips of a delivery, and shards that
//! serve one command after the other. It knows no failures, no replicas and no limit of the network.

mod model;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use sojourn::ingest::IngestOptions;
use sojourn::job::USERS_PER_NAME_JOB;

use super::Figures;
use model::Model;

/// Users of a batch, as workers deliver them.
const USERS_PER_BATCH: usize = USERS_PER_NAME_JOB;

/// Batches of a job, which is a shard of a dataset.
const BATCHES_PER_JOB: usize = IngestOptions::USERS_PER_SHARD / USERS_PER_BATCH;

/// Jobs that a worker has at once.
const JOBS_AT_ONCE: usize = 2;

/// Batches of a job that are on their way to Redis at once.
const DELIVERIES: usize = 8;

/// Batches of a job that wait for that.
const BATCHES_AHEAD: usize = 4;

/// Partitions of the naming queue, each on one shard.
const QUEUE_PARTITIONS: usize = 4;

/// Round trips of a delivery: it reads, writes, and queues the naming.
const ROUND_TRIPS: f64 = 3.0;

/// Round trips between two jobs: one is settled, another taken.
const ROUND_TRIPS_OF_JOB: f64 = 2.0;

/// Microseconds that are taken for none where something is divided by them.
const LEAST: f64 = 1e-3;

/// How many workers and shards there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Crew {
    /// Worker processes.
    pub workers: usize,
    /// Redis shards.
    pub shards: usize,
}

impl Crew {
    /// More workers or shards are refused: the run would take longer than anybody waits.
    const MOST: usize = 5_000;
}

impl FromStr for Crew {
    type Err = String;

    fn from_str(text: &str) -> Result<Crew, String> {
        let numbers = text
            .split_once('x')
            .and_then(|(workers, shards)| Some((workers.parse().ok()?, shards.parse().ok()?)));
        match numbers {
            Some((workers @ 1..=Crew::MOST, shards @ 1..=Crew::MOST)) => {
                Ok(Crew { workers, shards })
            }
            _ => Err(format!(
                "must be WORKERSxSHARDS, such as 200x16, each from 1 to {}",
                Crew::MOST
            )),
        }
    }
}

impl fmt::Display for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.workers, self.shards)
    }
}

/// On which shards the users of a job are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// On all: a user's shard has nothing to do with the job. So it is with datasets of format 1, and
    /// nearly so where there are few users for each slot.
    Spread,
    /// On one, and those of the next job on another one: a large dataset has the order of slots, and
    /// neighbouring jobs are planned apart.
    InTurns,
    /// On one, and those of the next job on the same, were they not.
    InOrder,
}

impl Placement {
    /// Microseconds of a shard for each user: those of one slot are written together.
    fn redis_us(self, figures: &Figures) -> f64 {
        match self {
            Placement::Spread => figures.redis_us_per_user,
            Placement::InTurns | Placement::InOrder => figures.redis_us_grouped,
        }
    }

    /// Share of the users that are on a shard.
    fn share_of(self, shard: usize, shards: usize) -> f64 {
        match self {
            Placement::Spread | Placement::InTurns => 1.0 / shards as f64,
            Placement::InOrder if shard == 0 => 1.0,
            Placement::InOrder => 0.0,
        }
    }
}

/// What is played through.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scenario {
    /// How many there are.
    pub crew: Crew,
    /// Where users are.
    pub placement: Placement,
    /// From a worker to Redis and back.
    #[serde(rename = "round_trip_seconds", serialize_with = "seconds")]
    pub round_trip: Duration,
    /// Speed of the last shard, as a share of that of others.
    pub speed_of_last: f64,
}

impl Scenario {
    /// Users anywhere, all shards equal.
    pub fn plain(crew: Crew, figures: &Figures) -> Scenario {
        Scenario {
            crew,
            placement: Placement::Spread,
            round_trip: Duration::from_secs_f64(figures.round_trip_ms / 1e3),
            speed_of_last: 1.0,
        }
    }

    /// What there is to see: how many workers are worth having, and what else makes a difference.
    pub fn all(crew: Crew, figures: &Figures) -> Vec<Scenario> {
        const SIXTEENTHS: [usize; 7] = [1, 2, 3, 4, 8, 16, 32];
        let plain = Scenario::plain(crew, figures);
        let workers = SIXTEENTHS
            .iter()
            .map(|part| (crew.workers * part).div_ceil(16));
        let mut workers: Vec<usize> = workers.collect();
        workers.dedup();
        let with = |workers| Scenario {
            crew: Crew { workers, ..crew },
            ..plain
        };
        let mut all: Vec<Scenario> = workers.into_iter().map(with).collect();
        for placement in [Placement::InTurns, Placement::InOrder] {
            all.push(Scenario { placement, ..plain });
        }
        all.push(Scenario {
            speed_of_last: 0.5,
            ..plain
        });
        for microseconds in [200, 1_000, 10_000] {
            let round_trip = Duration::from_micros(microseconds);
            // Few enough that Redis does not decide.
            all.push(Scenario {
                round_trip,
                ..with(crew.workers.div_ceil(16))
            });
        }
        all
    }

    fn speed_of(&self, shard: usize) -> f64 {
        match shard + 1 == self.crew.shards {
            true => self.speed_of_last,
            false => 1.0,
        }
    }

    /// Users a second that no crew of this kind can pass.
    pub fn bounds(&self, figures: &Figures) -> Bounds {
        const SECOND: f64 = 1e6;
        let Crew { workers, shards } = self.crew;
        let workers = workers as f64;
        let round_trip = self.round_trip.as_secs_f64() * SECOND;
        let delivery =
            ROUND_TRIPS * round_trip + USERS_PER_BATCH as f64 * figures.deliver_us_per_user;
        let job = delivery * BATCHES_PER_JOB as f64 / DELIVERIES as f64
            + ROUND_TRIPS_OF_JOB * round_trip
            + figures.storage_ms * 1e3;
        let at_once = workers * (JOBS_AT_ONCE * BATCHES_PER_JOB * USERS_PER_BATCH) as f64;
        let of_shard = |shard| {
            let users = self.placement.share_of(shard, shards) * self.placement.redis_us(figures);
            let queued = (0..QUEUE_PARTITIONS)
                .filter(|p| p % shards == shard)
                .count();
            let jobs = queued as f64 / (QUEUE_PARTITIONS * USERS_PER_BATCH) as f64;
            SECOND * self.speed_of(shard) / (users + jobs * figures.redis_us_per_job)
        };
        Bounds {
            workers: workers * figures.worker_cores * SECOND
                / figures.worker_us_per_user().max(LEAST),
            redis: (0..shards).map(of_shard).fold(f64::INFINITY, f64::min),
            waiting: at_once * SECOND / job.max(LEAST),
        }
    }

    /// Workers from which on Redis decides.
    pub fn enough(&self, figures: &Figures) -> usize {
        let bounds = self.bounds(figures);
        let of_worker = bounds.workers.min(bounds.waiting) / self.crew.workers as f64;
        (bounds.redis / of_worker).ceil() as usize
    }

    /// Plays it through. The same seed gives the same outcome.
    pub fn simulate(&self, figures: &Figures, seed: u64) -> Outcome {
        Model::new(self, figures, seed).run()
    }
}

/// Users a second at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// By the workers' cores.
    pub workers: f64,
    /// By the shard that has most to do.
    pub redis: f64,
    /// By round trips and the storage, with so many jobs and deliveries at once.
    pub waiting: f64,
}

impl Bounds {
    /// The one that decides, and what makes it.
    pub fn least(&self) -> (f64, &'static str) {
        let (least, by) = match self.workers <= self.redis {
            true => (self.workers, "workers"),
            false => (self.redis, "Redis"),
        };
        match least <= self.waiting {
            true => (least, by),
            false => (self.waiting, "waiting"),
        }
    }
}

/// What came of a scenario, once it went evenly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Users delivered in a second.
    pub users_per_second: f64,
    /// Share of its time that a worker's core is busy, in the mean.
    pub workers_busy: f64,
    /// Share of its time that a shard is busy, in the mean.
    pub shards_busy: f64,
    /// The same of the busiest.
    pub busiest_shard: f64,
    /// How long a batch is on its way, in the mean.
    #[serde(rename = "delivery_seconds", serialize_with = "seconds")]
    pub delivery: Duration,
    /// How long all but one in a hundred are, at most.
    #[serde(rename = "slow_delivery_seconds", serialize_with = "seconds")]
    pub slow_delivery: Duration,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crew(workers: usize, shards: usize) -> Crew {
        Crew { workers, shards }
    }

    /// What is measured may change; what is said of the model here does not.
    fn figures() -> Figures {
        Figures {
            extract_us_per_item: 1.2,
            items_per_user: 100.0,
            deliver_us_per_user: 80.0,
            redis_us_per_user: 45.0,
            redis_us_grouped: 23.5,
            redis_us_per_job: 50.0,
            worker_cores: 2.0,
            round_trip_ms: 0.5,
            storage_ms: 30.0,
            ..Figures::default()
        }
    }

    fn plain(workers: usize, shards: usize) -> Scenario {
        Scenario::plain(Crew { workers, shards }, &figures())
    }

    fn rate(scenario: &Scenario, figures: &Figures) -> f64 {
        scenario.simulate(figures, 1).users_per_second
    }

    fn assert_near(value: f64, expected: f64, tolerance: f64) {
        let ratio = value / expected;
        assert!(
            (ratio - 1.0).abs() <= tolerance,
            "{value} instead of {expected}"
        );
    }

    #[test]
    fn one_worker_on_one_shard_does_what_its_cores_can() {
        let figures = Figures {
            worker_cores: 1.0,
            ..figures()
        };
        // 200 us of one core.
        let outcome = plain(1, 1).simulate(&figures, 1);
        assert_near(outcome.users_per_second, 5_000.0, 0.03);
        assert!(outcome.workers_busy > 0.97, "{outcome:?}");
        assert_near(outcome.shards_busy, 5_000.0 * 46e-6, 0.05);
    }

    #[test]
    fn one_shard_that_is_slower_than_its_worker_decides() {
        let figures = Figures {
            redis_us_per_user: 490.0,
            redis_us_per_job: 500.0,
            ..figures()
        };
        let outcome = plain(1, 1).simulate(&figures, 1);
        assert_near(outcome.users_per_second, 2_000.0, 0.01);
        assert!(outcome.shards_busy > 0.99, "{outcome:?}");
        assert!(outcome.workers_busy < 0.3, "{outcome:?}");
        // By Little's law, what is under way: eight batches of a job, of which there are two, and of its
        // last eight fewer and fewer.
        let under_way = outcome.users_per_second * outcome.delivery.as_secs_f64();
        let of_job = (12.0 * 8.0 + 36.0) / 20.0 * 50.0;
        assert_near(under_way, 2.0 * of_job, 0.05);
    }

    #[test]
    fn many_workers_come_to_the_bound_of_redis_and_twice_the_shards_move_it() {
        let figures = figures();
        let few = plain(4, 4);
        let (bound, by) = few.bounds(&figures).least();
        assert_eq!(by, "workers");
        assert_near(rate(&few, &figures), bound, 0.03);
        for shards in [4, 8] {
            let many = plain(60, shards);
            let (bound, by) = many.bounds(&figures).least();
            assert_eq!(by, "Redis");
            assert_near(rate(&many, &figures), bound, 0.04);
        }
        // 86,580 users a second by four shards, 10,000 by a worker; where the queue is on four of eight
        // shards, these have a little more to do.
        assert_eq!(plain(60, 4).enough(&figures), 9);
        assert_eq!(plain(60, 8).enough(&figures), 18);
    }

    #[test]
    fn one_slow_shard_holds_up_everybody() {
        let figures = figures();
        let equal = plain(60, 8);
        let slow = Scenario {
            speed_of_last: 0.5,
            ..equal
        };
        let outcome = slow.simulate(&figures, 1);
        assert_near(outcome.users_per_second, 8.0 * 0.5e6 / 45.0, 0.04);
        assert!(outcome.busiest_shard > 0.95, "{outcome:?}");
        assert!(outcome.shards_busy < 0.65, "{outcome:?}");
        assert!(outcome.users_per_second < 0.6 * rate(&equal, &figures));
    }

    #[test]
    fn jobs_of_one_shard_after_the_other_use_one_shard() {
        let figures = figures();
        let scenario = |placement| Scenario {
            placement,
            ..plain(60, 8)
        };
        let in_order = scenario(Placement::InOrder);
        let (bound, _) = in_order.bounds(&figures).least();
        assert!(bound < 1e6 / 23.5, "{bound}");
        assert_near(rate(&in_order, &figures), bound, 0.04);
        let in_turns = rate(&scenario(Placement::InTurns), &figures);
        assert!(in_turns > 1.2 * rate(&scenario(Placement::Spread), &figures));
    }

    #[test]
    fn a_redis_that_is_far_away_leaves_a_worker_of_many_cores_idle() {
        let figures = Figures {
            worker_cores: 32.0,
            ..figures()
        };
        let far = Scenario {
            round_trip: Duration::from_millis(10),
            ..plain(1, 16)
        };
        let (bound, by) = far.bounds(&figures).least();
        assert_eq!(by, "waiting");
        let outcome = far.simulate(&figures, 1);
        assert!(outcome.users_per_second < bound, "{outcome:?}");
        assert!(
            outcome.users_per_second > 0.6 * bound,
            "{outcome:?} of {bound}"
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_outcome_and_another_one_nearly_the_same() {
        let scenario = plain(20, 4);
        let outcome = |seed| scenario.simulate(&figures(), seed);
        assert_eq!(outcome(1), outcome(1));
        assert_ne!(outcome(1), outcome(2));
        assert_near(
            outcome(1).users_per_second,
            outcome(2).users_per_second,
            0.03,
        );
    }

    #[test]
    fn whatever_is_assumed_a_run_comes_to_an_end() {
        for value in [0.0_f64, 1e9] {
            let extreme = Figures {
                items_per_user: value.max(1e-6),
                extract_us_per_item: value,
                deliver_us_per_user: value,
                redis_us_per_user: value.max(1e-6),
                redis_us_per_job: value,
                round_trip_ms: value,
                storage_ms: value,
                ..figures()
            };
            let crew = Crew {
                workers: 3,
                shards: 2,
            };
            let outcome = Scenario::plain(crew, &extreme).simulate(&extreme, 1);
            assert!(outcome.users_per_second.is_finite(), "{outcome:?}");
        }
    }

    #[test]
    fn a_crew_is_workers_and_shards() {
        assert_eq!("200x16".parse(), Ok(crew(200, 16)));
        assert_eq!(crew(200, 16).to_string(), "200x16");
        for text in ["200", "x16", "0x16", "200x0", "200x16x2", "5001x1", "-1x2"] {
            let error = text.parse::<Crew>().unwrap_err();
            assert!(error.contains("200x16"), "{text}: {error}");
        }
    }
}
