//! Leases: a worker's claim on a job, and how one is read from a stream.

use std::collections::HashMap;

use super::Lane;
use crate::run::RunId;

/// Fields of a stream entry.
pub(super) type Fields = HashMap<String, Vec<u8>>;

/// A worker's claim on a job, until it is settled or was silent for the lease time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: String,
    /// The run that the job is part of.
    pub run: RunId,
    /// See [`decode`](super::decode).
    pub payload: Vec<u8>,
    /// Lane that the job came from.
    pub lane: Lane,
    /// Failed attempts before this one.
    pub failures: u32,
    /// Deaths of workers that held the job before this attempt.
    pub crashes: u32,
    pub(super) partition: u32,
    pub(super) entry: String,
    pub(super) deliveries: u32,
    pub(super) attempts: u32,
    /// Run id of the server, asked for when the job was handed out and before anything was written.
    /// Empty when that is not known.
    pub(super) server: String,
}

impl Lease {
    /// Number of this attempt at the job, from 1. Rises with every hand-over, so that of two
    /// workers that both think they hold the job the rightful one has the larger number.
    pub fn attempt(&self) -> u32 {
        self.attempts.saturating_add(self.deliveries)
    }

    /// The fields of the job's next attempt.
    pub(super) fn next_attempt(&self, failed: bool) -> Vec<(&'static str, Vec<u8>)> {
        let number = |n: u32| n.to_string().into_bytes();
        vec![
            ("job", self.job.clone().into_bytes()),
            ("run", self.run.as_str().into()),
            ("payload", self.payload.clone()),
            ("attempts", number(self.attempt())),
            (
                "failures",
                number(self.failures.saturating_add(failed.into())),
            ),
            ("crashes", number(self.crashes)),
        ]
    }
}

/// What a renewal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease goes on.
    Held,
    /// Another worker has the job, or it is gone.
    Lost,
    /// The run is cancelled.
    Cancelled,
}

/// An entry that is not a job of this build.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// What is wrong with it.
    pub reason: String,
    /// Its run and job, when they can be read.
    pub job: Option<(RunId, String)>,
}

impl Lease {
    /// Reads the entry of a job that was just handed out for the `deliveries`th time.
    pub(super) fn read(
        lane: Lane,
        partition: u32,
        entry: String,
        deliveries: u32,
        fields: &Fields,
    ) -> Result<Lease, Foreign> {
        let value = |name: &str| {
            let missing = || format!("it has no field {name:?}");
            fields.get(name).ok_or_else(missing)
        };
        let text = |name: &str| {
            let text = std::str::from_utf8(value(name)?);
            text.map_err(|_| format!("its field {name:?} is not UTF-8"))
        };
        let number = |name: &str| {
            let text = text(name)?;
            let number = text.parse::<u32>();
            number.map_err(|_| format!("its field {name:?} is not a count: {text:?}"))
        };
        let run = || RunId::parse(text("run")?).map_err(|error| error.to_string());
        let read = || {
            Ok(Lease {
                job: text("job")?.to_owned(),
                run: run()?,
                payload: value("payload")?.clone(),
                lane,
                failures: number("failures")?,
                // Every delivery of one entry but the first is a take-over from a worker that fell
                // silent.
                crashes: number("crashes")?.saturating_add(deliveries.saturating_sub(1)),
                partition,
                entry,
                deliveries,
                attempts: number("attempts")?,
                server: String::new(),
            })
        };
        read().map_err(|reason: String| {
            let job = run().and_then(|run| Ok((run, text("job")?.to_owned())));
            Foreign {
                reason,
                job: job.ok(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let pair = |&(name, value): &(&str, &str)| (name.to_owned(), value.into());
        pairs.iter().map(pair).collect()
    }

    const JOB: [(&str, &str); 6] = [
        ("job", "00000"),
        ("run", "1763947200000-0"),
        ("payload", "x"),
        ("attempts", "2"),
        ("failures", "1"),
        ("crashes", "1"),
    ];

    fn read(pairs: &[(&str, &str)], deliveries: u32) -> Result<Lease, Foreign> {
        Lease::read(Lane::Low, 0, "1-0".into(), deliveries, &fields(pairs))
    }

    #[test]
    fn every_delivery_but_the_first_is_a_crash() {
        let lease = read(&JOB, 3).unwrap();
        assert_eq!((lease.attempt(), lease.failures, lease.crashes), (5, 1, 3));
    }

    #[test]
    fn an_entry_that_is_no_job_says_why_and_whose_it_was() {
        let foreign = read(&JOB[..3], 1).unwrap_err();
        assert!(foreign.reason.contains("failures"), "{foreign:?}");
        let (run, job) = foreign.job.unwrap();
        assert_eq!((run.as_str(), job.as_str()), ("1763947200000-0", "00000"));
        assert_eq!(read(&[("hello", "world")], 1).unwrap_err().job, None);
    }
}
