//! The naming worker: new and changed journeys of some users get names.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use sojourn::code::{Code, Coded};
use sojourn::connection::Redis;
use sojourn::health::Contact;
use sojourn::job::{NameJob, UserToName};
use sojourn::journey::Journey;
use sojourn::naming::{Account, LlmError, Named, Namer, NamingCounts, Unnamed};
use sojourn::queue::{Counts, Failure, Lease, Work, decode};
use sojourn::run::Epoch;
use sojourn::store::{JourneyReader, JourneyWriter, NewName, StoreError, UserJourneys};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::patience::Patience;

/// How often a user is looked at whose journeys somebody changed while they were named. Only a run
/// or a worker that took the job over does that, so the second look is already rare.
const MAX_LOOKS: usize = 8;

/// How long a job waits that has no money, if no scheduler parks it.
const LOOK_FOR_MONEY: Duration = Duration::from_secs(60);

/// Names journeys.
pub struct NamingWorker {
    reader: JourneyReader,
    writer: JourneyWriter,
    namer: Namer,
}

/// A user with what stands in Redis.
struct Waiting {
    asked: UserToName,
    stored: UserJourneys,
}

impl Waiting {
    fn unnamed(&self) -> Unnamed<'_> {
        let journeys = self.stored.journeys.iter();
        let (journeys, named): (Vec<&Journey>, Vec<&Journey>) =
            journeys.partition(|journey| journey.wants_name());
        Unnamed {
            user: &self.asked.user,
            journeys,
            taken: named.iter().map(|j| j.name.as_str()).collect(),
        }
    }
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

    /// Reads how some users stand. Those with nothing to name are finished and counted, and those
    /// whose results are not there are noted.
    async fn look(
        &self,
        users: Vec<UserToName>,
        tally: &mut Tally,
        patience: &Mutex<Patience<'_>>,
    ) -> Result<Vec<Waiting>, Failure> {
        let ids: Vec<&str> = users.iter().map(|asked| asked.user.as_str()).collect();
        let mut patience = patience.lock().await;
        let stored = patience.with(|| self.reader.journeys_of_many(&ids)).await?;
        drop(patience);
        let mut waiting = Vec::new();
        for (asked, stored) in users.into_iter().zip(stored) {
            let epoch = stored.as_ref().ok().and_then(Option::as_ref);
            let epoch = epoch.map(|stored| stored.meta.epoch);
            match stored {
                Ok(_) if epoch < Some(tally.epoch) => {
                    tally.missing.get_or_insert(asked.user);
                }
                Ok(Some(stored)) if stored.journeys.iter().any(Journey::wants_name) => {
                    waiting.push(Waiting { asked, stored });
                }
                Ok(stored) => tally.finish(&asked, stored.map(|stored| stored.meta.epoch)),
                Err(error) => {
                    tracing::warn!(code = %error.code(), %error, "cannot name the journeys of a user");
                    tally.finish(&asked, None);
                }
            }
        }
        Ok(waiting)
    }

    /// Names the journeys of some users. The names of each call are written before the next call is
    /// made: what was paid for is safe. Returns the users whose journeys have changed meanwhile.
    async fn name(
        &self,
        users: Vec<Waiting>,
        account: &Account,
        tally: &mut Tally,
        patience: &Mutex<Patience<'_>>,
    ) -> Result<Vec<UserToName>, Failure> {
        let unnamed: Vec<Unnamed<'_>> = users.iter().map(Waiting::unnamed).collect();
        let mut has_changed = vec![false; users.len()];
        let stop = patience.lock().await.stop;
        let mut naming = self.namer.begin(&unnamed, account).await;
        loop {
            let named = tokio::select! {
                named = naming.next() => named,
                () = stop.cancelled() => return Err(Failure::Interrupted),
            };
            let cost = naming.take_counts();
            let Ok(Some(mut named)) = named else {
                tally.cost += cost;
                named.map_err(naming_failure)?;
                break;
            };
            named.sort_by_key(|named| named.user);
            let named: Vec<&[Named]> = named.chunk_by(|a, b| a.user == b.user).collect();
            let names: Vec<(&str, Epoch, Vec<NewName<'_>>)> = named
                .iter()
                .map(|named| {
                    let Waiting { asked, stored } = &users[named[0].user];
                    let journeys = &unnamed[named[0].user].journeys;
                    let names = named.iter().map(|named| NewName {
                        journey: journeys[named.journey],
                        name: &named.name.name,
                        source: named.name.source,
                    });
                    (asked.user.as_str(), stored.meta.epoch, names.collect())
                })
                .collect();
            let mut patience = patience.lock().await;
            let written = patience.with(|| self.writer.write_names(&names)).await?;
            drop(patience);
            // Names count once they are there.
            tally.cost += cost;
            for (named, written) in named.into_iter().zip(written) {
                has_changed[named[0].user] |= written < named.len() as u64;
            }
        }
        drop(naming);
        drop(unnamed);
        let mut changed = Vec::new();
        for (user, has_changed) in users.into_iter().zip(has_changed) {
            if has_changed {
                changed.push(user.asked);
            } else {
                tally.finish(&user.asked, Some(user.stored.meta.epoch));
            }
        }
        Ok(changed)
    }
}

impl NamingWorker {
    /// Names the journeys of some users of a job, until none of them has one to name.
    async fn finish(
        &self,
        mut users: Vec<UserToName>,
        account: &Account,
        tally: &mut Tally,
        patience: &Mutex<Patience<'_>>,
    ) -> Result<(), Failure> {
        for _ in 0..MAX_LOOKS {
            let waiting = self.look(users, tally, patience).await?;
            users = self.name(waiting, account, tally, patience).await?;
            if users.is_empty() {
                return Ok(());
            }
        }
        let busy = StoreError::Busy {
            user: users.swap_remove(0).user,
            times: MAX_LOOKS,
        };
        Err(Failure::Transient(busy.with_code()))
    }

