//! Machines, Redis shards, network and storage for a population.

use serde::Serialize;
use sojourn::job::USERS_PER_NAME_JOB;
use sojourn::naming::Forecast;

use super::Figures;

const HOUR: f64 = 3600.0;
const MICROSECONDS: f64 = 1e6;
const MB: f64 = 1e6;
const GB: f64 = 1e9;

/// A cluster has this many primaries, or is one server.
const LEAST_OF_A_CLUSTER: u64 = 3;

/// Bytes of Redis for each naming job that a run remembers until it has ended.
const BYTES_PER_QUEUED: f64 = 70.0;

/// What a backfill of a population takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Users.
    pub users: u64,
    /// Finding journeys.
    pub extraction: Extraction,
    /// Keeping them.
    pub redis: Redis,
    /// Bringing them there.
    pub network: Network,
    /// What histories and catalogue take on disk, and to make.
    pub storage: Storage,
    /// Writing names, whoever makes them.
    pub naming: Naming,
}

/// What finding journeys takes of workers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Extraction {
    /// Hours of a core, all together.
    pub core_hours: f64,
    /// Cores that do it in time.
    pub cores: u64,
    /// Worker processes that have these.
    pub processes: u64,
    /// Machines that have these.
    pub machines: u64,
    /// Memory of a machine, with the catalogue, which its processes share.
    pub machine_gb: f64,
    /// Hours that it takes when all of their cores are as busy as planned.
    pub hours: f64,
}

/// What keeping results takes of Redis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Redis {
    /// Hours of a core that writing takes, all together.
    pub core_hours: f64,
    /// Shards that write in time.
    pub shards_by_cpu: u64,
    /// Shards that have the memory.
    pub shards_by_memory: u64,
    /// Shards: the larger of these, and one or at least three.
    pub shards: u64,
    /// Share of its time that each of them is busy while journeys are found.
    pub busy: f64,
    /// Servers, with replicas.
    pub servers: u64,
    /// Memory of the results.
    pub results_gb: f64,
    /// Memory of names that a model has made and that others may get.
    pub names_gb: f64,
    /// Memory of all servers, with replicas and what is left free.
    pub memory_gb: f64,
    /// Memory of the naming jobs that a run remembers, all in the shards of the naming queue.
    pub queued_gb: f64,
}

/// Results on their way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    /// From workers to Redis, all together.
    pub gb: f64,
    /// The same in a second, in gigabits.
    pub gbit_per_second: f64,
    /// Of that, out of each machine of workers.
    pub gbit_per_second_of_machine: f64,
    /// Into each shard; as much goes out of it to each replica.
    pub gbit_per_second_of_shard: f64,
}

/// Histories and catalogue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Storage {
    /// Interactions as they come.
    pub input_gb: f64,
    /// The shards of the dataset.
    pub shards_gb: f64,
    /// The catalogue, once on each machine.
    pub catalogue_gb: f64,
    /// Hours of a core that ingest takes.
    pub ingest_core_hours: f64,
}

/// Writing names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Naming {
    /// Hours of a core of naming workers.
    pub worker_core_hours: f64,
    /// Hours of a core of Redis.
    pub redis_core_hours: f64,
}

