//! Every Redis key that Sojourn uses, in one place. `docs/redis-keys.md` says what is in them.
//!
//! Keys that one script touches together share a hash tag, so that they live in one slot of a
//! Redis Cluster: all keys of a user, of a name that is shared, of a queue partition, of the run
//! register, of limits and ledgers.

use std::fmt::Display;

use crate::queue::{Kind, Lane};
use crate::run::RunId;

/// The prefix of every key unless `--key-prefix` says otherwise.
pub const DEFAULT_PREFIX: &str = "sj";

/// The keys of the results of a user, in one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserKeys {
    pub names: String,
    pub journeys: String,
    /// Where results are before they are put in the place of the old ones, within one transaction.
    pub new_names: String,
    pub new_journeys: String,
}

impl UserKeys {
    pub const COUNT: usize = 4;

    /// As `publish.lua` wants them.
    pub fn all(&self) -> [&String; UserKeys::COUNT] {
        [
            &self.new_names,
            &self.names,
            &self.new_journeys,
            &self.journeys,
        ]
    }
}

/// Makes key names under one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Default for Keys {
    fn default() -> Self {
        Keys::new(DEFAULT_PREFIX)
    }
}

impl Keys {
    /// Key names that start with `prefix:`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Keys {
            prefix: prefix.into(),
        }
    }

    /// Hash of a user: journey id to name. What a recommender reads.
    pub fn names(&self, user: &str) -> String {
        format!("{}:{{{user}}}:names", self.prefix)
    }

    /// Hash of a user: journey id to the journey as JSON, and `_meta`.
    pub fn journeys(&self, user: &str) -> String {
        format!("{}:{{{user}}}:journeys", self.prefix)
    }

    /// All keys of the results of a user.
    pub(crate) fn of_user(&self, user: &str) -> UserKeys {
        let (names, journeys) = (self.names(user), self.journeys(user));
        UserKeys {
            new_names: format!("{names}:new"),
            new_journeys: format!("{journeys}:new"),
            names,
            journeys,
        }
    }

    /// The name of all journeys of which the same is said to the same model; `signature` is a hash of
    /// that.
    pub fn shared_name(&self, signature: impl Display) -> String {
        format!("{}:{{{signature}}}:name", self.prefix)
    }

    /// Set of hashes of the users who have such a journey, while they are too few to share its name.
    pub fn name_users(&self, signature: impl Display) -> String {
        format!("{}:{{{signature}}}:name:users", self.prefix)
    }

    /// Is there while somebody asks for that name.
    pub fn name_claim(&self, signature: impl Display) -> String {
        format!("{}:{{{signature}}}:name:claim", self.prefix)
    }

    /// Set of user ids that any client may fill and a recompute may name.
    pub fn cohort(&self, name: &str) -> String {
        format!("{}:cohort:{name}", self.prefix)
    }

    /// Stream that asks for runs; one XADD is one run.
    pub fn triggers(&self) -> String {
        format!("{}:triggers", self.prefix)
    }

    /// The entry that was made in that stream, and in its slot, for the request of this name.
    pub fn asked(&self, name: &str) -> String {
        format!("{}:asked:{{{}}}:{name}", self.prefix, self.triggers())
    }

    /// Hash of a run: what was asked for, its state and its epoch.
    pub fn run(&self, run: &RunId) -> String {
        format!("{}:{{runs}}:{run}", self.prefix)
    }

    /// Sorted set of all runs by the time they were created.
    pub fn run_index(&self) -> String {
        format!("{}:{{runs}}:index", self.prefix)
    }

    /// Set of the runs that are not over.
    pub fn active_runs(&self) -> String {
        format!("{}:{{runs}}:active", self.prefix)
    }

    /// Set of users that a recompute of a cohort is about, as they were when it was planned.
    pub fn run_users(&self, run: &RunId) -> String {
        format!("{}:{{runs}}:{run}:users", self.prefix)
    }

    /// Counter that numbers runs: the newer run has the larger epoch.
    pub fn epoch(&self) -> String {
        format!("{}:{{runs}}:epoch", self.prefix)
    }

    /// Hash of what all processes must agree on, such as the number of partitions.
    pub fn settings(&self) -> String {
        format!("{}:{{runs}}:settings", self.prefix)
    }

    /// The lease of the scheduler that leads.
    pub fn leader(&self) -> String {
        format!("{}:{{runs}}:leader", self.prefix)
    }

    /// In which batch a question to a model is asked.
    pub fn batched_question(&self, question: impl Display) -> String {
        format!("{}:{{{question}}}:batched", self.prefix)
    }

    /// Hash of a batch of questions: who creates it at the provider, and as what.
    pub fn batch(&self, token: impl Display) -> String {
        format!("{}:{{llm}}:batch:{token}", self.prefix)
    }

    /// Hash of what questions of such a batch may cost, until that is settled.
    pub fn batch_costs(&self, token: impl Display) -> String {
        format!("{}:{{llm}}:batch:{token}:costs", self.prefix)
    }

    /// Hash of what was lately asked of a model endpoint, by all processes together; `scope` tells
    /// endpoints apart.
    pub fn limits(&self, scope: &str) -> String {
        format!("{}:{{llm}}:limits:{scope}", self.prefix)
    }

    /// Hash of who may have how many calls under way at a model endpoint.
    pub fn slots(&self, scope: &str) -> String {
        format!("{}:{{llm}}:slots:{scope}", self.prefix)
    }

    /// Hash of what one process has reserved of a limit and has not settled yet.
    pub fn reserved(&self, process: &str) -> String {
        format!("{}:{{llm}}:reserved:{process}", self.prefix)
    }

    /// Hash of what naming has cost a run, and of what it may cost.
    pub fn ledger(&self, run: &RunId) -> String {
        format!("{}:{{llm}}:ledger:{run}", self.prefix)
    }

    /// Hash of what naming has cost on which day, all runs together.
    pub fn days(&self) -> String {
        format!("{}:{{llm}}:days", self.prefix)
    }

    /// The keys of one partition of one kind of queue.
    pub fn partition(&self, kind: Kind, partition: u32) -> PartitionKeys {
        PartitionKeys {
            tag: format!("{}:{{{kind}:{partition}}}", self.prefix),
        }
    }
}

