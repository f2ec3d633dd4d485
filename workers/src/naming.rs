//! The naming worker: new and changed journeys of some users get names.

use sojourn::connection::Redis;
use sojourn::job::NameJob;
use sojourn::journey::Journey;
use sojourn::naming::{LlmError, Namer, NamingCounts, Unnamed};
use sojourn::queue::{Counts, Failure, Lease, Work, decode};
use sojourn::store::{JourneyReader, JourneyWriter, NewName, UserJourneys};
use tokio_util::sync::CancellationToken;

/// Names journeys.
pub struct NamingWorker {
    reader: JourneyReader,
    writer: JourneyWriter,
    namer: Namer,
}

impl NamingWorker {
    /// A worker that gets its names from `namer`.
    pub fn new(redis: &Redis, namer: Namer) -> NamingWorker {
        NamingWorker {
            reader: JourneyReader::new(redis),
            writer: JourneyWriter::new(redis),
            namer,
        }
    }

    /// Names the journeys of a batch of users and writes the names, before the next batch is begun:
    /// what was paid for is safe.
    async fn name(
        &self,
        batch: &[(String, UserJourneys)],
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let unnamed: Vec<Unnamed<'_>> = batch
            .iter()
            .map(|(_, user)| {
                let (journeys, named): (Vec<&Journey>, Vec<&Journey>) = user
                    .journeys
                    .iter()
                    .partition(|journey| journey.name_source.wants_name());
                Unnamed {
                    journeys,
                    taken: named.iter().map(|j| j.name.as_str()).collect(),
                }
            })
            .collect();
        let (names, cost) = self.namer.name(&unnamed).await.map_err(naming_failure)?;
        tally.cost(cost);
        let named: Vec<_> = batch
            .iter()
            .zip(unnamed.iter().zip(names))
            .map(|((user, stored), (unnamed, names))| {
                let named = unnamed.journeys.iter().zip(names).map(|(before, name)| {
                    let mut after = (*before).clone();
                    after.name = name.name;
                    after.name_source = name.source;
                    NewName {
                        before: (*before).clone(),
                        after,
                    }
                });
                (user.clone(), stored.meta.epoch, named.collect::<Vec<_>>())
            })
            .collect();
        let written = self
            .writer
            .write_names(&named)
            .await
            .map_err(|error| Failure::Transient(error.to_string()))?;
        let asked: u64 = named.iter().map(|(_, _, names)| names.len() as u64).sum();
        let written: u64 = written.iter().sum();
        tally.named += written;
        tally.names_outdated += asked - written;
        Ok(())
    }
}

impl Work for NamingWorker {
    async fn perform(&self, lease: &Lease, stop: &CancellationToken) -> Result<Counts, Failure> {
        let job: NameJob =
            decode(&lease.payload).map_err(|error| Failure::Permanent(error.to_string()))?;
        let stored = self
            .reader
            .journeys_of_many(&job.users)
            .await
            .map_err(|error| Failure::Transient(error.to_string()))?;
        let mut waiting: Vec<(String, UserJourneys)> = job
            .users
            .into_iter()
            .zip(stored)
            .filter_map(|(user, stored)| Some((user, stored?)))
            .filter(|(_, user)| user.journeys.iter().any(|j| j.name_source.wants_name()))
            .collect();
        let mut tally = Tally::default();
        while !waiting.is_empty() {
            let rest = waiting.split_off(users_for(&waiting, self.namer.batch_size()));
            tokio::select! {
                named = self.name(&waiting, &mut tally) => named?,
                () = stop.cancelled() => return Err(Failure::Interrupted),
            }
            waiting = rest;
        }
        Ok(tally.counts())
    }
}

/// How many users, at least one, have no more than `journeys` journeys to name.
fn users_for(users: &[(String, UserJourneys)], journeys: usize) -> usize {
    let mut sum = 0;
    let fitting = users
        .iter()
        .take_while(|(_, user)| {
            sum += user
                .journeys
                .iter()
                .filter(|j| j.name_source.wants_name())
                .count();
            sum <= journeys
        })
        .count();
    fitting.max(1)
}

fn naming_failure(error: LlmError) -> Failure {
    if error.is_transient() {
        Failure::Transient(error.to_string())
    } else {
        Failure::Permanent(error.to_string())
    }
}

/// What a job adds to the counts of its run.
#[derive(Default)]
struct Tally {
    named: u64,
    names_outdated: u64,
    cost: NamingCounts,
}

impl Tally {
    fn cost(&mut self, cost: NamingCounts) {
        self.cost.calls += cost.calls;
        self.cost.tokens_in += cost.tokens_in;
        self.cost.tokens_out += cost.tokens_out;
        self.cost.rejected += cost.rejected;
        self.cost.fallbacks += cost.fallbacks;
    }

    fn counts(&self) -> Counts {
        vec![
            ("named", self.named),
            ("names_outdated", self.names_outdated),
            ("llm_calls", self.cost.calls),
            ("llm_tokens_in", self.cost.tokens_in),
            ("llm_tokens_out", self.cost.tokens_out),
            ("names_rejected", self.cost.rejected),
            ("names_fallback", self.cost.fallbacks),
        ]
    }
}
