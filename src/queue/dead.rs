//! What can be done with dead letters: read them, put their jobs back, drop them.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use redis::{AsyncCommands, Script};

use super::letter::{EntryId, Letter, LetterId};
use super::partitions::{ATTEMPTS_PER_RESTART, KEEP_RUNS};
use super::{Queue, QueueError};

/// Letters in one answer of the server. Those of large cohorts take tens of kilobytes each.
const LETTERS_AT_ONCE: usize = 64;

static REPLAY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("replay.lua")));

/// What became of the wish to do a dead job after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Replayed {
    /// The job is in its lane again.
    Replayed,
    /// The letter was replayed, dropped or trimmed by somebody else.
    Gone,
    /// The job is pending already, because what it follows from was done again.
    Queued,
    /// The run is cancelled.
    Cancelled,
    /// The run is paused: nothing may enter its lanes now.
    Paused,
    /// The queue knows of no dead job of the run any more.
    Forgotten,
    /// What stands there was not written by Sojourn, and has no lane.
    Foreign,
}

/// A stream entry as the server sends it: id, then names and values in turn.
type Entry = (String, Vec<Vec<u8>>);

impl Queue {
    /// Some letters of a partition, newest first: those before `before`, or the newest. The last
    /// page is empty.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn letters(
        &self,
        partition: u32,
        before: Option<LetterId>,
    ) -> Result<Vec<Letter>, QueueError> {
        let newest = match before {
            Some(letter) => format!("({}", letter.entry),
            None => "+".into(),
        };
        let mut page = redis::cmd("XREVRANGE");
        page.arg(self.keys(partition).dead()).arg(newest).arg("-");
        page.arg("COUNT").arg(LETTERS_AT_ONCE);
        self.read_letters(partition, &page).await
    }

    /// One letter; `None` when it is not there, or not of this kind of queue.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn letter(&self, id: LetterId) -> Result<Option<Letter>, QueueError> {
        if !self.holds(id) {
            return Ok(None);
        }
        let entry = id.entry.to_string();
        let mut one = redis::cmd("XRANGE");
        one.arg(self.keys(id.partition).dead())
            .arg(&entry)
            .arg(&entry);
        Ok(self.read_letters(id.partition, &one).await?.pop())
    }

    async fn read_letters(
        &self,
        partition: u32,
        command: &redis::Cmd,
    ) -> Result<Vec<Letter>, QueueError> {
        let entries: Vec<Entry> = command.query_async(&mut self.redis.commands()).await?;
        let letter = |(entry, flat): Entry| {
            let mut flat = flat.into_iter();
            let pairs = std::iter::from_fn(|| Some((flat.next()?, flat.next()?))).collect();
            let id = LetterId {
                kind: self.kind,
                partition,
                entry: EntryId::parse(&entry)?,
            };
            Some(Letter::read(id, pairs))
        };
        Ok(entries.into_iter().filter_map(letter).collect())
    }

    fn holds(&self, id: LetterId) -> bool {
        id.kind == self.kind && id.partition < self.partitions
    }

    /// Puts the job of a letter back into its lane, as one that has not failed yet. Its run waits
    /// for it again, and has to be told when it is over already.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn replay(&self, letter: &Letter) -> Result<Replayed, QueueError> {
        let Some(lane) = letter.lane.filter(|_| self.holds(letter.id)) else {
            return Ok(Replayed::Foreign);
        };
        let keys = self.keys(letter.id.partition);
        let mut call = REPLAY.prepare_invoke();
        call.key(keys.dead()).key(keys.lane(lane));
        let job = letter.job.as_deref().unwrap_or_default();
        if let Some(run) = letter.run.as_ref().filter(|_| letter.counts) {
            call.key(keys.run(run)).key(keys.pending(run));
        }
        call.arg(letter.id.entry.to_string());
        call.arg(job).arg(KEEP_RUNS.as_secs());
        call.arg(u64::from(letter.attempts.unwrap_or(0)) / ATTEMPTS_PER_RESTART);
        for (name, value) in letter.again() {
            call.arg(name).arg(value);
        }
        let found: String = call.invoke_async(&mut self.redis.commands()).await?;
        Ok(match found.as_str() {
            "replayed" => Replayed::Replayed,
            "gone" => Replayed::Gone,
            "queued" => Replayed::Queued,
            "paused" => Replayed::Paused,
            "cancelled" => Replayed::Cancelled,
            _ => Replayed::Forgotten,
        })
    }

    /// Drops letters of this queue for good. The counts of their runs stay. Returns how many were
    /// there.
    ///
    /// # Errors
    /// When Redis fails; doing it again is safe.
    pub async fn drop_letters(&self, ids: &[LetterId]) -> Result<u64, QueueError> {
        let mut dropped = 0;
        for id in ids.iter().filter(|id| self.holds(**id)) {
            let dead = self.keys(id.partition).dead();
            let was_there: u64 = self
                .redis
                .commands()
                .xdel(dead, &[id.entry.to_string()])
                .await?;
            dropped += was_there;
        }
        Ok(dropped)
    }

    /// Drops letters that are older than `age`. Returns how many.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn forget_letters(&self, age: Duration) -> Result<u64, QueueError> {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let oldest = since_epoch.unwrap_or_default().saturating_sub(age);
        let mut dropped = 0;
        for partition in 0..self.partitions {
            // Streams of letters have no group, so nobody holds what is trimmed. Exactly, and not
            // `~`: that would keep what shares a block with a younger letter.
            let of_partition: u64 = redis::cmd("XTRIM")
                .arg(self.keys(partition).dead())
                .arg(&["MINID", "="])
                .arg(oldest.as_millis().to_string())
                .query_async(&mut self.redis.commands())
                .await?;
            dropped += of_partition;
        }
        Ok(dropped)
    }
}
