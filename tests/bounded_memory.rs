//! An ingest takes the memory that it is given, however large the input is.
//!
//! Each test generates an input that is a multiple of a limit, and ingests it in a process of its
//! own, because memory is measured and limited by process.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sojourn::ingest::{IngestOptions, IngestProgress, ingest};

const MIB: u64 = 1 << 20;

/// Tells a child where to work and how much memory to use.
const CHILD_FOLDER: &str = "SOJOURN_TEST_CHILD_FOLDER";
const CHILD_MEMORY: &str = "SOJOURN_TEST_CHILD_MEMORY";

/// Overrides the MiB of the long test's log, for measurements.
const LONG_LOG: &str = "SOJOURN_TEST_LOG_MIB";

/// What a child did.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    seconds: f64,
    items: u64,
    users: u64,
    interactions: u64,
    shards: usize,
    /// Most memory that was in use at any time, in bytes.
    peak: u64,
}

#[test]
fn an_input_that_is_a_multiple_of_the_memory_is_ingested_within_it() {
    const MEMORY: u64 = 16 * MIB;
    // Of addresses, for all of the process: program, stacks, the mapped catalogue, and the budget
    // twice, because while one buffer grows into the next, there are both.
    const LIMIT: u64 = 128 * MIB;
    const LOG: u64 = 2 * LIMIT;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = generate(folder.path(), 20_000, LOG);
    let report = ingest_in_child(folder.path(), MEMORY, LIMIT);
    assert_eq!(report.interactions, rows);
    eprintln!("peak {} MiB, {report:?}", report.peak / MIB);
    assert!(report.peak < LIMIT, "{} MiB: {report:?}", report.peak / MIB);
}

#[test]
#[ignore = "takes minutes and 6 GB of disk"]
fn a_large_input_is_ingested_under_a_limit_of_the_system() {
    const MEMORY: u64 = 256 * MIB;
    const LIMIT: u64 = 1024 * MIB;
    let log = std::env::var(LONG_LOG)
        .ok()
        .and_then(|text| text.parse().ok());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = generate(folder.path(), 500_000, log.unwrap_or(2048) * MIB);
    let bytes = size(folder.path(), "items.jsonl") + size(folder.path(), "log.csv");
    let report = ingest_in_child(folder.path(), MEMORY, LIMIT);
    assert_eq!(report.interactions, rows);
    eprintln!(
        "{} MiB: {:.0} MiB/s, {:.0} rows/s, peak {} MiB, {report:?}",
        bytes / MIB,
        bytes as f64 / MIB as f64 / report.seconds,
        (report.interactions + report.items) as f64 / report.seconds,
        report.peak / MIB,
    );
    assert!(report.peak < LIMIT);
}

fn size(folder: &Path, name: &str) -> u64 {
    folder
        .join(name)
        .metadata()
        .expect("it was generated")
        .len()
}

/// Writes `items.jsonl` and a `log.csv` of about `log_bytes`, in no order, without duplicates.
/// Returns the rows of the log.
fn generate(folder: &Path, items: u64, log_bytes: u64) -> u64 {
    let create = |name| BufWriter::new(File::create(folder.join(name)).expect("room on disk"));
    let mut file = create("items.jsonl");
    for item in 0..items {
        let word = |n: u64| format!("w{}", scatter(item * 64 + n) % (n + 1).pow(3).min(30_000));
        let text: Vec<String> = (0..40).map(word).collect();
        let title = text[..5].join(" ");
        let row = serde_json::json!({
            "item_id": format!("item-{item:08}"), "title": title, "description": text.join(" "),
        });
        writeln!(file, "{row}").expect("room on disk");
    }
    file.flush().expect("room on disk");
    let mut file = create("log.csv");
    let mut bytes = 0;
    let mut rows = 0;
    writeln!(file, "user_id,item_id,timestamp,weight").expect("room on disk");
    while bytes < log_bytes {
        let noise = scatter(rows);
        let row = format!(
            "user-{:07},item-{:08},{},{}\n",
            noise % 300_000,
            (noise >> 20) % items,
            // No two rows have the same time.
            1_700_000_000_000 + rows,
            noise >> 61,
        );
        file.write_all(row.as_bytes()).expect("room on disk");
        bytes += row.len() as u64;
        rows += 1;
    }
    file.flush().expect("room on disk");
    rows
}

/// Spreads consecutive numbers over all numbers (the finaliser of SplitMix64).
fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Ingests what is in a folder, with at most `limit` bytes of addresses.
fn ingest_in_child(folder: &Path, memory: u64, limit: u64) -> Report {
    let limit = (limit / 1024).to_string();
    let output = Command::new("sh")
        .args(["-c", "ulimit -v \"$0\" && exec \"$@\"", &limit])
        .arg(std::env::current_exe().expect("a test is a program"))
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_MEMORY, memory.to_string())
        // The C library reserves 64 MiB of addresses for every thread that allocates, used or not.
        .env("MALLOC_ARENA_MAX", "1")
        .env("RAYON_NUM_THREADS", "2")
        .output()
        .expect("a shell");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report = std::fs::read(folder.join("report.json")).expect("the child's report");
    serde_json::from_slice(&report).expect("the child's report")
}

#[test]
#[ignore = "run by the other tests"]
fn child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER).map(PathBuf::from) else {
        return;
    };
    let at = |name: &str| folder.join(name).display().to_string();
    let mut options = IngestOptions::new(&at("items.jsonl"), &at("log.csv"), &at("dataset"));
    let memory = std::env::var(CHILD_MEMORY).expect("set by the parent");
    options.memory = memory.parse().expect("set by the parent");
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let manifest = runtime
        .block_on(ingest(options, Arc::new(IngestProgress::default())))
        .unwrap_or_else(|error| panic!("{error}"));
    let report = Report {
        seconds: start.elapsed().as_secs_f64(),
        items: manifest.counts.items,
        users: manifest.counts.users,
        interactions: manifest.counts.interactions,
        shards: manifest.shards.len(),
        peak: peak_memory(),
    };
    let report = serde_json::to_vec(&report).expect("plain numbers");
    std::fs::write(folder.join("report.json"), report).expect("room on disk");
}

/// Most memory that this process has had in use.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("Linux");
    let kib = line
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse::<u64>().ok());
    kib.expect("a number of KiB") * 1024
}
