//! Dead letters of both queues: choosing them, doing their jobs after all, dropping them.

use std::collections::{BTreeMap, HashMap, HashSet};

use sojourn::connection::Redis;
use sojourn::queue::{Kind, Letter, LetterId, Queue, Queues, Replayed};
use sojourn::run::RunId;

use crate::record::RunState;
use crate::register::{Register, RegisterError};

/// Different errors that are told apart; those of further ones are counted together.
const ERRORS: usize = 1_000;

/// Which letters.
#[derive(Clone, Debug)]
pub enum Choice {
    /// These.
    Ids(Vec<LetterId>),
    /// Those that are like this.
    Like(Filter),
}

/// What letters have to have in common. By default, nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// They are of this run.
    pub run: Option<RunId>,
    /// Their jobs ask for this.
    pub kind: Option<Kind>,
    /// Their error holds this text.
    pub error: Option<String>,
}

impl Filter {
    fn wants(&self, letter: &Letter) -> bool {
        let run = self.run.as_ref();
        let error = self.error.as_deref();
        run.is_none_or(|run| letter.run.as_ref() == Some(run))
            && error.is_none_or(|error| letter.error.contains(error))
    }
}

/// The newest of some letters, and what all of them say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Newest first.
    pub letters: Vec<Letter>,
    /// How many there are.
    pub total: u64,
    /// How many of each error.
    pub errors: BTreeMap<String, u64>,
    /// How many of errors that were not told apart any more.
    pub other_errors: u64,
}

/// What became of letters that were to be replayed: the jobs that are in their lanes again, and for
/// the others, why not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Jobs that are in their lanes again.
    pub replayed: u64,
    /// Runs that they are part of.
    pub runs: Vec<RunId>,
    /// Those of the runs that were done, and go on.
    pub reopened: Vec<RunId>,
    /// How many were left, by the reason.
    pub left: BTreeMap<&'static str, u64>,
}

/// The dead letters of a Redis.
#[derive(Debug)]
pub struct Letters {
    queues: Queues,
    register: Register,
}

