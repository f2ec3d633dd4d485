//! Payloads as released builds wrote them: what stands in a queue while an upgrade goes on.

mod dataset;
mod upgrade;

#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write;

use sojourn::job::{ExtractJob, NameJob, Selection, UserToName};
use sojourn::journey::{Assign, JourneyParams};
use sojourn::queue::{Payload, decode, encode};
use sojourn::run::Epoch;

/// The dataset of the recorded jobs, relative to where the worker runs.
const DATASET: &str = "dataset";

/// What stands for its content address.
const DATASET_ID: &str = "0123456789abcdef";

fn extract(selection: Selection) -> ExtractJob {
    ExtractJob {
        epoch: Epoch(300),
        dataset: DATASET.into(),
        dataset_id: DATASET_ID.into(),
        shard: 1,
        selection,
        // Not the defaults, which may change without notice.
        params: JourneyParams {
            epsilon: 0.0625,
            assign: Assign::Every,
            merge: Some(0.5),
            reassign: true,
            drop_at_most: 3,
            least_confidence: 0.25,
            half_life_days: Some(30.0),
            max_history: 70_000,
            max_listed_items: 100,
        },
        ttl_seconds: Some(86_400),
    }
}

/// The recorded extraction jobs by the names of their files.
fn extractions() -> [(&'static str, ExtractJob); 4] {
    let users = ["u20", "u21", "u\u{e9}"].map(String::from).to_vec();
    let mut plain = extract(Selection::All);
    plain.params.assign = Assign::Nearest;
    plain.params.merge = None;
    plain.params.reassign = false;
    plain.ttl_seconds = None;
    [
        ("extract-all", extract(Selection::All)),
        ("extract-all-plain", plain),
        (
            "extract-active-since",
            extract(Selection::ActiveSince(1_760_000_000_000)),
        ),
        ("extract-users", extract(Selection::Users(users))),
    ]
}

fn naming() -> NameJob {
    let user = |user: &str, journeys| UserToName {
        user: user.into(),
        journeys,
    };
    NameJob {
        epoch: Epoch(300),
        users: vec![user("u20", 2), user("u\u{e9}", 1_000)],
    }
}

/// A job of version 1, which did not have all of the parameters and measured merging otherwise.
fn of_version_1(mut job: ExtractJob) -> ExtractJob {
    job.params.merge = job.params.merge.and(JourneyParams::default().merge);
    job.params.least_confidence = 0.0;
    job.params.half_life_days = None;
    job
}

/// The version that this build writes.
const LATEST: u8 = 2;

/// A payload that the build of a version wrote.
fn recorded(version: u8, name: &str) -> Vec<u8> {
    let path = support::root()
        .join(format!("tests/payloads/v{version}"))
        .join(name)
        .with_extension("hex");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Asserts that a recorded payload means what it meant, and would be written the same.
fn assert_unchanged<T>(name: &str, meant: &T)
where
    T: Payload + PartialEq + std::fmt::Debug,
{
    let written = encode(meant).unwrap();
    let hex = written.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let remedy = format!(
        "{name}: the layout of a job has changed, so queues that hold jobs of earlier builds would \
         be misread. Raise VERSION in src/queue/codec.rs, keep reading the earlier layout there, \
         and record the new one in a folder of its own beside those of tests/payloads, whose files \
         stay as they are. This build writes {hex}"
    );
    let payload = recorded(LATEST, name);
    assert_eq!(decode::<T>(&payload).as_ref(), Ok(meant), "{remedy}");
    assert_eq!(payload, written, "{remedy}");
}

#[test]
fn every_job_that_a_released_build_has_queued_is_read_as_it_was_meant() {
    for (name, meant) in extractions() {
        assert_unchanged(name, &meant);
    }
    assert_unchanged("name", &naming());
}

#[test]
fn jobs_of_version_1_are_read_as_near_to_what_was_meant_as_there_is() {
    for (name, job) in extractions() {
        assert_eq!(decode(&recorded(1, name)), Ok(of_version_1(job)), "{name}");
    }
    assert_eq!(decode(&recorded(1, "name")), Ok(naming()));
}

#[test]
fn no_recording_is_left_out() {
    for version in 1..=LATEST {
        let folder = support::root().join(format!("tests/payloads/v{version}"));
        let files = std::fs::read_dir(folder).unwrap();
        let mut found: Vec<String> = files
            .map(|file| {
                file.unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect();
        let mut known = extractions().map(|(name, _)| name.to_owned()).to_vec();
        known.push("name".into());
        found.sort();
        known.sort();
        assert_eq!(found, known);
    }
}
