//! What Redis has lost is noticed and done again: a scheduler in this process that looks often, real
//! workers, and a Redis that somebody damages.

mod lost_jobs;
mod lost_names;
mod past;
mod repair;

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use redis::AsyncCommands;
use sojourn::connection::Redis;
use sojourn::journey::NameSource;
use sojourn::keys::PartitionKeys;
use sojourn::queue::{Kind, Lane, Queues};
use sojourn::run::RunId;
use sojourn::store::{JourneyReader, UserJourneys};
use sojourn_scheduler::inbox;
use sojourn_scheduler::record::{RunState, RunStatus};
use sojourn_scheduler::register::Register;
use sojourn_scheduler::scheduler::{Scheduler, SchedulerOptions};
use tokio_util::sync::{CancellationToken, DropGuard};

use support::run::{backfill, wait_for_status};
use support::{Running, Server, small_dataset, wait_for_async};

const PARTITIONS: u32 = 4;

/// Journeys that each user of the dataset has.
const JOURNEYS: u64 = 2;

/// More jobs than are done between two looks at them.
const MANY: usize = 800;

/// A backfill of a small dataset, and a scheduler that looks for what was lost all the time.
struct Trial {
    redis: Redis,
    run: RunId,
    users: usize,
    /// A run that restarts reads the dataset again.
    folder: tempfile::TempDir,
    _scheduler: DropGuard,
}

impl Trial {
    async fn begin(server: &Server, users: usize, users_per_shard: usize) -> Trial {
        let depth = SchedulerOptions::default().queue_depth;
        Trial::begin_with_depth(server, users, users_per_shard, depth).await
    }

    async fn begin_with_depth(
        server: &Server,
        users: usize,
        users_per_shard: usize,
        queue_depth: u64,
    ) -> Trial {
        let folder = tempfile::tempdir().unwrap();
        let dataset = small_dataset(folder.path(), users, users_per_shard);
        let redis = server.connect().await;
        let options = SchedulerOptions {
            queue_depth,
            poll: Duration::from_millis(20),
            reconcile: Duration::from_millis(50),
            ..SchedulerOptions::default()
        };
        let stop = CancellationToken::new();
        let scheduler = Scheduler::new(&redis, options).await.unwrap();
        tokio::spawn(scheduler.run(stop.clone()));
        let run = inbox::submit(&redis, &backfill(&dataset)).await.unwrap();
        Trial {
            redis,
            run,
            users,
            folder,
            _scheduler: stop.drop_guard(),
        }
    }

    /// A run whose extraction is done, and whose naming jobs, one for five users, wait for a worker.
    async fn extracted(server: &Server, users: usize) -> (Trial, Running) {
        let trial = Trial::begin(server, users, 5).await;
        let worker = extract(server);
        trial.wait_until_extracted(0, users as u64 / 5).await;
        (trial, worker)
    }

    async fn queues(&self) -> Queues {
        Queues::open(&self.redis).await.unwrap()
    }

    async fn repair(&self) {
        Register::new(&self.redis).repair(&self.run).await.unwrap();
    }

    async fn wait(&self, wanted: impl Fn(&RunStatus) -> bool) -> RunStatus {
        wait_for_status(&self.redis, &self.run, wanted).await
    }

    async fn wait_until_over(&self) -> RunStatus {
        self.wait(|status| status.record.state.is_over()).await
    }

    /// Waits until every partition knows how often the run has restarted.
    async fn wait_until_restarted(&self, restarts: u64) {
        let queues = self.queues().await;
        wait_for_async("a restart", async || {
            let extract = queues.extract.standing(&self.run).await.ok()?;
            let name = queues.name.standing(&self.run).await.ok()?;
            (extract.restarts == restarts && name.restarts == restarts).then_some(())
        })
        .await;
    }

    /// Waits until all extraction jobs are done, and so many naming jobs wait.
    async fn wait_until_extracted(&self, restarts: u64, naming: u64) -> RunStatus {
        self.wait_until_restarted(restarts).await;
        self.wait(|status| {
            status.record.restarts == restarts
                && status.record.jobs > 0
                && status.count("done") == status.record.jobs
                && status.naming_pending == naming
        })
        .await
    }

    fn partitions(&self, kind: Kind) -> Vec<PartitionKeys> {
        let keys = self.redis.keys();
        (0..PARTITIONS).map(|n| keys.partition(kind, n)).collect()
    }

    /// Loses all that a partition knows of the run, and its lane.
    async fn forget(&self, partition: &PartitionKeys) {
        let run = &self.run;
        let forgotten = [
            partition.lane(Lane::Low),
            partition.run(run),
            partition.pending(run),
        ];
        let () = self.redis.commands().del(&forgotten).await.unwrap();
    }

    /// Loses the entries of all naming jobs.
    async fn lose_naming_jobs(&self) {
        for keys in self.partitions(Kind::Name) {
            let () = self
                .redis
                .commands()
                .del(keys.lane(Lane::Low))
                .await
                .unwrap();
        }
    }

    async fn results(&self) -> Vec<UserJourneys> {
        let ids: Vec<String> = (0..self.users).map(|user| format!("u{user}")).collect();
        let reader = JourneyReader::new(&self.redis);
        let found = reader.journeys_of_many(&ids).await.unwrap();
        let found = found.into_iter().zip(ids);
        found
            .map(|(found, id)| {
                found
                    .unwrap()
                    .unwrap_or_else(|| panic!("{id} has no results"))
            })
            .collect()
    }

    /// Waits until the run is over; checks that it is done, with everybody's journeys and names, and
    /// that its counts say so.
    async fn assert_whole(&self) -> RunStatus {
        let status = self.wait_until_over().await;
        assert_eq!(status.record.state, RunState::Done, "{status:?}");
        for user in self.results().await {
            assert_eq!(user.journeys.len() as u64, JOURNEYS);
            let named = |source| matches!(source, NameSource::Terms | NameSource::Llm);
            assert!(
                user.journeys.iter().all(|j| named(j.name_source)),
                "{user:?}"
            );
        }
        let (jobs, users) = (status.record.jobs, self.users as u64);
        let counts = ["jobs", "planned", "done"].map(|name| status.count(name));
        assert_eq!(counts, [jobs; 3], "{status:?}");
        assert_eq!(status.count("users"), users, "{status:?}");
        let counts = ["journeys", "journeys_to_name", "named"].map(|name| status.count(name));
        assert_eq!(counts, [JOURNEYS * users; 3], "{status:?}");
        assert_eq!(
            status.count("naming_jobs"),
            status.count("naming_done"),
            "{status:?}"
        );
        assert_eq!((status.dead(), status.lost), (0, 0), "{status:?}");
        status
    }
}

fn extract(server: &Server) -> Running {
    Running::start("sojourn-worker", &["extract", "--lease", "2"], server)
}

fn name(server: &Server) -> Running {
    Running::start("sojourn-worker", &["name", "--lease", "2"], server)
}

/// Entries of a lane, the oldest first.
async fn entries(redis: &Redis, lane: &str) -> Vec<String> {
    let found: redis::streams::StreamRangeReply = redis.commands().xrange_all(lane).await.unwrap();
    found.ids.into_iter().map(|entry| entry.id).collect()
}
