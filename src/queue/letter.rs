//! Dead letters: jobs that were given up, as they are kept.

use std::fmt;

use super::{Kind, Lane};
use crate::run::RunId;

/// Names a dead letter: kind, partition and entry, as in `extract:2:1763947200000-0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LetterId {
    /// What the job asked for.
    pub kind: Kind,
    pub(super) partition: u32,
    pub(super) entry: EntryId,
}

/// Id of a stream entry. The larger, the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EntryId {
    /// Milliseconds since 1970.
    pub millis: u64,
    pub sequence: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}

impl EntryId {
    pub(super) fn parse(text: &str) -> Option<EntryId> {
        let (millis, sequence) = text.split_once('-')?;
        Some(EntryId {
            millis: millis.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }
}

impl LetterId {
    /// When the job was given up, in milliseconds since 1970.
    pub fn buried_ms(&self) -> u64 {
        self.entry.millis
    }

    /// Orders letters by when they were written, whatever their queues.
    pub fn by_age(&self) -> impl Ord + use<> {
        (self.entry, self.partition)
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.partition, self.entry)
    }
}

/// Text that names no letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the id of a dead letter; they look like extract:2:1763947200000-0, \
     `sojourn dead list` lists them"
)]
pub struct InvalidLetterId(String);

impl std::str::FromStr for LetterId {
    type Err = InvalidLetterId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (kind, rest) = text.split_once(':')?;
            let (partition, entry) = rest.split_once(':')?;
            Some(LetterId {
                kind: kind.parse().ok()?,
                partition: partition.parse().ok()?,
                entry: EntryId::parse(entry)?,
            })
        };
        read().ok_or_else(|| InvalidLetterId(text.chars().take(60).collect()))
    }
}

/// Field names and values of a stream entry, in their order.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A job that was given up, or an entry of a lane that was no job of the build that found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its name.
    pub id: LetterId,
    /// Why it was given up.
    pub error: String,
    /// The worker that gave it up.
    pub worker: String,
    /// Lane that it came from and would go back to; none for what Sojourn did not write.
    pub lane: Option<Lane>,
    /// The run that it was part of, where that can be read.
    pub run: Option<RunId>,
    /// The job, where that can be read.
    pub job: Option<String>,
    /// How often it was handed out.
    pub attempts: Option<u32>,
    /// Attempts that failed.
    pub failures: Option<u32>,
    /// Deaths of workers that held it.
    pub crashes: Option<u32>,
    /// See [`decode`](super::decode).
    pub payload: Option<Vec<u8>>,
    /// Whether it was no job of the build that found it.
    pub is_foreign: bool,
    /// Everything that stood in the lane, in its order.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the run counts it as dead, and waits for it again when it is replayed.
    pub(super) counts: bool,
}

/// What `settle.lua` writes before the fields of a job.
const OF_A_JOB: [&str; 3] = ["error", "worker", "lane"];

/// What `bury.lua` writes before the fields of an entry that was no job.
const OF_AN_ENTRY: [&str; 6] = ["error", "worker", "lane", "entry", "deliveries", "counted"];

impl Letter {
    /// Reads an entry of a dead stream, whatever it holds.
    pub(super) fn read(id: LetterId, mut pairs: Pairs) -> Letter {
        let begins_with = |names: &[&str]| {
            let found = pairs.iter().map(|(name, _)| name.as_slice());
            pairs.len() >= names.len()
                && names
                    .iter()
                    .map(|n| n.as_bytes())
                    .eq(found.take(names.len()))
        };
        let is_foreign = begins_with(&OF_AN_ENTRY);
        let envelope = match is_foreign {
            true => OF_AN_ENTRY.len(),
            false if begins_with(&OF_A_JOB) => OF_A_JOB.len(),
            false => 0,
        };
        let fields = pairs.split_off(envelope);
        let written = |name: &str| text(&pairs, name).unwrap_or_default();
        let deliveries: u32 = written("deliveries").parse().unwrap_or(0);
        let number = |name: &str| text(&fields, name)?.parse::<u32>().ok();
        Letter {
            id,
            error: match envelope {
                0 => "not written by Sojourn".into(),
                _ => written("error"),
            },
            worker: written("worker"),
            lane: Lane::ALL
                .into_iter()
                .find(|lane| lane.to_string() == written("lane")),
            run: text(&fields, "run").and_then(|run| RunId::parse(&run).ok()),
            job: text(&fields, "job"),
            attempts: number("attempts").map(|attempts| attempts.saturating_add(deliveries)),
            failures: number("failures"),
            crashes: number("crashes"),
            payload: value(&fields, "payload").map(<[u8]>::to_vec),
            is_foreign,
            counts: !is_foreign || written("counted") == "1",
            fields,
        }
    }