    /// The users of a job in the parts that are named at once. Where an answer may take a day, that
    /// are all. Which users are in a part does not hang on which are named already, so that a job that
    /// is begun again asks what it has asked before, and finds it answered.
    fn parts(&self, users: Vec<UserToName>) -> Vec<Vec<UserToName>> {
        if !self.namer.is_slow() {
            return vec![users];
        }
        let most = self.namer.batch_size();
        let mut parts: Vec<(usize, Vec<UserToName>)> = Vec::new();
        for user in users {
            let journeys = user.journeys as usize;
            match parts.last_mut() {
                Some((sum, part)) if sum.saturating_add(journeys) <= most => {
                    *sum += journeys;
                    part.push(user);
                }
                _ => parts.push((journeys, vec![user])),
            }
        }
        parts.into_iter().map(|(_, part)| part).collect()
    }
}

impl Work for NamingWorker {
    async fn perform(
        &self,
        lease: &Lease,
        stop: &CancellationToken,
        contact: Contact,
    ) -> Result<Counts, Failure> {
        let done = self.name_all(lease, stop, contact).await;
        // Before the job is settled, whatever became of it: a run that is over has all of its ledger.
        if let Err(error) = self.namer.flush().await {
            tracing::warn!(code = %Coded::code(&error), %error, "cannot write what calls have cost; it is written later");
        }
        done
    }
}

impl NamingWorker {
    async fn name_all(
        &self,
        lease: &Lease,
        stop: &CancellationToken,
        contact: Contact,
    ) -> Result<Counts, Failure> {
        let account = Account {
            run: lease.run.clone(),
        };
        let patience = Mutex::new(Patience { stop, contact });
        let job: NameJob =
            decode(&lease.payload).map_err(|error| Failure::Permanent(error.with_code()))?;
        let parts = self.parts(job.users).into_iter();
        let (account, patience) = (&account, &patience);
        let mut parts: FuturesUnordered<_> = parts
            .map(|users| async move {
                let mut tally = Tally::new(job.epoch);
                let done = self.finish(users, account, &mut tally, patience).await;
                (tally, done)
            })
            .collect();
        let mut tally = Tally::new(job.epoch);
        let mut failure = None;
        while let Some((of_part, done)) = parts.next().await {
            tally += of_part;
            // Of one part it says nothing of the others, whose names are worth writing; but what is
            // unusable has no better chance with them.
            let Err(of_part) = done else { continue };
            let is_unusable = matches!(of_part, Failure::Unusable(_));
            failure = Some(of_part);
            if is_unusable {
                break;
            }
        }
        let failure = failure.or_else(|| {
            let user = tally.missing.as_ref()?;
            // The others have their names by now.
            Some(Failure::Transient(Code::NothingToName.before(format!(
                "the results of user {user:?} that are to be named are not there: Redis has \
                 lost them, or they have expired"
            ))))
        });
        match failure {
            None => Ok(tally.counts()),
            Some(failure) => Err(failure.after(tally.cost_counts())),
        }
    }
}

fn naming_failure(error: LlmError) -> Failure {
    match error {
        LlmError::Busy { retry_after, .. } => Failure::Busy {
            error: error.with_code(),
            after: retry_after,
        },
        // The scheduler parks the run's jobs meanwhile, until there is money again.
        LlmError::OverBudget { .. } | LlmError::Unpriced => Failure::Busy {
            error: error.with_code(),
            after: Some(LOOK_FOR_MONEY),
        },
        // Unlike a busy endpoint, a wrong one never gets better: such attempts are counted.
        error if error.is_transient() => Failure::Transient(error.with_code()),
        // The process ends with it, and with its code.
        error => Failure::Unusable(error.to_string()),
    }
}

/// What a job adds to the counts of its run.
///
/// `named` and `names_outdated` follow from what the job was queued for and from how it ended, not
/// from what this attempt wrote: of an attempt whose worker was killed they hold the whole effect,
/// and never twice. The others are what this attempt has done, whatever became of it, so that without
/// a kill the names by source are as many as were named.
struct Tally {
    epoch: Epoch,
    named: u64,
    names_outdated: u64,
    cost: NamingCounts,
    /// The first user whose results are not there, or only those of an older run: a Redis has lost
    /// them, and the extraction that is done again for that reason has not written them yet.
    missing: Option<String>,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.named += more.named;
        self.names_outdated += more.names_outdated;
        self.cost += more.cost;
        self.missing = self.missing.take().or(more.missing);
    }
}

impl Tally {
    fn new(epoch: Epoch) -> Tally {
        Tally {
            epoch,
            named: 0,
            names_outdated: 0,
            cost: NamingCounts::default(),
            missing: None,
        }
    }

    /// Counts a user who has nothing to name any more; `epoch` is that of the results that stand
    /// there, if they do.
    fn finish(&mut self, user: &UserToName, epoch: Option<Epoch>) {
        if epoch == Some(self.epoch) {
            self.named += u64::from(user.journeys);
        } else {
            self.names_outdated += u64::from(user.journeys);
        }
    }

    fn counts(&self) -> Counts {
        let mut counts = self.cost_counts();
        counts.push(("named", self.named));
        counts.push(("names_outdated", self.names_outdated));
        counts
    }

    fn cost_counts(&self) -> Counts {
        vec![
            ("llm_answers_cut", self.cost.cut),
            ("names_llm", self.cost.llm),
            ("names_cached", self.cost.cached),
            ("names_rejected", self.cost.rejected),
            ("names_kept", self.cost.kept),
            ("names_fallback", self.cost.fallbacks),
        ]
    }
}