/// Key names of one partition of a queue; all in one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionKeys {
    tag: String,
}

impl PartitionKeys {
    /// Stream of the jobs of a lane.
    pub fn lane(&self, lane: Lane) -> String {
        format!("{}:{lane}", self.tag)
    }

    /// Sorted set of a lane's jobs that wait for another attempt, by the time it is due.
    pub fn retry(&self, lane: Lane) -> String {
        format!("{}:{lane}:retry", self.tag)
    }

    /// Stream of jobs that were given up, with the reason.
    pub fn dead(&self) -> String {
        format!("{}:dead", self.tag)
    }

    /// Hash of a run in this partition: how far it is planned, and its counts.
    pub fn run(&self, run: &RunId) -> String {
        format!("{}:run:{run}", self.tag)
    }

    /// Set of the run's jobs in this partition that are not finished.
    pub fn pending(&self, run: &RunId) -> String {
        format!("{}:run:{run}:pending", self.tag)
    }

    /// Set of the run's jobs in this partition that were queued because they follow from others.
    pub fn queued(&self, run: &RunId) -> String {
        format!("{}:run:{run}:queued", self.tag)
    }

    /// Stream of the run's jobs that wait until it goes on.
    pub fn parked(&self, run: &RunId) -> String {
        format!("{}:run:{run}:parked", self.tag)
    }

    /// Is there while a lane is paused.
    pub fn paused(&self, lane: Lane) -> String {
        format!("{}:{lane}:paused", self.tag)
    }
}
