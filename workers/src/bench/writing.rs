//! How fast results are written.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use sojourn::connection::Redis;
use sojourn::dataset::Dataset;
use sojourn::journey::Journey;
use sojourn::run::{Epoch, RunId};
use sojourn::store::{JourneyWriter, META_FIELD, Meta, UserResult, Written};

use super::Extraction;
use crate::extraction::{DELIVERIES, USERS_PER_BATCH};

/// Results of some users, to be written as an extraction worker writes them: in batches, of which some
/// are under way at once.
pub struct Writing {
    results: Vec<(String, Vec<Journey>)>,
    meta: Meta,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WritingFigures {
    /// Users whose results were written.
    pub users: usize,
    /// Journeys of each, in the mean.
    pub journeys_per_user: f64,
    /// Fields and values of each, in the mean.
    pub bytes_per_user: f64,
    /// Users written in a second.
    pub users_per_second: f64,
    /// CPU time that this took the server for each, in microseconds; where that is a single one.
    pub server_cpu_us_per_user: Option<f64>,
    /// The same of the one that writes; on Linux.
    pub writer_cpu_us_per_user: Option<f64>,
}

/// CPU time that somebody has had, in seconds, where it is known.
type Busy = Option<f64>;

impl Writing {
    /// The results of these users of a dataset.
    ///
    /// # Errors
    /// None that can be helped.
    pub fn of(dataset: &Dataset, extraction: &Extraction) -> Result<Writing> {
        let mut extractor = extraction.extractor();
        let histories = extraction.histories.iter();
        let results =
            histories.map(|history| (history.user.clone(), extractor.extract(history).journeys));
        Ok(Writing {
            results: results.collect(),
            meta: Meta {
                epoch: Epoch(1),
                attempt: 1,
                revision: 1,
                run: RunId::parse("0-0")?,
                dataset: dataset.manifest().id.clone(),
                parameters: "00000000".into(),
                merge_threshold: Some(0.0),
                exploration: None,
                written_at: jiff::Timestamp::UNIX_EPOCH,
            },
        })
    }

    /// Writes all of them, and takes them away again.
    ///
    /// # Errors
    /// When Redis fails, or has results under these keys already.
    pub async fn measure(&self, redis: &Redis) -> Result<WritingFigures> {
        let writer = JourneyWriter::new(redis);
        let before = (server_busy(redis).await, own_busy());
        let begun = Instant::now();
        let written = self.write(&writer).await;
        let took = begun.elapsed();
        let after = (server_busy(redis).await, own_busy());
        self.remove(redis).await?;
        ensure!(
            written?,
            "there are results under {} already: choose another --key-prefix",
            redis.keys().journeys("...")
        );
        let per_user = |before: Busy, after: Busy| {
            Some((after? - before?) * 1e6 / self.results.len().max(1) as f64)
        };
        Ok(WritingFigures {
            server_cpu_us_per_user: per_user(before.0, after.0),
            writer_cpu_us_per_user: per_user(before.1, after.1),
            ..self.figures(took)
        })
    }

    /// Whether nobody had written before.
    async fn write(&self, writer: &JourneyWriter) -> Result<bool> {
        let results = self.results.iter().map(|(user, journeys)| UserResult {
            user,
            meta: self.meta.clone(),
            journeys: journeys.into(),
            replaces_foreign: false,
        });
        let results: Vec<UserResult<'_>> = results.collect();
        stream::iter(results.chunks(USERS_PER_BATCH))
            .map(|batch| writer.write(batch, None))
            .buffer_unordered(DELIVERIES)
            .try_fold(true, async |is_well, written| {
                Ok(is_well && written.iter().all(|&written| written == Written::Written))
            })
            .await
            .map_err(Into::into)
    }

    async fn remove(&self, redis: &Redis) -> Result<()> {
        let connection = redis.commands();
        for users in self.results.chunks(USERS_PER_BATCH) {
            let unlink = |(user, _): &(String, _)| {
                let (keys, mut unlink) = (redis.keys(), redis::cmd("UNLINK"));
                unlink.arg(keys.names(user)).arg(keys.journeys(user));
                unlink
            };
            let _: Vec<u64> = connection.all(users.iter().map(unlink).collect()).await?;
        }
        Ok(())
    }

    fn figures(&self, took: Duration) -> WritingFigures {
        let users = self.results.len().max(1) as f64;
        let json = |journey: &Journey| serde_json::to_string(journey).unwrap_or_default().len();
        let meta = serde_json::to_string(&self.meta).unwrap_or_default().len() + META_FIELD.len();
        let journeys = || self.results.iter().flat_map(|(_, journeys)| journeys);
        let bytes =
            journeys().map(|journey| 2 * journey.id.len() + journey.name.len() + json(journey));
        WritingFigures {
            users: self.results.len(),
            journeys_per_user: journeys().count() as f64 / users,
            bytes_per_user: bytes.sum::<usize>() as f64 / users + meta as f64,
            users_per_second: users / took.as_secs_f64(),
            server_cpu_us_per_user: None,
            writer_cpu_us_per_user: None,
        }
    }
}

/// Of a server that is no cluster.
async fn server_busy(redis: &Redis) -> Busy {
    let mut info = redis::cmd("INFO");
    let info: String = info
        .arg("cpu")
        .query_async(&mut redis.commands())
        .await
        .ok()?;
    let seconds = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(':')?
                .trim()
                .parse::<f64>()
                .ok()
        })
    };
    Some(seconds("used_cpu_user")? + seconds("used_cpu_sys")?)
}

/// Of this process, as Linux says it: in hundredths of a second.
fn own_busy() -> Busy {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold anything, but what follows the last bracket does not.
    let mut times = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || times.next()?.parse::<u32>().ok();
    Some(f64::from(ticks()? + ticks()?) / 100.0)
}