impl Plan {
    /// For this many users, where names by a model are shared or are not.
    pub fn of(users: u64, figures: &Figures, is_shared: bool) -> Plan {
        let people = users as f64;
        let core_hours = |microseconds: f64| people * microseconds / MICROSECONDS / HOUR;
        let in_time = |core_hours: f64| whole(core_hours / figures.hours / figures.busy);

        let catalogue_gb = figures.catalogue_items * figures.catalogue_bytes / GB;
        let of_workers = core_hours(figures.worker_us_per_user());
        let cores = in_time(of_workers);
        let machines = whole(cores as f64 / figures.machine_cores);
        let of_machine = figures.machine_cores / figures.worker_cores * figures.worker_mb * MB / GB;

        let jobs = figures.redis_us_per_job / USERS_PER_NAME_JOB as f64;
        let of_redis = core_hours(figures.redis_us_per_user + jobs);
        let results_gb = people * figures.memory_of_user() / GB;
        let different = match is_shared {
            true => people * figures.journeys_per_user * (1.0 - figures.shared_names),
            false => 0.0,
        };
        let names_gb = different * figures.memory_per_name / GB;
        let shards_by_cpu = in_time(of_redis);
        let shards_by_memory =
            whole((results_gb + names_gb) / (figures.shard_gb * figures.shard_full));
        let shards = match shards_by_cpu.max(shards_by_memory) {
            1 => 1,
            more => more.max(LEAST_OF_A_CLUSTER),
        };
        let servers = shards.saturating_mul(1 + figures.replicas as u64);

        let interactions = people * figures.items_per_user;
        let gb = people * figures.wire_of_user() / GB;
        let gbit_per_second = 8.0 * gb / (figures.hours * HOUR);
        Plan {
            users,
            extraction: Extraction {
                core_hours: of_workers,
                cores,
                processes: whole(cores as f64 / figures.worker_cores),
                machines,
                machine_gb: catalogue_gb + of_machine,
                hours: of_workers / (machines as f64 * figures.machine_cores * figures.busy),
            },
            redis: Redis {
                core_hours: of_redis,
                shards_by_cpu,
                shards_by_memory,
                shards,
                busy: of_redis / figures.hours / shards as f64,
                servers,
                results_gb,
                names_gb,
                memory_gb: servers as f64 * figures.shard_gb,
                queued_gb: people / USERS_PER_NAME_JOB as f64 * BYTES_PER_QUEUED / GB,
            },
            network: Network {
                gb,
                gbit_per_second,
                gbit_per_second_of_machine: gbit_per_second / machines as f64,
                gbit_per_second_of_shard: gbit_per_second / shards as f64,
            },
            storage: Storage {
                input_gb: interactions * figures.input_bytes / GB,
                shards_gb: interactions * figures.shard_bytes / GB,
                catalogue_gb,
                ingest_core_hours: core_hours(figures.items_per_user * figures.ingest_us_per_row),
            },
            naming: Naming {
                worker_core_hours: core_hours(figures.journeys_per_user * figures.name_worker_us),
                redis_core_hours: core_hours(figures.journeys_per_user * figures.name_redis_us),
            },
        }
    }
}

/// At least one, and all of what is begun.
fn whole(amount: f64) -> u64 {
    (amount.ceil() as u64).max(1)
}