    /// The entry that puts the job back: with a clean record, and with attempts that go on from the
    /// last one, so that a worker that once held the job and wakes up stays behind. What was no job
    /// goes back as it stood there, but for that number.
    pub(super) fn again(&self) -> Pairs {
        let mut fields = self.fields.clone();
        for (name, value) in &mut fields {
            let number = match name.as_slice() {
                b"attempts" => self.attempts,
                b"failures" | b"crashes" if !self.is_foreign => Some(0),
                _ => None,
            };
            if let Some(number) = number {
                *value = number.to_string().into_bytes();
            }
        }
        fields
    }
}

fn value<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a [u8]> {
    let found = pairs.iter().find(|(field, _)| field == name.as_bytes());
    found.map(|(_, value)| value.as_slice())
}

fn text(pairs: &Pairs, name: &str) -> Option<String> {
    value(pairs, name).map(|value| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(pairs: &[(&str, &str)]) -> Letter {
        let bytes = |&(name, value): &(&str, &str)| (name.into(), value.into());
        let id = "name:3:1763947200000-7".parse().unwrap();
        Letter::read(id, pairs.iter().map(bytes).collect())
    }

    fn again(letter: &Letter) -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let pairs = letter.again().into_iter();
        pairs
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|&(a, b)| (a.into(), b.into())).collect()
    }

    const JOB: [(&str, &str); 9] = [
        ("error", "no disk"),
        ("worker", "w"),
        ("lane", "high"),
        ("job", "00000"),
        ("run", "1763947200000-0"),
        ("payload", "x"),
        ("attempts", "6"),
        ("failures", "5"),
        ("crashes", "1"),
    ];

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is_one() {
        let id: LetterId = "extract:2:1763947200000-0".parse().unwrap();
        assert_eq!(id.to_string(), "extract:2:1763947200000-0");
        assert_eq!(
            (id.kind, id.buried_ms()),
            (Kind::Extract, 1_763_947_200_000)
        );
        for text in [
            "",
            "extract:2",
            "extract:2:1",
            "extract:-1:1-0",
            "sort:2:1-0",
            "1-0",
        ] {
            let refused = text.parse::<LetterId>().unwrap_err().to_string();
            assert!(refused.contains("sojourn dead list"), "{refused}");
        }
    }

    #[test]
    fn a_job_goes_back_with_a_clean_record_and_all_its_attempts() {
        let letter = letter(&JOB);
        assert_eq!((letter.failures, letter.crashes), (Some(5), Some(1)));
        let expected = pairs(&[
            ("job", "00000"),
            ("run", "1763947200000-0"),
            ("payload", "x"),
            ("attempts", "6"),
            ("failures", "0"),
            ("crashes", "0"),
        ]);
        assert_eq!(again(&letter), expected);
    }

    #[test]
    fn what_was_no_job_goes_back_as_it_stood_there_whatever_its_fields_are_called() {
        let envelope = [
            ("error", "not a job"),
            ("worker", "w"),
            ("lane", "low"),
            ("entry", "5-0"),
            ("deliveries", "2"),
            ("counted", "0"),
        ];
        let entry = [
            ("error", "e"),
            ("attempts", "3"),
            ("crashes", "2"),
            ("lane", "x"),
        ];
        let letter = letter(&[&envelope[..], &entry].concat());
        assert!(letter.is_foreign && !letter.counts);
        assert_eq!(
            (letter.error.as_str(), letter.lane),
            ("not a job", Some(Lane::Low))
        );
        let expected = [
            ("error", "e"),
            ("attempts", "5"),
            ("crashes", "2"),
            ("lane", "x"),
        ];
        assert_eq!(again(&letter), pairs(&expected));
    }

    #[test]
    fn what_sojourn_did_not_write_is_shown_and_belongs_to_no_lane() {
        let letter = letter(&[("hello", "world")]);
        assert_eq!((letter.lane, letter.run), (None, None));
        assert_eq!(letter.error, "not written by Sojourn");
    }
}