impl Letters {
    /// The letters in `redis`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn open(redis: &Redis) -> Result<Letters, RegisterError> {
        Ok(Letters {
            queues: Queues::open(redis).await?,
            register: Register::new(redis),
        })
    }

    fn queue(&self, kind: Kind) -> &Queue {
        match kind {
            Kind::Extract => &self.queues.extract,
            Kind::Name => &self.queues.name,
        }
    }

    /// One letter.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn letter(&self, id: LetterId) -> Result<Option<Letter>, RegisterError> {
        Ok(self.queue(id.kind).letter(id).await?)
    }

    /// Gives letters to `see`, a page of one partition at a time, each newest first. Letters that
    /// are written meanwhile are not among them, so that jobs that die again while they are
    /// replayed are not replayed for ever.
    async fn walk(
        &self,
        choice: &Choice,
        mut see: impl AsyncFnMut(Vec<Letter>) -> Result<(), RegisterError>,
    ) -> Result<(), RegisterError> {
        let filter = match choice {
            Choice::Ids(ids) => {
                for &id in ids {
                    see(self.letter(id).await?.into_iter().collect()).await?;
                }
                return Ok(());
            }
            Choice::Like(filter) => filter,
        };
        let kinds = Kind::ALL
            .into_iter()
            .filter(|&kind| filter.kind.is_none_or(|k| k == kind));
        for queue in kinds.map(|kind| self.queue(kind)) {
            for partition in 0..queue.partitions() {
                let mut before = None;
                loop {
                    let mut page = queue.letters(partition, before).await?;
                    let Some(last) = page.last() else { break };
                    before = Some(last.id);
                    page.retain(|letter| filter.wants(letter));
                    see(page).await?;
                }
            }
        }
        Ok(())
    }

    /// The newest letters, `limit` at most, and what all of them say.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn list(&self, filter: Filter, limit: usize) -> Result<Listing, RegisterError> {
        let mut listing = Listing::default();
        self.walk(&Choice::Like(filter), async |page| {
            listing.total += page.len() as u64;
            for letter in &page {
                let is_full = listing.errors.len() >= ERRORS;
                if is_full && !listing.errors.contains_key(&letter.error) {
                    listing.other_errors += 1;
                } else {
                    *listing.errors.entry(letter.error.clone()).or_default() += 1;
                }
            }
            listing.letters.extend(page);
            listing
                .letters
                .sort_by_key(|letter| std::cmp::Reverse(letter.id.by_age()));
            listing.letters.truncate(limit);
            Ok(())
        })
        .await?;
        Ok(listing)
    }

    /// Puts the jobs of letters back into their lanes, and lets their runs go on.
    ///
    /// First the jobs of a page, then their runs: a run that is reopened before its jobs are pending
    /// looks done, and would be ended again. Who dies in between leaves a run that says `done` while
    /// workers do some of its jobs; replaying the letters of the run (`--run`) again reopens it, also
    /// when there are none any more.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe, and goes on with what is left.
    pub async fn replay(&self, choice: &Choice) -> Result<Replay, RegisterError> {
        let mut replay = Replay::default();
        let mut found = 0;
        let mut over = HashMap::new();
        let (mut runs, mut reopened) = (HashSet::new(), HashSet::new());
        self.walk(choice, async |page| {
            let (mut replayed, mut doubtful) = (HashSet::new(), HashSet::new());
            let page = async {
                for letter in page {
                    found += 1;
                    if let Some(run) = &letter.run {
                        let why = match over.get(run) {
                            Some(why) => *why,
                            None => {
                                let why = self.why_not(run).await?;
                                over.insert(run.clone(), why);
                                why
                            }
                        };
                        if let Some(why) = why {
                            replay.left(why, 1);
                            continue;
                        }
                    }
                    match self.queue(letter.id.kind).replay(&letter).await? {
                        Replayed::Replayed => {
                            replay.replayed += 1;
                            replayed.extend(letter.run);
                        }
                        other => {
                            // By this very call perhaps, which a cluster's client has repeated.
                            doubtful.extend(letter.run);
                            replay.left(reason(other), 1);
                        }
                    }
                }
                Ok(())
            };
            // Also when it broke off: its letters are not found again.
            let page = page.await;
            for run in doubtful {
                if !replayed.contains(&run) && self.is_done_too_soon(&run).await? {
                    replayed.insert(run);
                }
            }
            for run in replayed {
                if self.register.reopen(&run).await? {
                    reopened.insert(run.clone());
                }
                runs.insert(run);
            }
            page
        })
        .await?;
        match choice {
            Choice::Ids(ids) if ids.len() > found => {
                replay.left(GONE, (ids.len() - found) as u64);
            }
            Choice::Like(Filter { run: Some(run), .. })
                if !runs.contains(run) && self.is_done_too_soon(run).await? =>
            {
                if self.register.reopen(run).await? {
                    reopened.insert(run.clone());
                }
                runs.insert(run.clone());
            }
            _ => {}
        }
        replay.runs = sorted(runs);
        replay.reopened = sorted(reopened);
        Ok(replay)
    }

    /// Whether a run says that it is done while jobs of it are pending.
    async fn is_done_too_soon(&self, run: &RunId) -> Result<bool, RegisterError> {
        match self.register.status(run, &self.queues).await {
            Ok(status) => {
                let pending = status.pending + status.naming_pending;
                Ok(status.record.state == RunState::Done && pending > 0)
            }
            Err(RegisterError::UnknownRun(_) | RegisterError::Foreign { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Why no job of a run is done any more, if that is so.
    async fn why_not(&self, run: &RunId) -> Result<Option<&'static str>, RegisterError> {
        match self.register.run(run).await {
            Ok(record) if record.state == RunState::Cancelled => Ok(Some("of a cancelled run")),
            Ok(record) if record.state == RunState::Failed => Ok(Some("of a failed run")),
            Ok(_) => Ok(None),
            Err(RegisterError::UnknownRun(_)) => Ok(Some(FORGOTTEN)),
            // It holds up no other.
            Err(RegisterError::Foreign { .. }) => Ok(Some("of a run of another version")),
            Err(error) => Err(error),
        }
    }

    /// Drops letters for good. Returns how many.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn drop(&self, choice: &Choice) -> Result<u64, RegisterError> {
        let mut dropped = 0;
        self.walk(choice, async |page| {
            if let Some(first) = page.first() {
                let ids: Vec<LetterId> = page.iter().map(|letter| letter.id).collect();
                dropped += self.queue(first.id.kind).drop_letters(&ids).await?;
            }
            Ok(())
        })
        .await?;
        Ok(dropped)
    }
}

const FORGOTTEN: &str = "of a run that is forgotten";
const GONE: &str = "not there (any more)";

fn reason(replayed: Replayed) -> &'static str {
    match replayed {
        Replayed::Queued => "queued again already",
        Replayed::Cancelled => "of a cancelled run",
        Replayed::Paused => "of a paused run",
        Replayed::Forgotten => FORGOTTEN,
        Replayed::Foreign => "not written by Sojourn",
        // Somebody was faster.
        _ => GONE,
    }
}

impl Replay {
    fn left(&mut self, why: &'static str, letters: u64) {
        *self.left.entry(why).or_default() += letters;
    }
}

fn sorted(runs: HashSet<RunId>) -> Vec<RunId> {
    let mut runs: Vec<RunId> = runs.into_iter().collect();
    runs.sort();
    runs
}