/// What a model is asked for the journeys of `users`, with so many journeys in a call and so many answers
/// to each, where names are shared or are not.
pub fn asked_by(
    users: u64,
    figures: &Figures,
    journeys_per_call: usize,
    samples: u8,
    is_shared: bool,
) -> Forecast {
    let journeys = users as f64 * figures.journeys_per_user;
    let shared = if is_shared {
        journeys * figures.shared_names
    } else {
        0.0
    };
    let asked = journeys - shared;
    let of_call = match journeys_per_call {
        0 | 1 => 1.0,
        several => (several as f64 * figures.calls_full).max(1.0),
    };
    let calls = (asked / of_call).ceil();
    let same = calls * figures.tokens_same;
    Forecast {
        journeys: journeys as u64,
        shared: shared as u64,
        calls: calls as u64,
        tokens_in: (same + asked * figures.tokens_per_journey) as u64,
        tokens_same: same as u64,
        tokens_out: (asked * figures.tokens_of_name * f64::from(samples)) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Round figures, so that what comes of them can be reckoned by head.
    fn round() -> Figures {
        Figures {
            items_per_user: 100.0,
            journeys_per_user: 5.0,
            catalogue_items: 1_000_000.0,
            shared_names: 0.2,
            hours: 2.0,
            busy: 0.5,
            machine_cores: 8.0,
            worker_cores: 2.0,
            worker_mb: 50.0,
            shard_gb: 10.0,
            shard_full: 0.5,
            replicas: 2.0,
            round_trip_ms: 1.0,
            extract_us_per_item: 1.0,
            deliver_us_per_user: 80.0,
            ingest_us_per_row: 1.8,
            redis_us_per_user: 35.0,
            redis_us_grouped: 20.0,
            redis_us_per_job: 50.0,
            memory_per_user: 1_000.0,
            memory_per_journey: 1_000.0,
            memory_per_item: 40.0,
            memory_per_name: 250.0,
            wire_per_user: 800.0,
            input_bytes: 10.0,
            shard_bytes: 8.0,
            storage_ms: 0.0,
            catalogue_bytes: 100.0,
            tokens_same: 600.0,
            tokens_per_journey: 100.0,
            tokens_of_name: 20.0,
            calls_full: 0.5,
            name_worker_us: 36.0,
            name_redis_us: 18.0,
        }
    }

    fn near(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 1e-9 * expected.abs().max(1.0)
    }

    #[test]
    fn a_hundred_million_users_reckoned_by_head() {
        let plan = Plan::of(100_000_000, &round(), false);
        // 180 us each are 18,000 seconds, 5 hours; half of each of two hours counts.
        let extraction = &plan.extraction;
        assert!(near(extraction.core_hours, 5.0), "{extraction:?}");
        let counts = (extraction.cores, extraction.processes, extraction.machines);
        assert_eq!(counts, (5, 3, 1));
        // 0.1 GB of catalogue, and four processes.
        assert!(near(extraction.machine_gb, 0.3), "{extraction:?}");
        // Eight cores, of which half counts.
        assert!(near(extraction.hours, 1.25), "{extraction:?}");
        // 36 us each are an hour; 10 kB each are 1000 GB, at 5 in a shard.
        let redis = &plan.redis;
        assert!(near(redis.core_hours, 1.0), "{redis:?}");
        let shards = (redis.shards_by_cpu, redis.shards_by_memory, redis.shards);
        assert_eq!(shards, (1, 200, 200));
        assert!(near(redis.busy, 1.0 / 400.0), "{redis:?}");
        assert_eq!(redis.servers, 600);
        assert!(near(redis.results_gb, 1000.0) && near(redis.memory_gb, 6000.0));
        // 400 million different names of 250 bytes are another 100 GB.
        let shared = Plan::of(100_000_000, &round(), true).redis;
        assert!(near(shared.names_gb, 100.0) && near(redis.names_gb, 0.0));
        assert_eq!(shared.shards, 220);
        // Two million jobs.
        assert!(near(redis.queued_gb, 0.14), "{redis:?}");
        // 10,800 bytes each are 1,080 GB, 8,640 gigabits in 7,200 seconds.
        let network = &plan.network;
        assert!(near(network.gb, 1080.0) && near(network.gbit_per_second, 1.2));
        assert!(near(network.gbit_per_second_of_machine, 1.2), "{network:?}");
        assert!(near(network.gbit_per_second_of_shard, 0.006), "{network:?}");
        // Ten thousand million interactions.
        let storage = &plan.storage;
        assert!(near(storage.input_gb, 100.0) && near(storage.shards_gb, 80.0));
        assert!(near(storage.catalogue_gb, 0.1), "{storage:?}");
        assert!(near(storage.ingest_core_hours, 5.0), "{storage:?}");
        // 500 million names.
        let naming = &plan.naming;
        assert!(near(naming.worker_core_hours, 5.0), "{naming:?}");
        assert!(near(naming.redis_core_hours, 2.5), "{naming:?}");
    }

    #[test]
    fn the_questions_to_a_model_reckoned_by_head() {
        let alone = asked_by(1_000, &round(), 1, 1, false);
        let expected = Forecast {
            journeys: 5_000,
            shared: 0,
            calls: 5_000,
            tokens_in: 3_500_000,
            tokens_same: 3_000_000,
            tokens_out: 100_000,
        };
        assert_eq!(alone, expected);
        let together = asked_by(1_000, &round(), 8, 2, true);
        let expected = Forecast {
            journeys: 5_000,
            shared: 1_000,
            calls: 1_000,
            tokens_in: 1_000_000,
            tokens_same: 600_000,
            tokens_out: 160_000,
        };
        assert_eq!(together, expected);
    }

    #[test]
    fn whatever_is_scarcer_decides_the_shards_and_a_cluster_has_three() {
        let plan = |users, figures: &Figures| {
            let redis = Plan::of(users, figures, false).redis;
            (redis.shards_by_cpu, redis.shards_by_memory, redis.shards)
        };
        assert_eq!(plan(100_000, &round()), (1, 1, 1));
        assert_eq!(plan(600_000, &round()), (1, 2, 3));
        let large = Figures {
            shard_gb: 1e6,
            ..round()
        };
        assert_eq!(plan(1_000_000_000, &large), (10, 1, 10));
    }

    #[test]
    fn more_users_never_take_less() {
        let mut before = [0; 5];
        for power in 0..48 {
            let plan = Plan::of(1 << power, &Figures::default(), true);
            let counts = [
                plan.extraction.cores,
                plan.extraction.processes,
                plan.extraction.machines,
                plan.redis.shards,
                plan.redis.servers,
            ];
            let pairs = before.iter().zip(&counts);
            assert!(
                pairs.clone().all(|(less, more)| less <= more),
                "2^{power}: {counts:?}"
            );
            before = counts;
        }
        assert!(before.iter().all(|&count| count > 1_000), "{before:?}");
    }

    #[test]
    fn nobody_takes_next_to_nothing_and_everything_stays_finite() {
        for users in [0, 1, u64::MAX] {
            let plan = Plan::of(users, &Figures::default(), true);
            let text = serde_json::to_string(&plan).unwrap();
            assert!(!text.contains("null"), "{text}");
            assert!(plan.extraction.machines >= 1 && plan.redis.servers >= 1);
        }
    }
}
